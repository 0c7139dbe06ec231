// Fiber serves metrics in an application that uses Fiber.
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
