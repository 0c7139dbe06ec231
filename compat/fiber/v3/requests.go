package mpfiber

import (
	"github.com/gofiber/fiber/v3"
	"github.com/gofiber/fiber/v3/middleware/adaptor"

	"github.com/multiprom/multiprom/compat/requests"
	"github.com/multiprom/multiprom/exposition"
	"github.com/multiprom/multiprom/registry"
)

// Requests returns a middleware that measures the handlers after it: requests,
// durations, requests in flight. It panics on invalid options, as requests.New. Use
// it before anything else, since an error of a later handler ends with it: it calls
// the app's ErrorHandler, whose status code is the one that the client gets, and
// returns nil, as Fiber's own logger does.
//
// The path is the pattern of the route. A middleware that answers itself with a code
// below 400, such as static files, is known by its prefix, unless that is all paths;
// what else no route takes is requests.Unmatched.
func Requests(opts requests.Options) fiber.Handler {
	m := requests.New(opts)
	return func(c fiber.Ctx) error {
		r := m.Begin()
		code := fiber.StatusInternalServerError // of a panic, which goes on
		defer func() {
			r.End(c.Method(), path(c.Route().Path, c.Matched(), code), code)
		}()
		if err := c.Next(); err != nil {
			if err := c.App().ErrorHandler(c, err); err != nil {
				_ = c.SendStatus(fiber.StatusInternalServerError)
			}
		}
		code = c.Response().StatusCode()
		return nil
	}
}

// path is what the label says of the last route that was reached: a pattern always,
// but of a middleware where no route matched.
func path(pattern string, matched bool, code int) string {
	if !matched && (pattern == "/" || code >= fiber.StatusBadRequest) {
		return requests.Unmatched
	}
	return pattern
}

// Metrics returns a handler that answers a scrape with the metrics of all processes,
// from any of them: exposition.Handler of registry.Default().
func Metrics() fiber.Handler {
	return adaptor.HTTPHandler(exposition.Handler(registry.Default()))
}
