package mpfiber

import (
	"sync/atomic"

	"github.com/gofiber/fiber/v2"
)

// routes knows an app's routes from its middleware. Fiber 2 does not tell whether a
// request was matched: Route() of one that no route takes is the last middleware.
// GetRoutes leaves middleware out, but gives copies; a copy shares its original's
// handlers, so that the address of the first one tells them apart.
type routes struct {
	known atomic.Pointer[known]
}

// known is what was learned when the app had that many handlers.
type known struct {
	handlers uint32
	first    map[*fiber.Handler]struct{}
}

// has reports whether the route that c has reached is one and no middleware.
func (r *routes) has(c *fiber.Ctx) bool {
	app := c.App()
	k := r.known.Load()
	if k == nil || k.handlers != app.HandlersCount() {
		k = &known{app.HandlersCount(), map[*fiber.Handler]struct{}{}}
		for _, route := range app.GetRoutes(true) {
			if len(route.Handlers) > 0 {
				k.first[&route.Handlers[0]] = struct{}{}
			}
		}
		r.known.Store(k)
	}
	route := c.Route()
	if len(route.Handlers) == 0 {
		return false
	}
	_, ok := k.first[&route.Handlers[0]]
	return ok
}
