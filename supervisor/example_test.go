package supervisor_test

import (
	"context"
	"fmt"
	"io"
	"log"
	"net/http"
	"os/signal"
	"syscall"

	"github.com/multiprom/multiprom/supervisor"
)

// A prefork HTTP server: every worker serves the one listener.
func Example() {
	if supervisor.IsWorker() {
		serve()
		return
	}
	s, err := supervisor.New(supervisor.Options{
		Workers:        4,
		Listeners:      []supervisor.Listener{{Address: "tcp://127.0.0.1:8080"}},
		MetricsAddress: "tcp://127.0.0.1:9090",
		Metrics: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			io.WriteString(w, "# the merged metrics\n")
		}),
		OnWorkerExit: func(w supervisor.WorkerInfo) {
			log.Printf("worker %d in slot %d: %v", w.PID, w.Slot, w.ExitStatus)
		},
	})
	if err != nil {
		log.Fatal(err)
	}
	if err := s.RunWithSignals(context.Background()); err != nil {
		log.Fatal(err)
	}
}

func serve() {
	listeners, err := supervisor.Listeners()
	if err != nil {
		log.Fatal(err)
	}
	slot, _ := supervisor.Slot()
	srv := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprintf(w, "served in slot %d\n", slot)
	})}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	go srv.Serve(listeners[0])
	if err := supervisor.Ready(); err != nil {
		log.Fatal(err)
	}
	<-ctx.Done()
	srv.Shutdown(context.Background())
}
