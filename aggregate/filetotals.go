package aggregate

import (
	"slices"

	"github.com/multiprom/multiprom/aggregate/internal/snapshot"
	"github.com/multiprom/multiprom/aggregate/internal/sum"
	"github.com/multiprom/multiprom/internal/histogram"
	"github.com/multiprom/multiprom/internal/mpm"
	"github.com/multiprom/multiprom/metric"
)

// fileTotals are what the series of a file have counted, and how many bytes they take, by
// schema. They are made when somebody looks at them, by a pass over all series. From then on,
// each reading moves them by what it has found changed or added. If series have gone, their
// values are gone too, so the next look passes over all of them again.
type fileTotals struct {
	watched bool // somebody has looked, so readings are followed
	known   bool // the totals are those of the last reading
	epoch   int  // the file's
	all     []schemaTotal
	runs    []run
	next    run // where the next run begins
}

// schemaTotal is the total of one schema. What is counted in whole numbers and in floats is
// kept apart, and the floats are added exactly: so taking out what was added leaves nothing.
type schemaTotal struct {
	schema *metric.Schema
	ints   uint64
	floats sum.Exact
	bytes  int64
}

// A run is a stretch of series of one schema. A number has the same schema, and its values
// have the same place, until the numbers of the file are reset.
type run struct {
	series, position int // of the first series
	each             int // values of each series
	total            int // number of its schemaTotal
}

// schemaOf returns the number of the total of a schema.
func (t *fileTotals) schemaOf(s *metric.Schema) int {
	i := slices.IndexFunc(t.all, func(one schemaTotal) bool { return one.schema == s })
	if i < 0 {
		i = len(t.all)
		t.all = append(t.all, schemaTotal{schema: s})
	}
	return i
}

// extend finds the runs of series that are new.
func (t *fileTotals) extend(l *mpm.SeriesList) {
	last := (*metric.Schema)(nil)
	if n := len(t.runs); n > 0 {
		last = t.all[t.runs[n-1].total].schema
	}
	for ; t.next.series < l.Len(); t.next.series++ {
		each := l.ValuesOf(t.next.series)
		if s := l.Schema(t.next.series); s != last {
			last = s
			t.runs = append(t.runs, run{t.next.series, t.next.position, each, t.schemaOf(s)})
		}
		t.next.position += each
	}
}

// runOf returns the number of the run for which after is false, of consecutive ones from i on.
func (t *fileTotals) runOf(i int, after func(next *run) bool) int {
	for step := 0; i+1 < len(t.runs) && after(&t.runs[i+1]); step++ {
		if step == 8 { // it is far away
			n, _ := slices.BinarySearchFunc(t.runs[i+1:], 0, func(r run, _ int) int {
				if after(&r) {
					return -1
				}
				return 1
			})
			return i + n
		}
		i++
	}
	return i
}

// begin makes the totals.
func (t *fileTotals) begin(f *snapshot.File) {
	*t = fileTotals{watched: true, known: true, epoch: f.Epoch}
	t.add(f, mpm.NumberRange{N: f.Series.Len()})
	t.addRegions(f, mpm.NumberRange{N: f.Regions.Len()})
}

// add adds series. Gaps count nothing.
func (t *fileTotals) add(f *snapshot.File, r mpm.NumberRange) {
	t.extend(&f.Series)
	for i, at := r.First, 0; i < r.First+r.N; i++ {
		at = t.runOf(at, func(next *run) bool { return next.series <= i })
		if !f.Series.Has(i) {
			continue
		}
		of := &t.runs[at]
		total := &t.all[of.total]
		total.bytes += f.Series.BytesOf(i)
		for j, w := range f.Values[of.position+(i-of.series)*of.each:][:of.each] {
			total.move(j, 0, w)
		}
	}
}

// move replaces old by now, a word of a series. j is the number of the word in its series.
func (t *schemaTotal) move(j int, old, now uint64) {
	switch s := t.schema; s.Type {
	case metric.Counter:
		if j == mpm.CellCounterInts {
			t.ints += now - old
		} else {
			t.floats.Add(sum.Finite(now))
			t.floats.Add(-sum.Finite(old))
		}
	case metric.Histogram:
		counts := j >= mpm.CellHistogramBuckets
		if s.Native != nil {
			counts = j == histogram.CellZero || j == histogram.CellNaN
		}
		if counts {
			t.ints += now - old
		}
	case metric.Summary:
		if j == mpm.CellSummaryCount {
			t.ints += now - old
		}
	}
}

// counted returns what the series have counted. Gauges count nothing.
func (t *schemaTotal) counted() float64 {
	s := t.floats
	s.Rest = slices.Clone(s.Rest)
	s.Add(float64(t.ints))
	return s.Round()
}

// addRegions adds the native buckets of live series.
func (t *fileTotals) addRegions(f *snapshot.File, r mpm.NumberRange) {
	for i := r.First; i < r.First+r.N; i++ {
		if to := t.ofRegion(f, i); to != nil {
			to.bytes += mpm.RegionBytes
			for _, w := range f.RegionValues[histogram.RegionBuckets*i:][:histogram.RegionBuckets] {
				to.ints += w
			}
		}
	}
}

// ofRegion returns the total to which a region belongs, or nil.
func (t *fileTotals) ofRegion(f *snapshot.File, region int) *schemaTotal {
	series := int(f.RegionOwners[region])
	if series < 0 || !f.Regions.Has(region) {
		return nil
	}
	return &t.all[t.runs[t.runOf(0, func(next *run) bool { return next.series <= series })].total]
}

// follow takes what a reading has found, before its changes are put into the file's values.
// It calls changed with a schema and how many of its series have changed.
func (t *fileTotals) follow(f *snapshot.File, d *snapshot.Delta, changed func(*metric.Schema, int)) {
	if !t.watched {
		return
	}
	if t.epoch != f.Epoch {
		t.begin(f)
		t.known = false // values has the old words of what has changed
		return
	}
	t.followChanges(f, d.Live.Changes, changed)
	if len(d.Live.Gone)+len(d.Regions.Gone) > 0 {
		t.known = false
	}
	for _, r := range d.Live.Added {
		t.add(f, r)
	}
	for _, c := range d.Regions.Changes {
		if to := t.ofRegion(f, c.At/histogram.RegionBuckets); to != nil {
			to.ints += c.Word - f.RegionValues[c.At]
		}
	}
	for _, r := range d.Regions.Added {
		t.addRegions(f, r)
	}
}

func (t *fileTotals) followChanges(f *snapshot.File, changes []mpm.Change, changed func(*metric.Schema, int)) {
	at, series, n := 0, -1, 0
	report := func() {
		if n > 0 {
			changed(t.all[t.runs[at].total].schema, n)
		}
		n = 0
	}
	for _, c := range changes {
		if next := t.runOf(at, func(r *run) bool { return r.position <= c.At }); next != at {
			report()
			at = next
		}
		of := &t.runs[at]
		i, j := (c.At-of.position)/of.each, (c.At-of.position)%of.each
		t.all[of.total].move(j, f.Values[c.At], c.Word)
		if of.series+i != series { // a histogram changes in several words
			series = of.series + i
			n++
		}
	}
	report()
}
