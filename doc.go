// Package multiprom serves the metrics of a program that runs as many processes. It has the
// two calls that every such program needs, so that an endpoint takes one import:
//
//	func main() {
//		if err := multiprom.Open("/dev/shm/app"); err != nil { // in each worker
//			log.Print(err)
//		}
//		http.Handle("/metrics", multiprom.Handler()) // in any process
//		log.Fatal(http.ListenAndServe(":8080", nil))
//	}
//
// Metrics are declared with package multiproc, in any package and without registering them:
//
//	var requests = multiproc.NewCounterVec(multiproc.CounterOpts{
//		Name: "http_requests_total", Help: "HTTP requests served.",
//	}, []string{"method", "code"})
//
// Each worker has a file in the directory, and each scrape of any process merges all files.
// What a worker has counted stays in the merged metrics when it dies, however it dies.
//
// # Where to go on
//
//   - multiproc: the instruments, and gauge modes
//   - registry: collectors of your own beside the instruments, and views
//   - exposition: options of the handler, and a server of its own
//   - aggregate: the merged view of a directory, and how dead processes are compacted
//   - supervisor: a prefork supervisor
//   - bridge: exits that are not a scrape, such as a Pushgateway
//   - compat, a module of its own: client_golang, fasthttp and Fiber
//
// # Concurrency
//
// Both functions may be called by several goroutines at once.
package multiprom
