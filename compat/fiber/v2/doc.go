// Package mpfiber puts true metrics into apps of Fiber 2, prefork or not.
//
//	app := fiber.New(fiber.Config{Prefork: true})
//	app.Use(mpfiber.Requests(requests.Options{}))
//	app.Get("/metrics", mpfiber.Metrics())
//	if _, err := mpfiber.Prefork(app, prefork.Options{MetricsAddress: ":9090"}); err != nil {
//		log.Fatal(err)
//	}
//	log.Fatal(app.Listen(":8080"))
//
// Prefork sets up master and children, Requests measures, Metrics answers a scrape
// with all children's values, whichever child it reaches.
//
// # Concurrency
//
// Prefork is called once, before Listen. The handlers are safe for concurrent use.
//
// # Caveats
//
// Fiber 2 replaces no child: with the first that dies, Listen kills the others by
// SIGKILL and returns. Have the program restarted by what runs it; counters go on
// where they were. A master with PID 1, as in a container, loses its children after
// half a second, since they take the parent 1 for a dead master. docs/prefork.md has
// both, and what is lost when.
package mpfiber
