// Fibersupervised is an app of Fiber 2 in as many processes as there are CPUs, run by
// package supervisor in place of Fiber's prefork: a worker that dies is replaced,
// SIGTERM drains, SIGHUP exchanges the workers one by one.
//
//	PROMETHEUS_MULTIPROC_DIR=/dev/shm/app go -C compat run ./examples/fibersupervised 127.0.0.1:8080 127.0.0.1:9090
package main

import (
	"context"
	"log"
	"os"
	"os/signal"
	"syscall"

	"github.com/gofiber/fiber/v2"

	mpfiber "github.com/multiprom/multiprom/compat/fiber/v2"
	"github.com/multiprom/multiprom/compat/requests"
	"github.com/multiprom/multiprom/exposition"
	"github.com/multiprom/multiprom/multiproc"
	"github.com/multiprom/multiprom/registry"
	"github.com/multiprom/multiprom/supervisor"
)

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
		Listeners:      []supervisor.Listener{{Address: os.Args[1]}},
		MetricsAddress: os.Args[2],
		Metrics:        exposition.Handler(registry.Default()),
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
	if err := multiproc.Open(); err != nil {
		return err
	}
	app := fiber.New(fiber.Config{DisableStartupMessage: true})
	app.Use(mpfiber.Requests(requests.Options{}))
	app.Get("/", func(c *fiber.Ctx) error { return c.SendString("hello\n") })
	app.Get("/metrics", mpfiber.Metrics())

	term, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	served := make(chan error, 1)
	go func() { served <- app.Listener(listeners[0]) }()
	if err := supervisor.Ready(); err != nil {
		return err
	}
	select {
	case err := <-served:
		return err
	case <-term.Done():
		return app.Shutdown()
	}
}
