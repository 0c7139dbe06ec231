package publish

import (
	"context"
	"errors"
	"strings"
	"time"

	"github.com/multiprom/multiprom/metric"
	"github.com/multiprom/multiprom/registry"
	"github.com/multiprom/multiprom/registry/collectors"
)

// ErrMergedView: the source yields what other processes have written, so that
// publishing it would count them again, more at every period.
var ErrMergedView = errors.New("the source is a merged view")

// source is a Gatherer as the one collector of a registry, which checks what it
// yields, makes an error of a panic, and leaves it behind when it hangs.
type source struct {
	gatherer registry.Gatherer
	timeout  time.Duration
}

// guarded returns g with a bound on its time. A registry inside it is told to
// return what it has after the timeout; what does not listen is left behind
// after twice as long.
func guarded(g registry.Gatherer, timeout time.Duration) registry.Gatherer {
	r := registry.New(registry.Options{CollectTimeout: 2 * timeout})
	r.MustRegister(&source{g, timeout})
	return r
}

// String names the source in errors.
func (s *source) String() string { return "of the publisher's source" }

// Collect gathers.
func (s *source) Collect(ctx context.Context) ([]*metric.Family, error) {
	ctx, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	families, err := s.gatherer.Gather(ctx)
	for _, f := range families {
		// The registry reports a family that is nil.
		if f != nil && strings.HasPrefix(f.Name, "multiprom_") {
			return nil, ErrMergedView
		}
	}
	return families, err
}

// goRuntime is the default source.
func goRuntime() registry.Gatherer {
	r := registry.New(registry.Options{})
	r.MustRegister(collectors.NewGoRuntime())
	return r
}
