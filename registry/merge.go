package registry

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/multiprom/multiprom/gather"
	"github.com/multiprom/multiprom/internal/openmetrics"
	"github.com/multiprom/multiprom/internal/views"
	"github.com/multiprom/multiprom/metric"
)

// Merge returns one view of several gatherers, for example of a merged directory and of a
// registry with the collectors of this process. They are asked at the same time.
//
// Families of the same name and type become one, with the first help that is not empty.
// If two families clash, because they have a sample name in common but not name and
// type, the gatherer that comes first in gs wins and the other family is omitted. If two
// series of a family have the same labels, the later one is omitted and the family's
// other series stay. In both cases Gather reports an error that matches ErrDuplicate.
func Merge(gs ...gather.Gatherer) gather.Gatherer { return merged(slices.Clone(gs)) }

type merged []gather.Gatherer

func (m merged) Gather(ctx context.Context) ([]*metric.Family, error) {
	return m.gatherNamed(ctx, nil)
}

func (m merged) gatherNamed(ctx context.Context, asked asking) ([]*metric.Family, error) {
	results := make([]gathered, len(m))
	var wg sync.WaitGroup
	for i, g := range m {
		wg.Go(func() {
			_, results[i].quiet = g.(neighbours)
			families, err := protect(ctx, func(ctx context.Context) ([]*metric.Family, error) {
				return gatherNamed(ctx, g, asked)
			})
			results[i].families, results[i].err = views.Plain(families), err
		})
	}
	wg.Wait()

	families, err := join(results)
	return views.Whole(families), err
}

// gathered is what a gatherer returned.
type gathered struct {
	families []views.Family
	err      error
	quiet    bool // a family that another one has too is no error
}

// join merges what gatherers returned.
func join(results []gathered) ([]views.Family, error) {
	merge := merging{byName: make(map[string]int), bySample: make(map[string]int)}
	var errs []error
	for _, res := range results {
		errs = append(errs, res.err)
		for _, f := range res.families {
			if err := merge.add(f); !res.quiet {
				errs = append(errs, err)
			}
		}
	}
	slices.SortStableFunc(merge.families, func(a, b views.Family) int { return strings.Compare(a.Name, b.Name) })
	return merge.families, errors.Join(errs...)
}

// merging is the result of one Gather as it grows.
type merging struct {
	families []views.Family
	byName   map[string]int // number of the family
	bySample map[string]int // likewise, by all its sample names
}

func (m *merging) add(f views.Family) error {
	if i, there := m.byName[f.Name]; there && m.families[i].Type == f.Type {
		return m.extend(&m.families[i], &f)
	}
	names := openmetrics.SampleNames(f.Name, f.Type)
	for _, name := range names {
		if i, taken := m.bySample[name]; taken {
			old := &m.families[i]
			return fmt.Errorf("%w: %s %q has the name %q, as has %s %q of an earlier gatherer",
				ErrDuplicate, f.Type, f.Name, name, old.Type, old.Name)
		}
	}
	m.byName[f.Name] = len(m.families)
	for _, name := range names {
		m.bySample[name] = len(m.families)
	}
	m.families = append(m.families, f)
	return nil
}

// extend adds those series of f to old whose labels old does not have.
func (m *merging) extend(old, f *views.Family) error {
	a, b := old.Whole().Series, f.Whole().Series
	joined := *old.Family
	joined.Series = make([]metric.Series, 0, len(a)+len(b))
	if joined.Help == "" {
		joined.Help = f.Help
	}
	var taken []metric.Labels
	for len(a) > 0 && len(b) > 0 {
		switch c := compareSeries(a[0], b[0]); {
		case c < 0:
			joined.Series, a = append(joined.Series, a[0]), a[1:]
		case c > 0:
			joined.Series, b = append(joined.Series, b[0]), b[1:]
		default:
			taken, b = append(taken, b[0].Labels), b[1:]
		}
	}
	joined.Series = append(append(joined.Series, a...), b...)
	*old = views.Family{Family: &joined}
	if taken == nil {
		return nil
	}
	return fmt.Errorf("%w: an earlier gatherer has %d of the series of %s %q too, first %s%s",
		ErrDuplicate, len(taken), f.Type, f.Name, f.Name, taken[0])
}
