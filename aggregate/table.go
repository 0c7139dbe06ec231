package aggregate

import (
	"slices"

	"github.com/multiprom/multiprom/internal/mpm"
	"github.com/multiprom/multiprom/internal/pyfile"
	"github.com/multiprom/multiprom/metric"
)

// table holds the merged series between scrapes: each series of each file
// knows its place here, so that a warm scrape hashes no label.
type table struct {
	processLabel string
	byName       map[string]*family
	sorted       []*family          // by name
	taken        map[string]*family // sample name -> the family that has it
	clashed      map[string]bool    // names left out, since they share a sample name with another
	conflicts    uint64             // series ever left out
	topology     topology           // what the definitions were chosen for
	rechosen     bool               // they were, and nobody has looked for conflicts since
	archive      *archived          // whose series are placed, or nil
	ended        []slot             // series that some process has removed
	livesKnown   bool               // what is known of ended holds: no series has come or gone since
	unused       bool               // a slot may have lost its last reference
	gone         bool               // a text may have
	python       map[*pyfile.KeySet]*pythonPlan
	loose        []int // series of the archive of which something is not in a dense

	symbols  *mpm.SymbolTable // of all files
	renewed  int              // how many there were when they were renewed last
	renewMin int              // fewer are not worth a look at which of them are in use
}

// family is one merged family. There may be millions of series: what all of them
// have stands in columns, by the number of the slot.
type family struct {
	name    string
	schema  *metric.Schema // the definition that is served; its labels differ by instrument
	bounds  []float64      // of a histogram: the union over all files
	symbols *mpm.SymbolTable
	index   index
	most    int // of a histogram: how many series it has room for

	own, ownShape *metric.Schema // of series of one process: a definition, and what it is with the process

	symbol []mpm.Symbol // column: see index; 0 where the number is free
	refs   []int32      // column: runs, steps, series of the archive and of plans for client_python's that lead here
	free   []int32      // numbers
	order  []int32      // all numbers in use, by labels unless stale
	stale  bool

	trimmed int // how many numbers there were when columns gave back their room last

	dense dense
	acc   accumulators
	lives map[int32]*lives // of what some process has removed

	exemplars   []exemplarSet // of series that have had one
	exemplarsAt []int32       // column, empty before the first: which of them are the series', from 1 on

	// How the values come about. What dense has holds from one scrape to the next,
	// what acc has is of one.
	dirty   bool // dense lacks something, or has too much
	spilled bool // likewise, since not all of it has room there
	anew    bool // this merge fills dense anew
	settled bool // the values are in acc; else all of them are in dense
	traced  bool // there are exemplars
	ending  bool // a part in dense does not count any more
	orphans bool // the eldest part of some series has gone from dense

	shown shown
}

// slot is one merged series.
type slot struct {
	family *family // nil for none
	number int32
}

// nowhere is the number of a series that has no slot.
const nowhere = -1

func (s slot) since() int64 { return s.family.since(s.number) }

// since returns from when on parts of a series count: not those that were made before.
func (f *family) since(n int32) int64 {
	if len(f.lives) > 0 {
		if l := f.lives[n]; l != nil {
			return l.end
		}
	}
	return always
}

func (t *table) init(processLabel string, symbols *mpm.SymbolTable) {
	t.processLabel, t.symbols, t.renewMin = processLabel, symbols, 2048
	t.byName = map[string]*family{}
	t.taken = map[string]*family{}
	t.python = map[*pyfile.KeySet]*pythonPlan{}
}

// isRecent reports whether the series holds a value with its time.
func isRecent(s *metric.Schema) bool {
	return (s.Type.LikeGauge() || s.Type == metric.StateSet) && s.Mode.Base() == metric.ModeMostRecent
}

// perProcess reports whether each process has a series of its own.
func perProcess(s *metric.Schema) bool {
	return (s.Type.LikeGauge() || s.Type == metric.StateSet) && s.Mode.Base() == metric.ModeAll
}

// compatible reports whether two definitions of one name merge into one.
func compatible(a, b *metric.Schema) bool {
	return a.Type == b.Type && a.Mode == b.Mode && (a.Type != metric.StateSet || slices.Equal(a.States, b.States))
}

