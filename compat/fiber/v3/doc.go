// Package mpfiber puts true metrics into apps of Fiber 3, prefork or not.
//
//	app := fiber.New()
//	app.Use(mpfiber.Requests(requests.Options{}))
//	app.Get("/metrics", mpfiber.Metrics())
//	if _, err := mpfiber.Prefork(app, prefork.Options{MetricsAddress: ":9090"}); err != nil {
//		log.Fatal(err)
//	}
//	log.Fatal(app.Listen(":8080", fiber.ListenConfig{EnablePrefork: true}))
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
// From 3.3 on, Fiber replaces children that die, until more have died than
// ListenConfig.PreforkRecoverThreshold in the master's whole life; the default is half
// the number of CPUs. Then, and before 3.3 with the first death, Listen returns. Have
// the program restarted by what runs it; counters go on where they were.
// docs/prefork.md tells what is lost when.
package mpfiber
