package aggregate

import (
	"slices"
	"strings"

	"github.com/multiprom/multiprom/aggregate/internal/snapshot"
	"github.com/multiprom/multiprom/aggregate/internal/sum"
	"github.com/multiprom/multiprom/internal/inspect"
	"github.com/multiprom/multiprom/internal/pyfile"
	"github.com/multiprom/multiprom/metric"
)

// addTotals adds what each family has counted and how many bytes it takes, by process.
// Families that the merged view leaves out are left out here too.
func (a *Aggregator) addTotals(processes []inspect.Process) {
	byFile := make(map[string]*inspect.Process, len(processes))
	for i := range processes {
		for _, name := range processes[i].Files {
			byFile[name] = &processes[i]
		}
	}
	for _, f := range a.snapshot.Files {
		switch p, known := byFile[f.Name], a.activity.files[f]; {
		case p == nil || known == nil:
		case len(p.Files) == 1:
			p.Totals = a.totalsOf(f, known)
		default: // of client_python
			p.Totals = joinTotals(append(p.Totals, a.totalsOf(f, known)...))
		}
	}
}

// joinTotals sorts totals and adds up those of one family.
func joinTotals(all []inspect.Total) []inspect.Total {
	slices.SortStableFunc(all, func(a, b inspect.Total) int { return strings.Compare(a.Family, b.Family) })
	out := all[:0]
	for _, t := range all {
		if n := len(out); n > 0 && out[n-1].Family == t.Family {
			out[n-1].Counted += t.Counted
			out[n-1].Bytes += t.Bytes
			continue
		}
		out = append(out, t)
	}
	return out
}

// totalsOf returns the totals of a file, sorted by name. They are the last ones if nothing has
// changed since.
func (a *Aggregator) totalsOf(f *snapshot.File, k *fileActivity) []inspect.Total {
	if !k.moved && k.surveyed == a.activity.survey.number {
		return k.totals
	}
	k.moved, k.surveyed = false, a.activity.survey.number
	if f.Python != nil {
		k.totals = a.pythonTotals(f)
		return k.totals
	}
	if !k.counted.known {
		k.counted.begin(f)
	}
	k.totals = make([]inspect.Total, 0, len(k.counted.all))
	for i := range k.counted.all {
		if t := &k.counted.all[i]; t.bytes > 0 && a.table.Serves(t.schema) { // else all its series have gone
			k.totals = append(k.totals, inspect.Total{Family: t.schema.Name, Counted: t.counted(), Bytes: t.bytes})
		}
	}
	k.totals = joinTotals(k.totals)
	return k.totals
}

// pythonTotals is totalsOf for a file of client_python, which has one kind of metric.
func (a *Aggregator) pythonTotals(f *snapshot.File) (out []inspect.Total) {
	served := map[string]bool{}
	for _, s := range f.Families {
		served[s.Name] = a.table.Serves(s)
	}
	keys, words := f.Python.Keys(), f.Python.Words()
	families := keys.Families()
	totals := make([]inspect.Total, len(families))
	counted, counts := countedPart[keys.Kind().Type]
	end := int64(0)
	for i, k := range f.Python.Records() {
		key := &keys.Keys()[k]
		begin := end
		if end = f.Python.Offset(i) + int64(f.Python.Stride()); key.Part == pyfile.Ignored || (i+1)*words > len(f.Values) {
			continue
		}
		t := &totals[keys.FamilyOf(key.Series)]
		t.Bytes += end - begin
		if key.Part == counted && counts {
			t.Counted += sum.Finite(f.Values[i*words])
		}
	}
	for i, t := range totals {
		if t.Family = families[i].Name; served[t.Family] && t.Bytes > 0 {
			out = append(out, t)
		}
	}
	return joinTotals(out)
}

// countedPart has which records of a series say what it has counted. A gauge has none.
var countedPart = map[metric.Type]pyfile.Part{metric.Counter: pyfile.Value, metric.Summary: pyfile.Count, metric.Histogram: pyfile.Bucket}
