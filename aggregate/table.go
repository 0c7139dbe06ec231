package aggregate

import (
	"slices"

	"github.com/multiprom/multiprom/metric"
	"github.com/multiprom/multiprom/mmapstore"
	"github.com/multiprom/multiprom/mmapstore/pyfile"
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
	archive      *archived          // whose series are placed, or nil
	ended        []*slot            // series that some process has removed
	unused       bool               // a slot may have lost its last reference
	python       map[*pyfile.KeySet]*pythonPlan
	forgotten    bool  // runs or the archive were forgotten: others' series are the eldest now
	loose        []int // series of the archive of which something is not in a dense
}

// family is one merged family.
type family struct {
	name   string
	schema *metric.Schema // the definition that is served; its labels differ by instrument
	bounds []float64      // of a histogram: the union over all files
	index  index
	order  []*slot // all of index, by labels unless stale
	stale  bool
	dense  dense
	found  int32 // number of the slot that was found last

	// How the values come about. What dense has holds from one scrape to the next,
	// what the slots have is of one.
	dirty   bool // dense lacks something, or has too much
	spilled bool // likewise, since not all of it has room there
	anew    bool // this merge fills dense anew
	settled bool // the values are in the slots; else all of them are in dense
	traced  bool // some slot has an exemplar
	ending  bool // a part of some series does not count any more

	shown shown
}

// slot is one merged series. There may be millions: what few of them have stands
// elsewhere.
type slot struct {
	family *family
	number int32          // in the family's dense, where that has it
	refs   int32          // steps and runs that lead here
	text   string         // by which the index has it
	labels *metric.Labels // nil where the text says them, see index

	acc       *accumulator // see sums
	lives     *lives       // nil where no process has removed it
	exemplars *exemplarSet // nil before the first
}

// since returns from when on parts count: not those that were made before.
func (s *slot) since() int64 {
	if s.lives == nil {
		return always
	}
	return s.lives.end
}

// sums returns the accumulator. Of most series, dense has all that there is.
func (s *slot) sums() *accumulator {
	if s.acc == nil {
		s.acc = &accumulator{}
		if s.family.schema.Type == metric.Histogram {
			s.acc.counts = make([]uint64, len(s.family.bounds)+1)
		}
	}
	return s.acc
}

// step is one series of one file: where its values lie and go. slot is nil
// where the series is left out.
type step struct {
	slot    *slot
	series  int // its number in the file
	schema  *metric.Schema
	at, n   int // in the file's values
	created int64
	removed int64 // when the process removed it, 0 where it has not
	bucket  []int // of a histogram whose bounds are not the family's: where each bucket goes
}

