// Fasthttp serves metrics in an application that uses fasthttp. Start it several times, and
// /metrics of any process has the requests of all.
//
//	mkdir -p -m 700 /dev/shm/app
//	PROMETHEUS_MULTIPROC_DIR=/dev/shm/app go -C examples run ./fasthttp 127.0.0.1:8081
//	PROMETHEUS_MULTIPROC_DIR=/dev/shm/app go -C examples run ./fasthttp 127.0.0.1:8082
package main

import (
	"log"
	"os"

	"github.com/valyala/fasthttp"
	"github.com/valyala/fasthttp/fasthttpadaptor"

	"github.com/multiprom/multiprom/exposition"
	"github.com/multiprom/multiprom/multiproc"
	"github.com/multiprom/multiprom/registry"
)

var requests = multiproc.NewCounter(multiproc.CounterOpts{Name: "requests", Help: "Requests served."})

func main() {
	metrics := fasthttpadaptor.NewFastHTTPHandler(exposition.Handler(registry.Default()))
	log.Fatal(fasthttp.ListenAndServe(os.Args[1], func(ctx *fasthttp.RequestCtx) {
		if string(ctx.Path()) == "/metrics" {
			metrics(ctx)
			return
		}
		requests.Inc()
		ctx.WriteString("hello\n")
	}))
}
