package table

import (
	"math"
	"slices"
	"strings"
	"time"

	"github.com/multiprom/multiprom/aggregate/internal/sum"
	"github.com/multiprom/multiprom/internal/views"
	"github.com/multiprom/multiprom/metric"
)

// Families returns what a scrape shows: families whose rows read the values on demand, until the
// table changes.
func (t *Table) Families() []views.Family {
	if t.sorted == nil {
		for _, fam := range t.byName {
			t.sorted = append(t.sorted, fam)
		}
		slices.SortFunc(t.sorted, func(a, b *family) int { return strings.Compare(a.name, b.name) })
	}
	out := make([]views.Family, 0, len(t.sorted))
	for _, fam := range t.sorted {
		if fam.arrange(); len(fam.shown.rows) > 0 {
			out = append(out, fam.show())
		}
	}
	return out
}

// shown says which rows of a family are shown, and which of them have changed.
type shown struct {
	layout     uint64 // 0 once series have come or gone
	help, unit string
	rows       []int32 // those that are shown, in order; the family's order itself if all are

	revision  uint32   // of the next time that the family is shown; from 1 on, since 0 says nothing
	revisions []uint32 // of each row that is shown
	revised   uint64   // the layout that revisions are of
	places    []int32  // by number of the row: its place among those that are shown, or -1
	all       bool     // anything may have changed
	again     bool     // the totals were added up again: series may have come or gone
	used      bool     // the accumulators were, when it was arranged last
	traced    bool     // there were exemplars
}

// touch notes that the totals of row n have changed, or may have.
func (f *family) touch(n int) {
	s := &f.shown
	switch {
	case s.all:
	case s.layout == 0 || s.revised != s.layout || n >= len(s.places) || s.places[n] < 0:
		s.all = true // the row is new or was hidden, or there will be a new layout
	default:
		s.revisions[s.places[n]] = s.revision
	}
}

// show returns the family with rows, and says which of them have changed since it was
// shown last.
func (f *family) show() views.Family {
	s := &f.shown
	if s.revised != s.layout {
		s.revisions = slices.Grow(s.revisions[:0], len(s.rows))[:len(s.rows)]
		s.revised, s.all, s.revision = s.layout, true, max(1, s.revision)
	}
	if s.all || f.traced || s.traced {
		for i := range s.revisions {
			if s.all || f.exemplarsOf(s.rows[i]) != nil {
				s.revisions[i] = s.revision
			}
		}
	}
	out := views.Family{
		Family: &metric.Family{Name: f.name, Help: f.schema.Help, Unit: f.schema.Unit, Type: f.schema.Type},
		Rows:   seriesRows{f}, Layout: s.layout, Revision: s.revision, Revisions: s.revisions,
	}
	s.all, s.traced = false, f.traced
	if s.revision++; s.revision == 0 {
		s.layout = 0 // the numbers begin again
	}
	return out
}

// seriesRows are the series that a family shows, while the table does not change.
type seriesRows struct{ *family }

func (r seriesRows) Len() int { return len(r.shown.rows) }

func (r seriesRows) AppendLabels(dst metric.Labels, i int) metric.Labels {
	return r.appendLabels(dst, r.shown.rows[i])
}

func (r seriesRows) Read(i int, out *metric.Series) {
	f := r.family
	n := f.shown.rows[i]
	native := out.Native
	*out = metric.Series{Buckets: out.Buckets[:0], States: out.States[:0]}
	if f.native != nil {
		if out.Native = native; native == nil {
			out.Native = &metric.NativeHistogram{}
		}
		out.Native.Exemplars = out.Native.Exemplars[:0]
	}
	if f.schema.Type == metric.Histogram {
		buckets := len(f.bounds) + 1
		out.Buckets = slices.Grow(out.Buckets, buckets)[:buckets]
	}
	f.fill(n, out)
	if f.traced {
		set := f.exemplarsOf(n)
		if fillExemplars(set, out); set != nil && f.native != nil {
			f.fillNativeExemplars(n, out)
		}
	}
}

