package registry

import (
	"context"
	"errors"
	"sync"

	"github.com/multiprom/multiprom/gather"
	"github.com/multiprom/multiprom/metric"
)

// Viewer is a Gatherer that can show its families without building them again, such as
// a merged directory, whose warm scrape then allocates nothing for a series.
type Viewer interface {
	gather.Gatherer
	// View calls fn, once, with what Gather would return, in which families may have
	// metric.Rows in place of series. They belong to the Viewer: fn reads them until it
	// returns. It must not ask the Viewer, and should be quick, since others may have
	// to wait for it.
	View(ctx context.Context, fn func(families []*metric.Family, err error))
}

// View calls fn, once, with what g gathers. Where g is a [Viewer], the families are
// valid until fn returns.
func View(ctx context.Context, g gather.Gatherer, fn func(families []*metric.Family, err error)) {
	if v, ok := g.(Viewer); ok {
		v.View(ctx, fn)
		return
	}
	fn(g.Gather(ctx))
}

// View shows the families of the first Viewer. It gathers those of the others first,
// since they may ask that Viewer themselves.
func (m merged) View(ctx context.Context, fn func([]*metric.Family, error)) {
	results := make([]result, len(m))
	shown := -1
	var wg sync.WaitGroup
	for i, g := range m {
		if _, ok := g.(Viewer); ok && shown < 0 {
			shown = i
			continue
		}
		wg.Go(func() {
			_, results[i].quiet = g.(neighbours)
			results[i].families, results[i].err = protect(ctx, g.Gather)
		})
	}
	wg.Wait()
	if shown < 0 {
		fn(join(results))
		return
	}
	called := false
	defer func() {
		if v := recover(); v != nil {
			if called {
				panic(v) // it is fn's
			}
			results[shown] = result{err: panicked(v)}
			fn(join(results))
		}
	}()
	m[shown].(Viewer).View(ctx, func(families []*metric.Family, err error) {
		called = true
		results[shown] = result{families: families, err: err}
		fn(join(results))
	})
}

// View is Gather without a copy of the directory's families.
func (r *DefaultRegistry) View(ctx context.Context, fn func([]*metric.Family, error)) {
	View(ctx, r.view, fn)
}

// View is Gather without a copy.
func (w whole) View(ctx context.Context, fn func([]*metric.Family, error)) {
	View(ctx, w.Gatherer, func(families []*metric.Family, err error) {
		if _, ok := errors.AsType[*viewError](err); ok {
			families = nil
		}
		fn(families, err)
	})
}

// essential marks the error of a gatherer: without its families, the rest would
// mislead.
type essential struct{ gather.Gatherer }

func (e essential) Gather(ctx context.Context) (families []*metric.Family, err error) {
	families, err = e.Gatherer.Gather(ctx)
	return families, mark(families, err)
}

func (e essential) View(ctx context.Context, fn func([]*metric.Family, error)) {
	View(ctx, e.Gatherer, func(families []*metric.Family, err error) { fn(families, mark(families, err)) })
}

func mark(families []*metric.Family, err error) error {
	if err != nil && len(families) == 0 {
		return &viewError{err}
	}
	return err
}
