package aggregate

import (
	"cmp"
	"context"
	"slices"
	"strings"

	"github.com/multiprom/multiprom/aggregate/internal/sum"
	"github.com/multiprom/multiprom/internal/inspect"
	"github.com/multiprom/multiprom/internal/mpm"
	"github.com/multiprom/multiprom/internal/views"
	"github.com/multiprom/multiprom/metric"
)

// families returns the families of the merged view, also those that show no series, sorted by
// name. It reads the directory as Gather does.
func (a *Aggregator) families(ctx context.Context) (out []inspect.Family, err error) {
	a.scrape(ctx, func(_ []views.Family, e error) {
		if err = e; err == nil {
			out = a.census()
		}
	})
	return out, err
}

// census finds out which schemas there are, and which files have them.
func (a *Aggregator) census() []inspect.Family {
	t := a.table
	served := map[string]*inspect.Family{}
	for _, name := range t.Names() {
		schema, bounds, shown := t.Describe(name)
		served[name] = &inspect.Family{Schema: schemaOf(schema, bounds), Merged: shown}
	}
	type loser struct {
		inspect.Schema
		to, name string
	}
	var left []*loser
	note := func(schema *metric.Schema, o inspect.Owner, first metric.Labels) {
		if o.Series == 0 {
			return
		}
		if t.Serves(schema) {
			addOwner(&served[schema.Name].Schema, schema, o, first)
			return
		}
		to, name := t.Winner(schema)
		i := slices.IndexFunc(left, func(l *loser) bool { return l.Name == schema.Name && sum.Compatible(merging(&l.Schema), schema) })
		switch {
		case to == "":
			return // nobody has noticed it yet
		case i < 0:
			i = len(left)
			left = append(left, &loser{schemaOf(schema, nil), to, name})
		}
		addOwner(&left[i].Schema, schema, o, first)
	}
	for _, f := range a.snapshot.Files {
		if f.Known {
			o := inspect.Owner{File: f.Name, Label: cmp.Or(f.Label, f.Header.Label), State: string(stateOfProcess(f))}
			f.CountSeries(func(schema *metric.Schema, n int, first metric.Labels) {
				o.Series = n
				note(schema, o, first)
			})
		}
	}
	archive := a.snapshot.Archive
	for i := range archive.Families {
		f := &archive.Families[i]
		var first metric.Labels
		if f.Series.Len() > 0 {
			first = f.Series.AppendLabels(nil, 0)
		}
		note(f.Schema, inspect.Owner{File: mpm.ArchiveName, State: string(Dead), Series: f.Series.Len()}, first)
	}
	for _, l := range left {
		to := served[l.to]
		to.Conflicts = append(to.Conflicts, inspect.Conflict{Name: l.name, Served: to.Schema, Left: l.Schema})
	}
	out := make([]inspect.Family, 0, len(served))
	for _, f := range served {
		out = append(out, *f)
	}
	slices.SortFunc(out, func(f, g inspect.Family) int { return strings.Compare(f.Name, g.Name) })
	return out
}

func schemaOf(s *metric.Schema, bounds []float64) inspect.Schema {
	return inspect.Schema{Name: s.Name, Type: s.Type, Mode: s.Mode, Help: s.Help, Unit: s.Unit, Bounds: bounds, States: s.States, Native: s.Native}
}

// merging returns the part of d that decides which schemas merge with it.
func merging(d *inspect.Schema) *metric.Schema {
	return &metric.Schema{Name: d.Name, Type: d.Type, Mode: d.Mode, States: d.States, Bounds: d.Bounds, Native: d.Native}
}

// addOwner adds a file that has the schema to the owners of d. first has the labels of one of
// its series, for schemas that do not say them.
func addOwner(d *inspect.Schema, schema *metric.Schema, o inspect.Owner, first metric.Labels) {
	// One file may have a name several times, with other constant labels.
	if n := len(d.Owners); n > 0 && d.Owners[n-1].File == o.File {
		d.Owners[n-1].Series += o.Series
	} else {
		d.Owners = append(d.Owners, o)
	}
	labels := slices.Clone(schema.Labels)
	for _, l := range slices.Concat(schema.Const, first) {
		labels = append(labels, l.Name)
	}
	for _, name := range labels {
		if i, there := slices.BinarySearch(d.Labels, name); !there {
			d.Labels = slices.Insert(d.Labels, i, name)
		}
	}
	if !slices.Equal(d.Bounds, schema.Bounds) {
		d.Bounds = sum.Union(d.Bounds, schema.Bounds)
	}
}

// newConflicts returns the conflicts of which the log was not told yet.
func (a *Aggregator) newConflicts() (out []inspect.Conflict) {
	if a.opts.Logger == nil {
		return nil
	}
	chosen, leftOut := a.table.HasChosen(), a.table.LeftOut()
	if !chosen && leftOut == a.toldOf {
		return nil
	}
	a.toldOf = leftOut
	if !a.table.Conflicts() {
		return nil
	}
	for _, f := range a.census() {
		for _, c := range f.Conflicts {
			if a.told.first(sum.SeriesKey(merging(&c.Served), nil) + sum.SeriesKey(merging(&c.Left), nil)) {
				out = append(out, c)
			}
		}
	}
	return out
}

// newStale returns the names of files that were not read in time and of which the log was
// not told yet.
func (a *Aggregator) newStale() (names []string) {
	for _, f := range a.snapshot.Files {
		if (f.Stale || f.Unsettled > 0) && a.opts.Logger != nil && a.told.first("stale "+f.Name) {
			names = append(names, f.Name)
		}
	}
	return names
}

// tell tells the log of conflicts, and of files that were not read in time.
func (a *Aggregator) tell(conflicts []inspect.Conflict, stale []string) {
	for _, name := range stale {
		a.opts.Logger.Warn("a file changes faster than it can be read, what was read last is shown", "file", name)
	}
	for i := range conflicts {
		c := &conflicts[i]
		a.opts.Logger.Warn("a metric is defined in two ways, series of one are left out",
			"name", c.Name, "served", c.Served.String(), "served_of", inspect.OwnersOf(&c.Served),
			"left_out", c.Left.String(), "left_out_of", inspect.OwnersOf(&c.Left), "series", c.Left.Series())
	}
}

// told is what a log was told, so that it is told once.
type told map[string]bool

// first reports whether this is the first time.
func (t *told) first(key string) bool {
	const most = 1000 // what keeps changing is not worth remembering
	if *t == nil || len(*t) >= most {
		*t = told{}
	}
	known := (*t)[key]
	(*t)[key] = true
	return !known
}
