package views

import (
	"context"

	"github.com/multiprom/multiprom/gather"
)

// Viewer can show its families without building them again, such as a merged directory,
// whose warm scrape then allocates nothing for a series.
type Viewer interface {
	// View calls fn, once, with what Gather would return. The families belong to the
	// Viewer: fn reads them until it returns. It must not ask the Viewer, and should be
	// quick, since others may have to wait for it.
	View(ctx context.Context, fn func(families []Family, err error))
}

// providers return the Viewer of a Gatherer of their type, or nil.
var providers []func(gather.Gatherer) Viewer

// Provide sets how to get the Viewer of a G, a public type. The package of G calls it while
// it is initialized. A user's type that embeds a G is no G: its own Gather is asked.
func Provide[G gather.Gatherer](viewer func(G) Viewer) {
	providers = append(providers, func(g gather.Gatherer) Viewer {
		if g, ok := g.(G); ok {
			return viewer(g)
		}
		return nil
	})
}

// Of returns the Viewer of g, or nil if it has none.
func Of(g gather.Gatherer) Viewer {
	if v, ok := g.(Viewer); ok {
		return v
	}
	for _, provided := range providers {
		if v := provided(g); v != nil {
			return v
		}
	}
	return nil
}

// Show calls fn, once, with what g gathers. If g has a Viewer, the families are valid until
// fn returns.
func Show(ctx context.Context, g gather.Gatherer, fn func(families []Family, err error)) {
	if v := Of(g); v != nil {
		v.View(ctx, fn)
		return
	}
	families, err := g.Gather(ctx)
	fn(Plain(families), err)
}
