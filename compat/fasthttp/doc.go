// Package mpfasthttp puts true metrics into servers of fasthttp, prefork or not.
//
//	m := mpfasthttp.Metrics()
//	server := &fasthttp.Server{Handler: mpfasthttp.Requests(
//		func(ctx *fasthttp.RequestCtx) {
//			if string(ctx.Path()) == "/metrics" {
//				m(ctx)
//				return
//			}
//			app(ctx)
//		},
//		mpfasthttp.KnownPaths("/", "/metrics"), requests.Options{})}
//	p := prefork.New(server) // of github.com/valyala/fasthttp/prefork
//	if _, err := mpfasthttp.Prefork(p, mpprefork.Options{MetricsAddress: ":9090"}); err != nil {
//		log.Fatal(err)
//	}
//	log.Fatal(p.ListenAndServe(":8080"))
//
// Prefork sets up master and children, Requests measures, Metrics answers a scrape
// with all children's values, whichever child it reaches.
//
// # Concurrency
//
// Prefork is called once, before ListenAndServe. The handlers are safe for concurrent
// use.
//
// # Caveats
//
// fasthttp's master returns prefork.ErrOverRecovery once more children have died than
// RecoverThreshold, in its whole life and not per time; New sets half the number of
// CPUs. docs/prefork.md tells what is lost when.
package mpfasthttp