func (t *table) init(processLabel string) {
	t.processLabel = processLabel
	t.byName = map[string]*family{}
	t.taken = map[string]*family{}
	t.python = map[*pyfile.KeySet]*pythonPlan{}
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

// plan brings the table up to date with what the files and the archive hold now.
// listed is when the directory was listed, in nanoseconds since 1970.
func (t *table) plan(files []*file, arc *archived, listed int64) {
	if t.topology.update(files, arc) {
		nameProcesses(files, arc)
		t.choose(files, arc)
		t.forgetPython(false)
	}
	for _, f := range files {
		if f.planEpoch != f.epoch || f.planLabel != f.label {
			t.forget(f)
			if f.planEpoch != f.epoch {
				f.conflicts = 0
			}
			f.planEpoch, f.planLabel = f.epoch, f.label
		}
		if f.counted != f.live {
			f.counted = f.live
			f.recountLive()
		}
		if f.python != nil {
			t.planPython(f)
		} else {
			t.extend(f)
		}
	}
	if t.archive != arc {
		t.forgetArchive()
		t.placeArchive(arc)
	}
	t.findEldest(files)
	t.endLives(files, listed)
	if t.unused {
		t.sweep()
	}
}

// sweep drops the slots that no file and no archive leads to.
func (t *table) sweep() {
	t.unused = false
	for _, fam := range t.byName {
		fam.order = slices.DeleteFunc(fam.order, func(s *slot) bool {
			if s.refs == 0 {
				fam.shown.layout = 0
				fam.index.drop(s)
				if _, ok := denseWords(fam.schema); ok {
					fam.dense.drop(s)
				}
			}
			return s.refs == 0
		})
		fam.dense.sortFree()
	}
}

// forgetArchive takes the archive's series out of the table.
func (t *table) forgetArchive() {
	if t.archive == nil {
		return
	}
	for i := range t.archive.series {
		if s := &t.archive.series[i]; s.slot != nil {
			s.slot.family.dirty = true
			s.slot.refs--
			t.unused = t.unused || s.slot.refs == 0
			s.slot = nil
		}
	}
	t.archive, t.forgotten, t.loose = nil, true, t.loose[:0]
}

// placeArchive leads the archive's series to their slots. Those of a
// definition that is not served stay in the archive.
func (t *table) placeArchive(arc *archived) {
	t.archive = arc
	for i := range arc.series {
		t.loose = append(t.loose, i)
		s := &arc.series[i]
		fam := t.byName[s.schema.Name]
		if fam == nil || !compatible(fam.schema, s.schema) {
			continue
		}
		labels := s.labels
		if s.process >= 0 {
			labels = t.withProcess(labels, arc.Processes[s.process].Label)
		}
		s.slot = fam.slot(labels)
		s.slot.refs++
		s.begin()
		fam.dirty = true
		s.bucket = nil
		if s.schema.Type == metric.Histogram && !slices.Equal(s.schema.Bounds, fam.bounds) {
			s.bucket = placeBuckets(s.schema.Bounds, fam.bounds)
		}
	}
}

// forget takes a file's steps out of the table.
func (t *table) forget(f *file) {
	for _, steps := range [][]step{f.steps, f.removedSteps} {
		for _, s := range steps {
			if s.slot != nil {
				s.slot.refs--
				t.unused = t.unused || s.slot.refs == 0
			}
		}
	}
	for _, r := range f.runs {
		r.family.dirty = true
		t.release(r.family.dense.slots[r.slot:][:r.n])
		t.forgotten = true
	}
	t.release(f.own)
	f.planned, f.plannedAt = 0, 0
	f.runs, f.steps, f.removedSteps, f.own = f.runs[:0], f.steps[:0], f.removedSteps[:0], f.own[:0]
}

// recountLive has the sums of live gauges added up anew that the file takes part in.
func (f *file) recountLive() {
	for i := range f.runs {
		if fam := f.runs[i].family; fam.schema.Mode.Live() {
			fam.dirty = true
		}
	}
}

// findEldest finds anew when the series in dense began, where a file is gone whose
// were the first.
func (t *table) findEldest(files []*file) {
	if !t.forgotten {
		return
	}
	t.forgotten = false
	for _, fam := range t.byName {
		for i := range fam.dense.created {
			fam.dense.created[i] = never
		}
		fam.shown.all = true
	}
	for i := range t.archive.series {
		t.archive.series[i].begin()
	}
	for _, f := range files {
		f.eachInRuns(func(s *slot, created int64) { s.family.dense.begin(s, created) })
	}
}

// extend plans the series of a file that have no step yet.
func (t *table) extend(f *file) {
	for i := f.planned; i < len(f.series); i++ {
		s := &f.series[i]
		st := step{series: i, schema: s.Family, at: f.plannedAt, n: mmapstore.ValuesPerSeries(s.Family)}
		f.planned, f.plannedAt = i+1, st.at+st.n
		fam := t.byName[st.schema.Name]
		switch {
		case fam == nil || !compatible(fam.schema, st.schema):
			if i >= f.conflicts {
				f.conflicts = i + 1 // a later plan does not count it again
				t.conflicts++
			}
		case perProcess(st.schema) && f.planLabel == "":
			// A newer process has taken the label: only its series is shown.
		case perProcess(st.schema):
			st.slot = fam.slot(t.withProcess(s.Labels(), f.planLabel))
			st.begin(fam, s)
			f.steps = append(f.steps, st)
		default:
			st.slot = fam.slotOf(s)
			if !f.addRun(fam, st.slot, i, st.at) {
				st.begin(fam, s)
				f.steps = append(f.steps, st)
			}
		}
	}
	for i := len(f.removedSteps); i < len(f.removed); i++ {
		st := nextStep(f.removedSteps, &f.removed[i])
		if fam := t.byName[st.schema.Name]; fam != nil && compatible(fam.schema, st.schema) && shared(st.schema) {
			st.slot = fam.slotOf(&f.removed[i])
			st.begin(fam, &f.removed[i])
			st.removed = f.removed[i].RemovedNanos()
		}
		f.removedSteps = append(f.removedSteps, st)
	}
}

// nextStep returns a step without a slot, whose values lie behind the last one's.
func nextStep(steps []step, s *mmapstore.SeriesInfo) step {
	st := step{schema: s.Family, n: mmapstore.ValuesPerSeries(s.Family)}
	if n := len(steps); n > 0 {
		st.at = steps[n-1].at + steps[n-1].n
	}
	return st
}

// begin notes that the step leads to its slot.
func (st *step) begin(fam *family, info *mmapstore.SeriesInfo) {
	st.slot.refs++
	st.created = info.CreatedNanos()
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

// slotOf returns the slot of a file's series, which then shares its text.
func (f *family) slotOf(s *mmapstore.SeriesInfo) *slot {
	if !f.index.hasShape(s.Family) {
		return f.slot(s.Labels())
	}
	to := f.guess(s.Text())
	if to == nil {
		to = f.index.byText.find(s.Text())
	}
	if to == nil {
		if !f.index.says(s.Text()) {
			return f.slot(s.Labels()) // further labels, which may be in any order
		}
		to = f.newSlot(nil)
		f.index.addText(to, s.Text())
	}
	f.found = to.number
	s.Share(to.text)
	return to
}

// guess returns the slot behind the one that was found last, if it has the text:
// processes make the same series in the same order.
func (f *family) guess(text string) *slot {
	if next := int(f.found) + 1; next < len(f.dense.slots) {
		if s := f.dense.slots[next]; s != nil && s.text == text && s.labels == nil {
			return s
		}
	}
	return nil
}

// slot returns the slot of these labels.
func (f *family) slot(labels metric.Labels) *slot {
	to := f.index.find(labels)
	if to == nil {
		to = f.newSlot(&labels)
		f.index.add(to)
	}
	return to
}

func (f *family) newSlot(labels *metric.Labels) *slot {
	s := &slot{family: f, labels: labels}
	if stride, ok := denseWords(f.schema); ok {
		if f.schema.Type == metric.Histogram {
			stride = len(f.bounds) + 1
		}
		f.dense.number(s, stride)
	}
	f.order = append(f.order, s)
	f.stale = true
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
