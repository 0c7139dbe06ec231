// Fiberv3 is a prefork server of Fiber 3: any child serves the metrics of all at
// /metrics, and so does the master at a port of its own. Children that die
// are replaced.
//
//	PROMETHEUS_MULTIPROC_DIR=/dev/shm/app go -C compat run ./examples/fiberv3 127.0.0.1:8080 127.0.0.1:9090
package main

import (
	"log"
	"os"

	"github.com/gofiber/fiber/v3"

	mpfiber "github.com/multiprom/multiprom/compat/fiber/v3"
	"github.com/multiprom/multiprom/compat/prefork"
	"github.com/multiprom/multiprom/compat/requests"
)

func main() {
	app := fiber.New()
	app.Use(mpfiber.Requests(requests.Options{}))
	app.Get("/", func(c fiber.Ctx) error { return c.SendString("hello\n") })
	app.Get("/metrics", mpfiber.Metrics())
	if _, err := mpfiber.Prefork(app, prefork.Options{MetricsAddress: os.Args[2]}); err != nil {
		log.Fatal(err)
	}
	log.Fatal(app.Listen(os.Args[1], fiber.ListenConfig{
		EnablePrefork: true, DisableStartupMessage: true,
		PreforkRecoverThreshold: 1000, // deaths in the master's whole life
	}))
}
