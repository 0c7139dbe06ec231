package aggregate

import (
	"github.com/multiprom/multiprom/metric"
	"github.com/multiprom/multiprom/mmapstore/pyfile"
)

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
		s := &keys.Series()[k.Series]
		schema := metric.Schema{Name: s.Family.Name, Type: kind.Type, Mode: kind.Mode}
		fam := a.lookup(&schema)
		if fam == nil {
			continue // a histogram that has no bound
		}
		to := places[k.Series]
		if to == nil || own {
			if a.since(&schema, s.Labels) > 0 {
				continue // its life is over
			}
			to = fam.at(s.Labels, process)
			places[k.Series] = to
		}
		place := target{part: k.Part}
		if k.Part == pyfile.Bucket {
			place.bucket = bucketOf(fam.bounds, k.Bound)
		}
		to.acc.addPython(kind, place, f.values[i*words:(i+1)*words], from)
	}
	a.python[keys] = places
}
