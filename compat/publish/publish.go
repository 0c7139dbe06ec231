package publish

import (
	"context"
	"errors"
	"slices"
	"strings"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/multiprom/multiprom/compat/convert"
	"github.com/multiprom/multiprom/gather"
	"github.com/multiprom/multiprom/internal/access"
	"github.com/multiprom/multiprom/metric"
	"github.com/multiprom/multiprom/multiproc"
	"github.com/multiprom/multiprom/registry/publish"
)

// Options of Start, of which Source is not to be set. The zero value publishes
// every 10 s in the default Set, with the modes of ByName and the name
// client_golang.
type Options = publish.Options

// Publisher publishes at its period, by Publish at once, and at Close.
type Publisher = publish.Publisher

// Errors of a Publisher, those of registry/publish.
var (
	ErrClosed     = publish.ErrClosed
	ErrMergedView = publish.ErrMergedView
)

// Start makes this process a worker, as multiproc.Open does, and publishes what
// g gathers at once and then at the period, until Close. It does not wait for the
// first publication: Publish does. A prefork master does not call it.
//
// The error is that of Set.Open, or matches multiproc.ErrConflict where the names
// of the publisher's own metrics are taken, or says that g is nil or that
// Options.Source is set.
func Start(g prometheus.Gatherer, opts Options) (*Publisher, error) {
	switch {
	case g == nil:
		return nil, errors.New("publish: there is no Gatherer, give prometheus.DefaultGatherer or a registry")
	case opts.Source != nil:
		return nil, errors.New("publish: Options.Source is set: the source is the Gatherer; registry/publish has others")
	}
	if opts.Set == nil {
		opts.Set = multiproc.Default()
	}
	if opts.Mode == nil {
		opts.Mode = ByName
		if opts.Set == multiproc.Default() && opts.Set.Dir() == "" {
			opts.Mode = withoutRuntime
		}
	}
	if opts.Name == "" {
		opts.Name = "client_golang"
	}
	opts.Source = source(g, opts.Set)
	return publish.Start(opts)
}

// source is what g gathers but the families of the Set's instruments, which are
// in the store by themselves. Those of a merged view stay, to be refused.
func source(g prometheus.Gatherer, set *multiproc.Set) gather.Gatherer {
	from := convert.FromGatherer(g)
	return gather.Func(func(ctx context.Context) ([]*metric.Family, error) {
		families, err := from.Gather(ctx)
		return slices.DeleteFunc(families, func(f *metric.Family) bool {
			return !strings.HasPrefix(f.Name, "multiprom_") && access.Declares(set, f.Name, f.Type)
		}), err
	})
}