// plan brings the table up to date with what the files and the archive hold now.
// listed is when the directory was listed, in nanoseconds since 1970.
func (t *table) plan(files []*file, arc *archived, listed int64) {
	if t.topology.update(files, arc) {
		nameProcesses(files, arc)
		t.choose(files, arc)
		t.rechosen = true
		t.forgetPython(false)
	}
	t.measure(files, arc)
	for _, f := range files {
		if f.planEpoch != f.epoch || f.planLabel != f.label {
			t.forget(f)
			if f.planEpoch != f.epoch {
				f.conflicts = 0
			}
			f.planEpoch, f.planLabel = f.epoch, f.label
		}
		if f.counted != f.live {
			t.livesKnown = false
			f.recountLive()
		}
		if f.python != nil {
			t.livesKnown = false // its series come and go without a word
			t.planPython(f)
		} else {
			t.extend(f)
		}
	}
	if t.archive != arc {
		t.livesKnown = false
		t.forgetArchive()
		t.placeArchive(arc)
	}
	for _, fam := range t.byName {
		fam.trim()
	}
	t.endLives(files, listed)
	t.findEldest(files)
	if t.unused {
		t.sweep()
	}
	t.renewSymbols(files)
}

// sweep drops the slots that no file and no archive leads to.
func (t *table) sweep() {
	t.unused = false
	for _, fam := range t.byName {
		fam.order = slices.DeleteFunc(fam.order, func(n int32) bool {
			if fam.refs[n] > 0 {
				return false
			}
			fam.drop(n)
			t.gone = true
			return true
		})
		// The lowest numbers are given out first: those of series that come one
		// behind the other make a run.
		slices.Sort(fam.free)
		slices.Reverse(fam.free)
	}
}

// renewSymbols drops the symbols that no series has any more, where they may be half of
// all.
func (t *table) renewSymbols(files []*file) {
	if !t.gone {
		return
	}
	t.gone = false
	if t.symbols.Len() < max(t.renewMin, 2*t.renewed) {
		return
	}
	lists := func(yield func(mpm.SeriesList) bool) {
		for _, f := range files {
			_ = yield(f.series) && yield(f.removed)
			if f.reader != nil { // it may have read on, without a good end
				_ = yield(f.reader.List()) && yield(f.reader.RemovedList())
			}
		}
	}
	t.symbols.Renew(func(yield func(*mpm.Symbol) bool) {
		mpm.Symbols(lists)(yield)
		for _, fam := range t.byName {
			for n := range fam.symbol {
				yield(&fam.symbol[n])
			}
		}
	})
	for _, fam := range t.byName {
		fam.index.refill(fam.symbol)
	}
	t.renewed = t.symbols.Len()
}

// forgetArchive takes the archive's series out of the table.
func (t *table) forgetArchive() {
	arc := t.archive
	if arc == nil {
		return
	}
	for i := range arc.series {
		if s := arc.slot(i); s.family != nil {
			arc.leave(i)
			t.release(s)
		}
	}
	for i := range arc.families {
		arc.families[i].target, arc.families[i].bucket = nil, nil
	}
	t.archive, t.loose = nil, t.loose[:0]
}

// placeArchive leads the archive's series to their slots. Those of a
// definition that is not served stay in the archive.
func (t *table) placeArchive(arc *archived) {
	t.archive = arc
	for i := range arc.families {
		f := &arc.families[i]
		f.target, f.bucket = t.familyOf(f.Schema), nil
		if f.target != nil && f.Schema.Type == metric.Histogram && !slices.Equal(f.Schema.Bounds, f.target.bounds) {
			f.bucket = placeBuckets(f.Schema.Bounds, f.target.bounds)
		}
	}
	var labels metric.Labels
	for i := range arc.series {
		t.loose = append(t.loose, i) // until it has been added
		f, index := arc.of(i)
		if f.target == nil {
			continue
		}
		labels = f.Series.AppendLabels(labels[:0], index)
		if process := f.Series.Process(index); process >= 0 {
			labels = withProcess(labels, metric.Label{Name: t.processLabel, Value: arc.Processes[process].Label})
		}
		s, to := &arc.series[i], f.target.slot(labels)
		if s.number = nowhere; to.family != nil {
			s.number, s.added, s.dense = to.number, false, false
			f.target.refs[s.number]++
			arc.begin(i)
		}
	}
}

// forget takes a file's series out of the table.
func (t *table) forget(f *file) {
	t.livesKnown = false
	f.withdraw()
	t.gone = t.gone || f.planned+f.plannedRemoved > 0
	for i := range f.runs {
		r := &f.runs[i]
		for n := range r.n {
			t.release(slot{r.family, int32(r.slot + n)})
		}
	}
	for _, all := range [][]steps{f.steps, f.removedSteps} {
		for i := range all {
			for _, n := range all[i].numbers {
				t.release(slot{all[i].family, n})
			}
		}
	}
	for _, at := range f.own {
		f.plan.releaseOne(t, at)
	}
	f.unplan()
}

