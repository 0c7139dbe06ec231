package registry

import (
	"context"
	"slices"
	"time"

	"github.com/multiprom/multiprom/gather"
	"github.com/multiprom/multiprom/internal/access"
	"github.com/multiprom/multiprom/internal/openmetrics"
	"github.com/multiprom/multiprom/metric"
)

// Restrict returns a view of g with only the samples of those names, like client_python's
// restricted_registry. A name is that of a sample, such as x_total, x_bucket or
// x_created, or that of a family, which stands for all its samples. Without names the
// view is empty.
//
// The view is always valid exposition:
//
//   - A family keeps its type if all samples that the type needs are asked for: x_total
//     of a counter, or x_bucket, x_sum and x_count of a histogram. It then lacks only
//     created times, and a summary its quantiles.
//   - If only a part is asked for, such as x_bucket alone, each sample name becomes a
//     family of exactly that name, with the original help, of type unknown and without
//     exemplars. Half a histogram is not a histogram.
//   - x_created alone is a gauge, as in text formats that have no created times.
//
// In a [Registry], and in a [Merge] of registries, only those collectors run that may
// yield one of the names.
func Restrict(g gather.Gatherer, names ...string) gather.Gatherer {
	asked := make(map[string]bool, len(names))
	for _, n := range names {
		asked[n] = true
	}
	return &restricted{g, func(name string) bool { return asked[name] }}
}

var _ = func() (none struct{}) {
	access.Restrict = func(g gather.Gatherer, asked func(name string) bool) gather.Gatherer { return &restricted{g, asked} }
	return none
}()

// asking reports whether samples of that name are asked for. A nil one asks for everything.
type asking func(name string) bool

type restricted struct {
	from  gather.Gatherer
	asked asking
}

func (r *restricted) Gather(ctx context.Context) ([]*metric.Family, error) {
	families, err := gatherNamed(ctx, r.from, r.asked)
	var kept []*metric.Family
	for _, f := range families {
		kept = append(kept, restrict(f, r.asked)...)
	}
	// The name of a part, such as x_bucket, may belong after that of the family that
	// follows x.
	sortFamilies(kept)
	return kept, err
}

// gatherNamed gathers the families of g that may have those sample names.
func gatherNamed(ctx context.Context, g gather.Gatherer, asked asking) ([]*metric.Family, error) {
	if g, ok := g.(namedGatherer); ok {
		return g.gatherNamed(ctx, asked)
	}
	return g.Gather(ctx)
}

// restrict returns what is left of f: f itself, a copy or some parts.
func restrict(f *metric.Family, asked asking) []*metric.Family {
	if asked(f.Name) {
		return []*metric.Family{f}
	}
	created := f.Name + "_created"
	needed := slices.DeleteFunc(openmetrics.SampleNames(f.Name, f.Type), func(name string) bool {
		return name == f.Name || name == created
	})
	present := slices.DeleteFunc(slices.Clone(needed), func(name string) bool { return !asked(name) })

	var kept []*metric.Family
	switch {
	case len(present) == 0:
	case len(present) == len(needed):
		whole := *f
		whole.Series = slices.Clone(f.Series)
		for i := range whole.Series {
			whole.Series[i].Quantiles, whole.Series[i].Native = nil, nil // named as the family
			if !asked(created) {
				whole.Series[i].Created = time.Time{}
			}
		}
		return []*metric.Family{&whole}
	default:
		for _, name := range present {
			kept = append(kept, part(f, name))
		}
	}
	if asked(created) && slices.Contains(openmetrics.SampleNames(f.Name, f.Type), created) {
		kept = append(kept, createdPart(f, created))
	}
	return slices.DeleteFunc(kept, func(f *metric.Family) bool { return len(f.Series) == 0 })
}

// part returns the samples of f with that name as a family of type unknown.
func part(f *metric.Family, name string) *metric.Family {
	out := &metric.Family{Name: name, Help: f.Help, Type: metric.Unknown}
	for s := range f.Samples() {
		if s.Name == name {
			out.Series = append(out.Series, metric.Series{Labels: s.Labels, Value: s.Value, Timestamp: s.Timestamp})
		}
	}
	sortSeries(out.Series)
	return out
}

// createdPart returns the created times of f, in seconds since the epoch, as a
// gauge.
func createdPart(f *metric.Family, name string) *metric.Family {
	out := &metric.Family{Name: name, Help: f.Help, Type: metric.Gauge}
	for i := range f.Series {
		if s := &f.Series[i]; !s.Created.IsZero() {
			out.Series = append(out.Series, metric.Series{
				Labels: s.Labels, Value: float64(s.Created.UnixNano()) / 1e9, Timestamp: s.Timestamp,
			})
		}
	}
	return out
}