// arrange sorts the rows and finds out which of them are shown, if that may have changed
// since the last scrape. If it has, the family gets a new layout.
func (f *family) arrange() {
	s := &f.shown
	if f.sorted < len(f.order) {
		sortRest(f.order, f.sorted, f.compare)
		f.sorted, s.layout = len(f.order), 0
	}
	// Values in accumulators, and not in totals, come and go without a call of touch.
	used := f.acc.used()
	s.all, s.used = s.all || s.used || used, used
	same := s.layout != 0 && s.help == f.schema.Help && s.unit == f.schema.Unit
	if same && !s.all && !s.again {
		return
	}
	s.again = false
	filter := f.infoFilter()
	there := func(n int32) bool {
		if !used {
			return f.totals.stride > 0 && f.totals.has(f, int(n))
		}
		c := f.pick(n)
		return c.Present && filter(c)
	}
	if same && s.shows(f.order, there) {
		return
	}
	s.layout, s.help, s.unit, s.rows = views.NewLayout(), f.schema.Help, f.schema.Unit, f.order
	if hides := func(n int32) bool { return !there(n) }; slices.ContainsFunc(f.order, hides) {
		s.rows = slices.DeleteFunc(slices.Clone(f.order), hides)
	}
	n := len(f.totals.created)
	s.places = slices.Grow(s.places[:0], n)[:n]
	for i := range s.places {
		s.places[i] = -1
	}
	if n > 0 {
		for i, n := range s.rows {
			s.places[n] = int32(i)
		}
	}
}

// shows reports whether the rows that are shown are those of all for which there returns true.
func (s *shown) shows(all []int32, there func(int32) bool) bool {
	rows := s.rows
	for _, n := range all {
		if !there(n) {
			continue
		}
		if len(rows) == 0 || rows[0] != n {
			return false
		}
		rows = rows[1:]
	}
	return len(rows) == 0
}

// sortRest sorts numbers of which the first ones are sorted. It takes little time for each of
// those.
func sortRest(all []int32, sorted int, compare func(a, b int32) int) {
	old := all[:sorted]
	added := slices.Clone(all[sorted:])
	slices.SortFunc(added, compare)
	end := len(all) // where what is not yet in place ends
	for i := len(added) - 1; i >= 0; i-- {
		at, _ := slices.BinarySearchFunc(old, added[i], compare)
		end -= copy(all[end-(len(old)-at):end], old[at:])
		old = old[:at]
		end--
		all[end] = added[i]
	}
}

// infoFilter returns which rows of an info are shown: those of living processes or, if none
// lives, those of the newest dead one. All rows of other types are.
func (f *family) infoFilter() func(*sum.Pick) bool {
	if f.schema.Type != metric.Info {
		return func(*sum.Pick) bool { return true }
	}
	anyLive, newest := false, int64(0)
	for _, n := range f.order {
		c := f.pick(n)
		anyLive = anyLive || c.Live
		newest = max(newest, c.Newest)
	}
	return func(c *sum.Pick) bool { return c.Live || !anyLive && c.Newest == newest }
}

// fill writes the values of a row: those of the accumulators, if these have anything, and
// otherwise those of the totals.
func (f *family) fill(n int32, out *metric.Series) {
	d := &f.totals
	if d.stride == 0 {
		f.pick(n).Fill(f.schema, out)
		return
	}
	created, counts, isCounter := d.created[n], d.of(int(n)), f.schema.Type == metric.Counter
	hi, lo := d.sum(int(n))
	count, total := counts[0], hi+lo // rounded once
	const exact = 1 << 53
	switch {
	case f.acc.used():
		a := f.sums(n)
		created, counts, count, total = a.Created, a.Counts, a.Ints, a.Sum.Round()
		if isCounter {
			total = a.Counter()
		}
	case isCounter && (count > exact || lo != 0):
		a := sum.Accumulator{Ints: count}
		a.Sum.Add(lo)
		a.Sum.Add(hi)
		total = a.Counter()
	case isCounter:
		total += float64(count)
	}
	switch f.schema.Type {
	case metric.Counter:
		out.Value = total
	case metric.Summary:
		out.Count, out.Sum = count, total
	case metric.Histogram:
		if f.native != nil {
			f.fillNative(n, out, total)
			break
		}
		cumulate(out.Buckets, f.bounds, counts)
		out.Count, out.Sum = out.Buckets[len(f.bounds)].Count, total
	case metric.Gauge, metric.Unknown:
		out.Value = total
		return
	}
	if created != 0 { // else a process of client_python has it, which does not say
		out.Created = time.Unix(0, created)
	}
}

// cumulate is metric.Cumulate without an allocation.
func cumulate(dst []metric.Bucket, bounds []float64, counts []uint64) {
	var total uint64
	for i, c := range counts {
		if total += c; total < c {
			total = math.MaxUint64
		}
		le := math.Inf(1)
		if i < len(bounds) {
			le = bounds[i]
		}
		dst[i] = metric.Bucket{UpperBound: le, Count: total}
	}
}

func fillExemplars(set exemplarSet, out *metric.Series) {
	if set != nil && len(out.Buckets) == 0 {
		out.Exemplar = set[0]
		return
	}
	for i, x := range set {
		out.Buckets[i].Exemplar = x
	}
}
