package aggregate

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/multiprom/multiprom/metric"
	"github.com/multiprom/multiprom/mmapstore"
)

// table holds the merged series between scrapes: each series of each file
// knows its place here, so that a warm scrape hashes no label.
type table struct {
	processLabel string
	byName       map[string]*family
	sorted       []*family          // by name
	taken        map[string]*family // sample name -> the family that has it
	conflicts    uint64             // series ever left out
	topology     string             // what the definitions were chosen for
}

// family is one merged family.
type family struct {
	name   string
	schema *metric.Schema // the definition that is served; its labels differ by instrument
	bounds []float64      // of a histogram: the union over all files
	series map[string]*slot
	order  []*slot // by labels, rebuilt when stale
	stale  bool
}

// slot is one merged series with what the files of this scrape add up to.
type slot struct {
	family *family
	labels metric.Labels
	refs   int // steps that lead here

	acc accumulator
}

// step is one series of one file: where its values lie and go. slot is nil
// where the series is left out.
type step struct {
	slot    *slot
	schema  *metric.Schema
	at, n   int // in the file's values
	created int64
	bucket  []int // of a histogram whose bounds are not the family's: where each bucket goes
}

func (t *table) init(processLabel string) {
	t.processLabel = processLabel
	t.byName = map[string]*family{}
	t.taken = map[string]*family{}
}

// isRecent reports whether the series holds a value with its time.
func isRecent(s *metric.Schema) bool {
	return (s.Type == metric.Gauge || s.Type == metric.StateSet) && s.Mode.Base() == metric.ModeMostRecent
}

// perProcess reports whether each process has a series of its own.
func perProcess(s *metric.Schema) bool {
	return (s.Type == metric.Gauge || s.Type == metric.StateSet) && s.Mode.Base() == metric.ModeAll
}

// compatible reports whether two definitions of one name merge into one.
func compatible(a, b *metric.Schema) bool {
	return a.Type == b.Type && a.Mode == b.Mode && (a.Type != metric.StateSet || slices.Equal(a.States, b.States))
}

// plan brings the table up to date with what the files hold now.
func (t *table) plan(files []*file) {
	labels := processLabels(files)
	if top := topology(files); top != t.topology {
		t.topology = top
		t.choose(files)
	}
	for _, f := range files {
		if f.planEpoch != f.epoch || f.planLabel != labels[f] {
			t.forget(f)
			if f.planEpoch != f.epoch {
				f.conflicts = 0
			}
			f.planEpoch, f.planLabel = f.epoch, labels[f]
		}
		t.extend(f)
	}
	for _, fam := range t.byName {
		for key, s := range fam.series {
			if s.refs == 0 {
				delete(fam.series, key)
				fam.stale = true
			}
		}
	}
}

// topology describes which definitions which processes have. While it is the
// same, the choice of definitions stands.
func topology(files []*file) string {
	var b strings.Builder
	for _, f := range files {
		if f.reader != nil {
			fmt.Fprintf(&b, "%s %t %d %d\n", f.name, f.live, f.epoch, len(f.reader.Families()))
		}
	}
	return b.String()
}

// candidate is a definition with the newest process that has it.
type candidate struct {
	schema    *metric.Schema
	newest    int64
	live      bool
	incumbent bool
}

// choose decides for every name which definition is served: the one that is
// served already while a living process has it, else the newest process's.
// Files whose plan was made for another choice are planned anew.
func (t *table) choose(files []*file) {
	byName := map[string][]*candidate{}
	for _, f := range files {
		if f.reader == nil {
			continue
		}
		created := f.reader.Header().Created.UnixNano()
		for _, schema := range f.reader.Families() {
			t.offer(byName, schema, created, f.live)
		}
	}
	var chosen []*candidate
	for _, cs := range byName {
		slices.SortStableFunc(cs, func(a, b *candidate) int {
			return cmp.Or(
				compareBool(b.incumbent && b.live, a.incumbent && a.live),
				compareBool(b.live, a.live),
				compareBool(b.incumbent, a.incumbent),
				cmp.Compare(b.newest, a.newest))
		})
		chosen = append(chosen, cs[0])
	}
	// Incumbents keep their names; else the alphabet decides.
	slices.SortFunc(chosen, func(a, b *candidate) int {
		return cmp.Or(compareBool(b.incumbent, a.incumbent), strings.Compare(a.schema.Name, b.schema.Name))
	})
	t.install(files, chosen)
}

