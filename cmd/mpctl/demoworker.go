package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/signal"
	"path/filepath"
	"strconv"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/multiprom/multiprom/metric"
	"github.com/multiprom/multiprom/multiproc"
	"github.com/multiprom/multiprom/supervisor"
)

// envLose carries --lose to the workers.
const envLose = "MPCTL_DEMO_LOSE"

func newDemoWorker() *cobra.Command {
	return &cobra.Command{
		Use:    "demo-worker",
		Short:  "one worker of the demo",
		Hidden: true,
		Args:   noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if !supervisor.IsWorker() {
				return errors.New("demo-worker is started by mpctl demo")
			}
			return serveDemo(cmd.Context())
		},
	}
}

// serveDemo answers requests on the inherited listener until SIGTERM. A user's worker
// looks like this.
func serveDemo(ctx context.Context) error {
	ctx, stop := signal.NotifyContext(ctx, syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	var (
		requests = multiproc.NewCounterVec(multiproc.CounterOpts{
			Name: "demo_requests_total", Help: "Requests served by the demo.",
		}, []string{"method", "code"})
		latency = multiproc.NewHistogram(multiproc.HistogramOpts{
			Name: "demo_request_duration_seconds", Help: "Time to serve a request.", Unit: "seconds",
		})
		inFlight = multiproc.NewGauge(multiproc.GaugeOpts{
			Name: "demo_requests_in_flight", Help: "Requests being served.", Mode: metric.ModeLiveSum,
		})
	)
	if err := multiproc.Open(); err != nil {
		return err
	}
	listeners, err := supervisor.Listeners()
	if err != nil {
		return err
	}
	if len(listeners) != 1 {
		return fmt.Errorf("%d listeners were inherited, not 1", len(listeners))
	}
	lose := loses()
	server := &http.Server{ReadHeaderTimeout: 10 * time.Second, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		start := time.Now()
		defer inFlight.TrackInProgress()()
		io.Copy(io.Discard, r.Body)
		latency.Observe(time.Since(start).Seconds())
		// Count before answering, so that every answered request has been counted.
		if !lose() {
			requests.WithLabelValues(r.Method, "200").Inc()
		}
		io.WriteString(w, "pong\n")
	})}
	served := make(chan error, 1)
	go func() { served <- server.Serve(listeners[0]) }()
	if err := supervisor.Ready(); err != nil {
		return err
	}
	select {
	case err := <-served:
		return err
	case <-ctx.Done():
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
	defer cancel()
	return server.Shutdown(ctx)
}

// loses returns a function that returns true n times in all workers together, for
// --lose n. The workers share the tokens as files in the directory.
func loses() func() bool {
	n, err := strconv.ParseInt(os.Getenv(envLose), 10, 64)
	if err != nil || n <= 0 {
		return func() bool { return false }
	}
	var next atomic.Int64
	return func() bool {
		for i := next.Load(); i < n; i = next.Add(1) {
			f, err := os.OpenFile(filepath.Join(multiproc.Default().Dir(), fmt.Sprintf(".lose-%d", i)), os.O_CREATE|os.O_EXCL, 0o600)
			if err == nil {
				return f.Close() == nil
			}
		}
		return false
	}
}
