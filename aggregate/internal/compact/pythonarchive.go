package compact

import (
	"github.com/multiprom/multiprom/aggregate/internal/snapshot"
	"github.com/multiprom/multiprom/aggregate/internal/sum"
	"github.com/multiprom/multiprom/internal/mpm"
	"github.com/multiprom/multiprom/internal/pyfile"
	"github.com/multiprom/multiprom/metric"
)

// addPython adds the values of a file of client_python. Its schemas are in the archive
// already. If the file has gauges of its process alone, process is that process, or nil if a
// newer one has its label.
func (a *Archiver) addPython(f *snapshot.File, process *processBuilder, from sum.Source) {
	keys, words := f.Python.Keys(), f.Python.Words()
	kind := keys.Kind()
	own := sum.KindIsOwn(kind)
	if kind.Mode.Live() || own && process == nil {
		return
	}
	if !own {
		process = nil
	}
	places := a.python[keys]
	for i, n := range f.Python.Records()[:len(f.Values)/words] {
		k := &keys.Keys()[n]
		for int(k.Series) >= len(places) {
			places = append(places, nil)
		}
		schema := metric.Schema{Name: keys.Families()[keys.FamilyOf(k.Series)].Name, Type: kind.Type, Mode: kind.Mode}
		fam := a.lookup(&schema)
		to := places[k.Series]
		if to == nil || own {
			labels := keys.AppendLabels(nil, k.Series)
			if l := a.lives.of(&schema, labels, mpm.Incarnation{}); l != nil && l.since > 0 {
				continue // its life is over
			}
			to = fam.at(labels, process)
			to.active = max(to.active, a.lives.now)
			places[k.Series] = to
		}
		bucket := 0
		if k.Part == pyfile.Bucket {
			bucket = sum.BucketOf(fam.Bounds, k.Bound)
		}
		to.acc.AddPython(&schema, k.Part, bucket, f.Values[i*words:(i+1)*words], from)
	}
	a.python[keys] = places
}
