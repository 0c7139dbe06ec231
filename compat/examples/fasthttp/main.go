// Fasthttp is a prefork server of fasthttp: any child serves the metrics of all at
// /metrics, and so does the master at a port of its own.
//
//	PROMETHEUS_MULTIPROC_DIR=/dev/shm/app go -C compat run ./examples/fasthttp 127.0.0.1:8080 127.0.0.1:9090
package main

import (
	"log"
	"os"

	"github.com/valyala/fasthttp"
	"github.com/valyala/fasthttp/prefork"

	mpfasthttp "github.com/multiprom/multiprom/compat/fasthttp"
	mpprefork "github.com/multiprom/multiprom/compat/prefork"
	"github.com/multiprom/multiprom/compat/requests"
)

func main() {
	metrics := mpfasthttp.Metrics()
	app := func(ctx *fasthttp.RequestCtx) {
		switch string(ctx.Path()) {
		case "/":
			ctx.WriteString("hello\n")
		case "/metrics":
			metrics(ctx)
		default:
			ctx.Error("not found\n", fasthttp.StatusNotFound)
		}
	}
	p := prefork.New(&fasthttp.Server{
		Handler: mpfasthttp.Requests(app, mpfasthttp.KnownPaths("/", "/metrics"), requests.Options{}),
	})
	p.RecoverThreshold = 1000 // deaths in the master's whole life
	if _, err := mpfasthttp.Prefork(p, mpprefork.Options{MetricsAddress: os.Args[2]}); err != nil {
		log.Fatal(err)
	}
	log.Fatal(p.ListenAndServe(os.Args[1]))
}
