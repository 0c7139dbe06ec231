// Fiber serves metrics in an application that uses Fiber. Start it several times, and
// /metrics of any process has the requests of all.
//
//	mkdir -p -m 700 /dev/shm/app
//	PROMETHEUS_MULTIPROC_DIR=/dev/shm/app go -C examples run ./fiber 127.0.0.1:8081
//	PROMETHEUS_MULTIPROC_DIR=/dev/shm/app go -C examples run ./fiber 127.0.0.1:8082
package main

import (
	"log"
	"os"

	"github.com/gofiber/fiber/v2"
	"github.com/gofiber/fiber/v2/middleware/adaptor"

	"github.com/multiprom/multiprom/exposition"
	"github.com/multiprom/multiprom/multiproc"
	"github.com/multiprom/multiprom/registry"
)

var requests = multiproc.NewCounter(multiproc.CounterOpts{Name: "requests", Help: "Requests served."})

func main() {
	app := fiber.New(fiber.Config{DisableStartupMessage: true})
	app.Get("/", func(c *fiber.Ctx) error {
		requests.Inc()
		return c.SendString("hello\n")
	})
	app.Get("/metrics", adaptor.HTTPHandler(exposition.Handler(registry.Default())))
	log.Fatal(app.Listen(os.Args[1]))
}