func (t *table) offer(byName map[string][]*candidate, schema *metric.Schema, created int64, live bool) {
	for _, c := range byName[schema.Name] {
		if compatible(c.schema, schema) {
			c.live = c.live || live
			if created > c.newest {
				c.newest, c.schema = created, schema // the newest one's help
			}
			return
		}
	}
	fam := t.byName[schema.Name]
	byName[schema.Name] = append(byName[schema.Name], &candidate{
		schema: schema, newest: created, live: live, incumbent: fam != nil && compatible(fam.schema, schema),
	})
}

// install makes the chosen definitions the table's.
func (t *table) install(files []*file, chosen []*candidate) {
	old := t.byName
	t.byName, t.taken, t.sorted = map[string]*family{}, map[string]*family{}, nil
	changed := false
	for _, c := range chosen {
		names := metric.SampleNames(c.schema.Name, c.schema.Type)
		if slices.ContainsFunc(names, func(n string) bool { return t.taken[n] != nil }) {
			continue // shares a sample name with another family: left out
		}
		bounds := unionBounds(files, c.schema)
		fam := old[c.schema.Name]
		if fam == nil || !compatible(fam.schema, c.schema) || !slices.Equal(fam.bounds, bounds) {
			changed = changed || fam != nil
			fam = &family{name: c.schema.Name, series: map[string]*slot{}, bounds: bounds}
		}
		fam.schema = c.schema
		t.byName[fam.name] = fam
		for _, n := range names {
			t.taken[n] = fam
		}
	}
	for name, fam := range old {
		changed = changed || t.byName[name] != fam
	}
	if changed {
		for _, f := range files {
			t.forget(f)
		}
	}
}

// unionBounds returns the bucket bounds of all files for one histogram.
func unionBounds(files []*file, schema *metric.Schema) []float64 {
	if schema.Type != metric.Histogram {
		return nil
	}
	var all []float64
	for _, f := range files {
		if f.reader == nil {
			continue
		}
		for _, s := range f.reader.Families() {
			if s.Name == schema.Name && s.Type == schema.Type {
				all = append(all, s.Bounds...)
			}
		}
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// forget takes a file's steps out of the table.
func (t *table) forget(f *file) {
	for _, s := range f.steps {
		if s.slot != nil {
			s.slot.refs--
		}
	}
	f.steps = f.steps[:0]
}

// extend plans the series of a file that have no step yet.
func (t *table) extend(f *file) {
	at := 0
	if n := len(f.steps); n > 0 {
		at = f.steps[n-1].at + f.steps[n-1].n
	}
	for i := len(f.steps); i < len(f.series); i++ {
		schema := f.series[i].Family
		st := step{schema: schema, at: at, n: len(f.series[i].Words)}
		if isRecent(schema) {
			st.n = 2 // value and time
		}
		at += st.n
		fam := t.byName[schema.Name]
		switch {
		case fam == nil || !compatible(fam.schema, schema):
			if i >= f.conflicts {
				f.conflicts = i + 1 // a later plan does not count it again
				t.conflicts++
			}
		case perProcess(schema) && f.planLabel == "":
			// A newer process has taken the label: only its series is shown.
		default:
			st.place(t, f, fam, &f.series[i])
		}
		f.steps = append(f.steps, st)
	}
}

// place leads the step to its slot.
func (st *step) place(t *table, f *file, fam *family, info *mmapstore.SeriesInfo) {
	labels := info.Labels()
	if perProcess(st.schema) {
		labels = t.withProcess(labels, f.planLabel)
	}
	st.slot = fam.slot(labels)
	st.slot.refs++
	st.created = info.Created.UnixNano()
	if st.schema.Type == metric.Histogram && !slices.Equal(st.schema.Bounds, fam.bounds) {
		st.bucket = placeBuckets(st.schema.Bounds, fam.bounds)
	}
}

// withProcess adds the process label; a metric's own label of that name stays,
// and the process is then named worker_pid.
func (t *table) withProcess(labels metric.Labels, process string) metric.Labels {
	name := t.processLabel
	if _, own := labels.Get(name); own {
		name = "worker_" + name
	}
	return labels.With(name, process)
}

// placeBuckets returns for each bucket of bounds, +Inf included, its place in
// the union.
func placeBuckets(bounds, union []float64) []int {
	out := make([]int, len(bounds)+1)
	for i, b := range bounds {
		out[i], _ = slices.BinarySearch(union, b)
	}
	out[len(bounds)] = len(union)
	return out
}

func (f *family) slot(labels metric.Labels) *slot {
	key := labels.String()
	s := f.series[key]
	if s == nil {
		s = &slot{family: f, labels: labels}
		if f.schema.Type == metric.Histogram {
			s.acc.counts = make([]uint64, len(f.bounds)+1)
		}
		f.series[key] = s
		f.stale = true
	}
	return s
}

func compareBool(a, b bool) int {
	switch {
	case a == b:
		return 0
	case a:
		return 1
	}
	return -1
}
