package aggregate

import (
	"math"

	"github.com/multiprom/multiprom/aggregate/internal/snapshot"
	"github.com/multiprom/multiprom/internal/histogram"
	"github.com/multiprom/multiprom/internal/inspect"
	"github.com/multiprom/multiprom/internal/mpm"
	"github.com/multiprom/multiprom/internal/pyfile"
	"github.com/multiprom/multiprom/metric"
)

// addTotals adds what each family has counted and how many bytes it takes, by process.
// Families that the merged view leaves out are left out here too.
func (a *Aggregator) addTotals(processes []inspect.Process, bytes bool) {
	byFile := map[string]*inspect.Process{}
	for i := range processes {
		p := &processes[i]
		p.Totals = map[string]inspect.Total{}
		for _, name := range p.Files {
			byFile[name] = p
		}
	}
	for _, f := range a.snapshot.Files {
		p := byFile[f.Name]
		switch {
		case p == nil:
		case f.Python != nil:
			a.addPythonTotals(p, f)
		default:
			a.addNativeTotals(p, f, bytes)
		}
	}
}

func (a *Aggregator) addNativeTotals(p *inspect.Process, f *snapshot.File, bytes bool) {
	totals := map[*metric.Schema]*inspect.Total{}
	for _, s := range f.Families {
		if a.table.Serves(s) {
			totals[s] = &inspect.Total{}
		}
	}
	at := 0
	var of *metric.Schema
	var t *inspect.Total // totals[of]: series of one schema follow each other
	for n := range f.Series.Len() {
		s := f.Series.Schema(n)
		words := f.Values[at:][:f.Series.ValuesOf(n)]
		if at += len(words); s != of {
			of, t = s, totals[s]
		}
		if t != nil && f.Series.Has(n) {
			t.Counted += counted(s, words)
			if bytes {
				t.Bytes += f.Series.BytesOf(n)
			}
		}
	}
	for i := range f.Regions.Len() {
		series := int(f.RegionOwners[i])
		if !f.Regions.Has(i) || series < 0 {
			continue
		}
		if t := totals[f.Series.Schema(series)]; t != nil {
			for _, w := range f.RegionValues[histogram.RegionBuckets*i:][:histogram.RegionBuckets] {
				t.Counted += float64(w)
			}
			if bytes {
				t.Bytes += mpm.RegionBytes
			}
		}
	}
	for s, t := range totals {
		addTotal(p, s.Name, *t)
	}
}

func addTotal(p *inspect.Process, family string, t inspect.Total) {
	sum := p.Totals[family]
	p.Totals[family] = inspect.Total{Counted: sum.Counted + t.Counted, Bytes: sum.Bytes + t.Bytes}
}

// addPythonTotals is addTotals for a file of client_python, which has one kind of metric.
func (a *Aggregator) addPythonTotals(p *inspect.Process, f *snapshot.File) {
	served := map[string]bool{}
	for _, s := range f.Families {
		served[s.Name] = a.table.Serves(s)
	}
	keys, words := f.Python.Keys(), f.Python.Words()
	families := keys.Families()
	totals := make([]inspect.Total, len(families))
	end := int64(0)
	for i, k := range f.Python.Records() {
		key := &keys.Keys()[k]
		begin := end
		if end = f.Python.Offset(i) + int64(f.Python.Stride()); key.Part == pyfile.Ignored || (i+1)*words > len(f.Values) {
			continue
		}
		t := &totals[keys.FamilyOf(key.Series)]
		t.Bytes += end - begin
		if key.Part == countedPart(keys.Kind().Type) {
			if v := math.Float64frombits(f.Values[i*words]); v-v == 0 { // finite
				t.Counted += v
			}
		}
	}
	for i, t := range totals {
		if served[families[i].Name] && t.Bytes > 0 {
			addTotal(p, families[i].Name, t)
		}
	}
}

// countedPart returns which records of a series say what it has counted. A gauge has none.
func countedPart(t metric.Type) pyfile.Part {
	switch t {
	case metric.Counter:
		return pyfile.Value
	case metric.Summary:
		return pyfile.Count
	case metric.Histogram:
		return pyfile.Bucket
	}
	return pyfile.Ignored
}

// counted returns what the words of a series have counted, without its regions.
func counted(s *metric.Schema, words []uint64) (n float64) {
	switch s.Type {
	case metric.Counter:
		return mpm.CounterValue(words[mpm.CellCounterInts], words[mpm.CellCounterFloat])
	case metric.Histogram:
		if s.Native != nil {
			return float64(words[histogram.CellZero]) + float64(words[histogram.CellNaN])
		}
		for _, w := range words[mpm.CellHistogramBuckets:] {
			n += float64(w)
		}
	case metric.Summary:
		return float64(words[mpm.CellSummaryCount])
	}
	return n
}