// release notes that something leads to a slot no longer.
func (t *table) release(s slot) {
	s.family.refs[s.number]--
	t.unused = t.unused || s.family.refs[s.number] == 0
}

// findEldest finds when the series in dense began of which the eldest part has gone.
func (t *table) findEldest(files []*file) {
	some := false
	for _, fam := range t.byName {
		some = some || fam.orphans
	}
	if !some {
		return
	}
	for i := range t.archive.series {
		if s := t.archive.slot(i); s.family != nil && s.family.orphans {
			t.archive.begin(i)
		}
	}
	for _, f := range files {
		for i := range f.runs {
			if r := &f.runs[i]; r.family.orphans {
				r.each(f, func(n int32, created int64) { r.family.begin(n, created) })
			}
		}
		f.eachRemoved(func(st *steps, i int, p *removedPart) {
			if p.counted && st.family.orphans {
				st.family.begin(st.numbers[i], f.removed.CreatedNanos(st.series+i))
			}
		})
	}
	for _, fam := range t.byName {
		if fam.orphans && slices.Contains(fam.dense.created, never) {
			fam.shown.all = true // some may have none any more
		}
		fam.orphans = false
	}
}

// extend plans the series of a file that are not planned yet.
func (t *table) extend(f *file) {
	if f.planned == f.series.Len() && f.plannedRemoved == f.removed.Len() {
		return
	}
	t.livesKnown = false
	if f.planned == 0 {
		t.reserve(f)
	}
	var last *metric.Schema
	var fam *family // of last, nil where its series are left out
	for i := f.planned; i < f.series.Len(); i++ {
		schema := f.series.Schema(i)
		if schema != last {
			last, fam = schema, t.familyOf(schema)
		}
		at := f.plannedAt
		f.planned, f.plannedAt = i+1, at+mpm.ValuesPerSeries(schema)
		var to slot
		switch {
		case fam == nil:
		case !perProcess(schema):
			to = fam.slotOf(schema, &f.series, i)
		case f.planLabel == "":
			continue // a newer process has taken the label: only its series is shown
		default:
			to = fam.ownSlotOf(schema, &f.series, i, metric.Label{Name: t.processLabel, Value: f.planLabel})
		}
		switch {
		case to.family == nil:
			if i >= f.conflicts {
				f.conflicts = i + 1 // a later plan does not count it again
				t.conflicts++
			}
		case !f.addRun(to, schema, i, at):
			f.steps = addStep(f.steps, to, schema, i, at)
		}
	}
	f.removedParts = long(f.removedParts, f.removed.Len())
	for i := f.plannedRemoved; i < f.removed.Len(); i++ {
		schema := f.removed.Schema(i)
		if fam := t.familyOf(schema); fam != nil && shared(schema) {
			if to := fam.slotOf(schema, &f.removed, i); to.family != nil {
				f.removedSteps = addStep(f.removedSteps, to, schema, i, f.plannedRemovedAt)
			}
		}
		f.plannedRemoved, f.plannedRemovedAt = i+1, f.plannedRemovedAt+mpm.ValuesPerSeries(schema)
	}
}

// reserve makes room in families that have no series yet for those of the file.
func (t *table) reserve(f *file) {
	empty := func(s *metric.Schema) bool {
		fam := t.familyOf(s)
		return fam != nil && len(fam.symbol) == 0
	}
	if !slices.ContainsFunc(f.families, empty) {
		return
	}
	for schema, n := range f.series.Counts() {
		if empty(schema) {
			t.byName[schema.Name].reserve(n)
		}
	}
}

// familyOf returns the family that series of that definition go to, nil where another
// definition is served.
func (t *table) familyOf(schema *metric.Schema) *family {
	if fam := t.byName[schema.Name]; fam != nil && compatible(fam.schema, schema) {
		return fam
	}
	return nil
}

// withProcess adds the process label; a metric's own label of that name stays,
// and the process is then named worker_pid, or, if it has that label too,
// worker_worker_pid.
func withProcess(labels metric.Labels, process metric.Label) metric.Labels {
	for {
		if _, own := labels.Get(process.Name); !own {
			return labels.With(process.Name, process.Value)
		}
		process.Name = "worker_" + process.Name
	}
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

func compareBool(a, b bool) int {
	switch {
	case a == b:
		return 0
	case a:
		return 1
	}
	return -1
}
