package aggregate

import (
	"fmt"
	"math"
	"slices"

	"github.com/multiprom/multiprom/metric"
	"github.com/multiprom/multiprom/mmapstore"
	"github.com/multiprom/multiprom/mmapstore/pyfile"
)

// acceptsPython returns why the archive cannot take a series of a file of
// client_python: labels may be of any length there, and a histogram may have a sum before
// it has a bucket. What it has then counts once another file has a bucket, so it stays in
// its file.
func (a *archiver) acceptsPython(f *file) error {
	keys, words := f.python.Keys(), f.python.Words()
	kind := keys.Kind()
	var labels metric.Labels
	for i, n := range f.python.Records()[:len(f.values)/words] {
		k := &keys.Keys()[n]
		name := keys.Families()[keys.FamilyOf(k.Series)].Name
		labels = keys.AppendLabels(labels[:0], k.Series)
		for _, l := range labels {
			if len(l.Value) > mmapstore.MaxStringLen {
				return fmt.Errorf("%w: the label %s of a series of %s has %d bytes, the most is %d",
					ErrNotUnderstood, l.Name, name, len(l.Value), mmapstore.MaxStringLen)
			}
		}
		switch {
		case kind.Type != metric.Histogram || a.lookup(&metric.Schema{Name: name, Type: kind.Type}) != nil:
		case k.Part == pyfile.Value && math.Float64frombits(f.values[i]) == 0: // as of a process that was killed between sum and buckets
		case !slices.ContainsFunc(f.families, func(schema *metric.Schema) bool { return schema.Name == name }):
			return fmt.Errorf("%w: the histogram %s has no bucket with a bound", ErrNotUnderstood, name)
		}
	}
	return nil
}

// addPython adds the values of a file of client_python, whose definitions are
// there already. process is the one whose gauges they are, nil where they are of
// no single one or a newer process has its label.
func (a *archiver) addPython(f *file, process *archiveProcess, from source) {
	keys, words := f.python.Keys(), f.python.Words()
	kind := keys.Kind()
	own := kindIsOwn(kind)
	if kind.Mode.Live() || own && process == nil {
		return
	}
	if !own {
		process = nil
	}
	places := a.python[keys]
	for i, n := range f.python.Records()[:len(f.values)/words] {
		k := &keys.Keys()[n]
		for int(k.Series) >= len(places) {
			places = append(places, nil)
		}
		schema := metric.Schema{Name: keys.Families()[keys.FamilyOf(k.Series)].Name, Type: kind.Type, Mode: kind.Mode}
		fam := a.lookup(&schema)
		if fam == nil {
			continue // a histogram that has no bound
		}
		to := places[k.Series]
		if to == nil || own {
			labels := keys.AppendLabels(nil, k.Series)
			if a.since(&schema, labels) > 0 {
				continue // its life is over
			}
			to = fam.at(labels, process)
			places[k.Series] = to
		}
		bucket := 0
		if k.Part == pyfile.Bucket {
			bucket = bucketOf(fam.bounds, k.Bound)
		}
		to.acc.addPython(kind, k.Part, bucket, f.values[i*words:(i+1)*words], from)
	}
	a.python[keys] = places
}
