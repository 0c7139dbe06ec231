// Fiberv2 is a prefork server of Fiber 2: any child serves the metrics of all at
// /metrics, and so does the master at a port of its own. Fiber 2 ends it with
// the first child that dies: have it restarted by what runs it.
//
//	PROMETHEUS_MULTIPROC_DIR=/dev/shm/app go -C compat run ./examples/fiberv2 127.0.0.1:8080 127.0.0.1:9090
package main

import (
	"log"
	"os"

	"github.com/gofiber/fiber/v2"

	mpfiber "github.com/multiprom/multiprom/compat/fiber/v2"
	"github.com/multiprom/multiprom/compat/prefork"
	"github.com/multiprom/multiprom/compat/requests"
)

func main() {
	app := fiber.New(fiber.Config{Prefork: true, DisableStartupMessage: true})
	app.Use(mpfiber.Requests(requests.Options{}))
	app.Get("/", func(c *fiber.Ctx) error { return c.SendString("hello\n") })
	app.Get("/metrics", mpfiber.Metrics())
	if _, err := mpfiber.Prefork(app, prefork.Options{MetricsAddress: os.Args[2]}); err != nil {
		log.Fatal(err)
	}
	log.Fatal(app.Listen(os.Args[1]))
}
