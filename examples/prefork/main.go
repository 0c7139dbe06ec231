// Prefork is a complete prefork server. Four workers share a port, a supervisor replaces those
// that die, and one /metrics has the sum of what all of them have counted.
//
//	go -C examples run ./prefork
package main

import (
	"context"
	"fmt"
	"log"
	"net/http"
	"os/signal"
	"syscall"

	"github.com/multiprom/multiprom/multiproc"
	"github.com/multiprom/multiprom/supervisor"
)

var requests = multiproc.NewCounterVec(multiproc.CounterOpts{
	Name: "http_requests_total", Help: "HTTP requests served.",
}, []string{"method", "code"})

func main() {
	run := supervise
	if supervisor.IsWorker() {
		run = work
	}
	if err := run(); err != nil {
		log.Fatal(err)
	}
}

func supervise() error {
	s, err := supervisor.New(supervisor.Options{
		Workers:        4,
		Dir:            "/dev/shm/hello",
		Listeners:      []supervisor.Listener{{Address: "tcp://127.0.0.1:8080"}},
		MetricsAddress: "tcp://127.0.0.1:9090",
	})
	if err != nil {
		return err
	}
	return s.RunWithSignals(context.Background())
}

func work() error {
	listeners, err := supervisor.Listeners()
	if err != nil {
		return err
	}
	server := &http.Server{Handler: http.HandlerFunc(hello)}
	go server.Serve(listeners[0])
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	if err := supervisor.Ready(); err != nil {
		return err
	}
	<-ctx.Done()
	return server.Shutdown(context.Background())
}

func hello(w http.ResponseWriter, r *http.Request) {
	requests.WithLabelValues(r.Method, "200").Inc()
	fmt.Fprintln(w, "hello")
}
