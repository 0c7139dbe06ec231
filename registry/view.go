package registry

import (
	"context"
	"errors"
	"sync"

	"github.com/multiprom/multiprom/gather"
	"github.com/multiprom/multiprom/internal/views"
	"github.com/multiprom/multiprom/metric"
)

// View shows the families of the first Viewer. It gathers those of the others first,
// since they may ask that Viewer themselves.
func (m merged) View(ctx context.Context, fn func([]views.Family, error)) {
	results := make([]gathered, len(m))
	shown := -1
	var wg sync.WaitGroup
	for i, g := range m {
		if shown < 0 && views.Of(g) != nil {
			shown = i
			continue
		}
		wg.Go(func() {
			_, results[i].quiet = g.(neighbours)
			families, err := protect(ctx, g.Gather)
			results[i].families, results[i].err = views.Plain(families), err
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
			results[shown] = gathered{err: panicked(v)}
			fn(join(results))
		}
	}()
	views.Show(ctx, m[shown], func(families []views.Family, err error) {
		called = true
		results[shown] = gathered{families: families, err: err}
		fn(join(results))
	})
}

// View is Gather without a copy.
func (w whole) View(ctx context.Context, fn func([]views.Family, error)) {
	views.Show(ctx, w.Gatherer, func(families []views.Family, err error) {
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
	return families, mark(len(families), err)
}

func (e essential) View(ctx context.Context, fn func([]views.Family, error)) {
	views.Show(ctx, e.Gatherer, func(families []views.Family, err error) { fn(families, mark(len(families), err)) })
}

func mark(families int, err error) error {
	if err != nil && families == 0 {
		return &viewError{err}
	}
	return err
}
