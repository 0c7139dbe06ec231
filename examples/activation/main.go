// Activation is a prefork server on a socket that systemd has opened. A restart of the
// service refuses no connection: they wait in systemd's socket.
//
//	# hello.socket
//	[Socket]
//	ListenStream=8080
//
//	# hello.service
//	[Service]
//	ExecStart=/usr/local/bin/activation
//	RuntimeDirectory=hello
//	RuntimeDirectoryPreserve=restart
//	ExecReload=/bin/kill -HUP $MAINPID
//
//	systemctl enable --now hello.socket
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

var requests = multiproc.NewCounter(multiproc.CounterOpts{Name: "requests_total", Help: "Requests served."})

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
	listeners, err := supervisor.NamedListeners() // systemd's
	if err != nil {
		return err
	}
	s, err := supervisor.New(supervisor.Options{
		Workers:        2,
		Dir:            "/run/hello/metrics",
		Listeners:      listeners,
		MetricsAddress: "tcp://127.0.0.1:9090",
	})
	if err != nil {
		return err
	}
	return s.RunWithSignals(context.Background())
}

func work() error {
	listeners, err := supervisor.Listeners() // the same ones, from the supervisor
	if err != nil {
		return err
	}
	server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		requests.Inc()
		fmt.Fprintln(w, "hello")
	})}
	go server.Serve(listeners[0])
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	if err := supervisor.Ready(); err != nil {
		return err
	}
	<-ctx.Done()
	return server.Shutdown(context.Background())
}
