package publish

import (
	"context"
	"errors"
	"strings"
	"time"

	"github.com/multiprom/multiprom/gather"
	"github.com/multiprom/multiprom/metric"
	"github.com/multiprom/multiprom/registry"
	"github.com/multiprom/multiprom/registry/collectors"
)

// ErrMergedView: the source yields what other processes have written. Publishing it would
// count them again, and more at every period.
var ErrMergedView = errors.New("the source is a merged view")

// source is a Gatherer as the only collector of a registry. The registry checks what it
// yields, turns a panic into an error, and abandons it if it hangs.
type source struct {
	gatherer gather.Gatherer
	timeout  time.Duration
}

// guarded returns g with a limit of time. After the timeout, g is told by its context to
// return what it has. If it does not, it is abandoned after twice as long.
func guarded(g gather.Gatherer, timeout time.Duration) gather.Gatherer {
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
func goRuntime() gather.Gatherer {
	r := registry.New(registry.Options{})
	r.MustRegister(collectors.NewGoRuntime())
	return r
}
