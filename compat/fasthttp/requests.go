package mpfasthttp

import (
	"slices"

	"github.com/valyala/fasthttp"
	"github.com/valyala/fasthttp/fasthttpadaptor"

	"github.com/multiprom/multiprom/compat/requests"
	"github.com/multiprom/multiprom/exposition"
	"github.com/multiprom/multiprom/registry"
)

// Requests measures next: requests, durations, requests in flight. It panics on
// invalid options, as requests.New.
//
// path gives the pattern of the route that next has taken, or "" for none; it is
// called after next. fasthttp has no routes of its own: KnownPaths is for handlers
// that compare paths, and a router says what it has matched, such as
// github.com/fasthttp/router with SaveMatchedRoutePath:
//
//	func(ctx *fasthttp.RequestCtx) string {
//		pattern, _ := ctx.UserValue(router.MatchedRoutePathParam).(string)
//		return pattern
//	}
//
// Never return what the client has sent. With a nil path all requests are
// requests.Unmatched.
func Requests(next fasthttp.RequestHandler, path func(*fasthttp.RequestCtx) string, opts requests.Options) fasthttp.RequestHandler {
	m := requests.New(opts)
	if path == nil {
		path = func(*fasthttp.RequestCtx) string { return "" }
	}
	return func(ctx *fasthttp.RequestCtx) {
		r := m.Begin()
		code := fasthttp.StatusInternalServerError // of a panic, which goes on
		defer func() {
			r.End(string(ctx.Method()), path(ctx), code)
		}()
		next(ctx)
		code = ctx.Response.StatusCode()
		if timeout := ctx.LastTimeoutErrorResponse(); timeout != nil {
			code = timeout.StatusCode() // what is sent in place of the response
		}
	}
}

// KnownPaths returns a path function of Requests for a handler that takes exactly
// these paths.
func KnownPaths(paths ...string) func(*fasthttp.RequestCtx) string {
	paths = slices.Clone(paths)
	known := make(map[string]string, len(paths))
	for _, path := range paths {
		known[path] = path
	}
	return func(ctx *fasthttp.RequestCtx) string { return known[string(ctx.Path())] }
}

// Metrics returns a handler that answers a scrape with the metrics of all processes,
// from any of them: exposition.Handler of registry.Default().
func Metrics() fasthttp.RequestHandler {
	return fasthttpadaptor.NewFastHTTPHandler(exposition.Handler(registry.Default()))
}
