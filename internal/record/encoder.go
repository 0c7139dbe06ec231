package record

import (
	"encoding/binary"
	"hash/maphash"
	"maps"
	"math"
	"slices"
	"time"

	"github.com/multiprom/multiprom/internal/inspect"
	"github.com/multiprom/multiprom/internal/views"
	"github.com/multiprom/multiprom/metric"
)

// encoder makes ticks. It knows what the ticks before have said.
type encoder struct {
	begun     bool
	families  map[familyKey]*encodedFamily
	processes map[string]*encodedProcess // by key
	counts    struct{ families, series int }
	firsts    []int32  // by number of the series: its first value
	last      []uint64 // all values

	newFamilies, newSeries, gone, positions, values []byte
	counted                                         struct{ families, series, gone, changes int }
	lastGone, lastPosition                          int

	grown  func(family, key string, by float64) // is told what a process has counted since the last tick
	living map[string]string                    // process IDs of the processes that lived at the last tick, by key
	labels metric.Labels
	series metric.Series
	key    []byte
	words  []uint64
}

// familyKey tells apart families of one name: of other types, bounds, and of processes.
type familyKey struct {
	name    string
	typ     metric.Type
	bounds  int
	process bool
}

type encodedFamily struct {
	number int
	family Family
	layout uint64
	rev    uint32
	rows   []int32          // number of the series of each row
	byHash map[uint64]int32 // number of the series by its labels
	seen   uint64           // of the last tick that had it
}

var labelSeed = maphash.MakeSeed()

// reset has the next tick say everything.
func (e *encoder) reset() { *e = encoder{living: e.living, grown: e.grown} }

// tick returns the tick of what is seen now. deaths is appended as it is.
func (e *encoder) tick(number uint64, at time.Time, s *inspect.Sight, deaths []byte) []byte {
	first := !e.begun
	if first {
		e.begun, e.families, e.processes = true, map[familyKey]*encodedFamily{}, map[string]*encodedProcess{}
	}
	e.newFamilies, e.newSeries, e.gone, e.positions, e.values = e.newFamilies[:0], e.newSeries[:0], e.gone[:0], e.positions[:0], e.values[:0]
	e.counted.families, e.counted.series, e.counted.gone, e.counted.changes, e.lastGone, e.lastPosition = 0, 0, 0, 0, 0, 0
	for i := range s.Families {
		e.addFamily(number, &s.Families[i])
	}
	e.addProcesses(number, s.Processes, !first)
	for key, f := range e.families {
		if f.seen != number && !f.family.Process {
			e.drop(slices.Sorted(valuesIn(f.byHash)))
			delete(e.families, key)
		}
	}
	out := binary.AppendUvarint(nil, number)
	out = binary.AppendUvarint(out, uint64(at.UnixMilli()))
	out = append(out, 0)
	if first {
		out[len(out)-1] = 1
	}
	for _, part := range []struct {
		n     int
		bytes [][]byte
	}{
		{e.counted.families, [][]byte{e.newFamilies}}, {e.counted.series, [][]byte{e.newSeries}},
		{e.counted.gone, [][]byte{e.gone}}, {e.counted.changes, [][]byte{e.positions, e.values}},
	} {
		out = binary.AppendUvarint(out, uint64(part.n))
		for _, b := range part.bytes {
			out = append(out, b...)
		}
	}
	return append(out, deaths...)
}

func valuesIn(m map[uint64]int32) func(func(int32) bool) {
	return func(yield func(int32) bool) {
		for _, n := range m {
			if !yield(n) {
				return
			}
		}
	}
}

// addFamily adds what has changed in a family of the merged view.
func (e *encoder) addFamily(number uint64, v *views.Family) {
	n := v.Len()
	if n == 0 {
		return
	}
	var bounds []float64
	e.read(v, 0)
	for _, b := range e.series.Buckets[:max(0, len(e.series.Buckets)-1)] {
		bounds = append(bounds, b.UpperBound)
	}
	f := e.familyOf(number, Family{Name: v.Name, Type: v.Type, Bounds: bounds})
	same := v.Layout != 0 && v.Layout == f.layout && len(f.rows) == n
	if !same {
		e.place(f, v)
	}
	for i, at := range f.rows {
		if same && v.Revisions != nil && v.Revisions[i] <= f.rev {
			continue
		}
		e.read(v, i)
		e.words = appendValues(e.words[:0], v.Type, &e.series)
		if len(e.words) == f.family.valuesOf() { // else it has buckets of its own
			e.change(int(e.firsts[at]), e.words)
		}
	}
	f.layout, f.rev = v.Layout, v.Revision
}

func (e *encoder) read(v *views.Family, i int) {
	if v.Rows != nil {
		v.Rows.Read(i, &e.series)
	} else {
		e.series = v.Series[i]
	}
}

// familyOf returns the family, which may be new.
func (e *encoder) familyOf(number uint64, family Family) *encodedFamily {
	key := familyKey{family.Name, family.Type, len(family.Bounds), family.Process}
	f := e.families[key]
	if f != nil && !slices.Equal(f.family.Bounds, family.Bounds) {
		e.drop(slices.Sorted(valuesIn(f.byHash)))
		f = nil
	}
	if f == nil {
		f = &encodedFamily{number: e.counts.families, family: family, byHash: map[uint64]int32{}}
		e.families[key] = f
		e.counts.families++
		e.counted.families++
		e.newFamilies = appendString(e.newFamilies, family.Name)
		process := byte(0)
		if family.Process {
			process = 1
		}
		e.newFamilies = append(e.newFamilies, byte(family.Type), process)
		e.newFamilies = binary.AppendUvarint(e.newFamilies, uint64(len(family.Bounds)))
		for _, b := range family.Bounds {
			e.newFamilies = binary.LittleEndian.AppendUint64(e.newFamilies, math.Float64bits(b))
		}
	}
	f.seen = number
	return f
}

// place finds the series of each row, since some have come or gone.
func (e *encoder) place(f *encodedFamily, v *views.Family) {
	f.rows = slices.Grow(f.rows[:0], v.Len())
	there := make(map[uint64]int32, v.Len())
	for i := range v.Len() {
		if v.Rows != nil {
			e.labels = v.Rows.AppendLabels(e.labels[:0], i)
		} else {
			e.labels = append(e.labels[:0], v.Series[i].Labels...)
		}
		f.rows = append(f.rows, e.seriesOf(f, e.labels, there))
	}
	e.dropRest(f, there)
}

// seriesOf returns the number of a series, which may be new, and notes that it is there.
func (e *encoder) seriesOf(f *encodedFamily, labels metric.Labels, there map[uint64]int32) int32 {
	e.key = appendLabels(e.key[:0], labels)
	hash := maphash.Bytes(labelSeed, e.key)
	at, known := f.byHash[hash]
	if !known {
		at = e.newOf(f)
	}
	there[hash] = at
	return at
}

// newOf returns the number of a new series, whose labels are in key.
func (e *encoder) newOf(f *encodedFamily) int32 {
	at := int32(e.counts.series)
	e.counts.series++
	e.counted.series++
	e.newSeries = binary.AppendUvarint(e.newSeries, uint64(f.number))
	e.newSeries = binary.AppendUvarint(e.newSeries, uint64(len(e.key)))
	e.newSeries = append(e.newSeries, e.key...)
	e.firsts = append(e.firsts, int32(len(e.last)))
	e.last = append(e.last, make([]uint64, f.family.valuesOf())...)
	return at
}

// dropRest drops the series of a family that are not there any more.
func (e *encoder) dropRest(f *encodedFamily, there map[uint64]int32) {
	var gone []int32
	for hash, at := range f.byHash {
		if _, kept := there[hash]; !kept {
			gone = append(gone, at)
		}
	}
	slices.Sort(gone)
	e.drop(gone)
	f.byHash = there
}

// drop notes that series are gone.
func (e *encoder) drop(gone []int32) {
	for _, at := range gone {
		e.gone = binary.AppendVarint(e.gone, int64(int(at)-e.lastGone))
		e.lastGone = int(at)
		e.counted.gone++
	}
}

// change notes the values of a series that have changed.
func (e *encoder) change(first int, now []uint64) {
	for i, v := range now {
		at := first + i
		if e.last[at] == v {
			continue
		}
		e.positions = binary.AppendVarint(e.positions, int64(at-e.lastPosition))
		e.values = appendChange(e.values, e.last[at], v)
		e.last[at], e.lastPosition = v, at
		e.counted.changes++
	}
}

// The labels of what a process has counted.
const (
	labelKey     = "incarnation"
	LabelProcess = "process" // its process ID
)

// encodedProcess is a process with what it had at the last tick.
type encodedProcess struct {
	label  string
	seen   uint64          // of the last tick that had it
	totals []inspect.Total // sorted by name
	at     []int32         // likewise: number of the series, or -1
}

// addProcesses adds what each process has counted. known says that what it had at the last tick
// is known.
func (e *encoder) addProcesses(number uint64, processes []inspect.Process, known bool) {
	for i := range processes {
		p, known := &processes[i], known
		old := e.processes[p.Key]
		if old != nil && old.label != p.Label { // it has not counted all of that now
			e.dropProcess(old)
			old, known = nil, false
		}
		if old == nil {
			old = &encodedProcess{label: p.Label}
			e.processes[p.Key] = old
		}
		old.seen = number
		if n := len(p.Totals); n != len(old.totals) || n > 0 && &p.Totals[0] != &old.totals[0] { // else nothing has changed
			e.addTotals(number, p, old, known)
		}
	}
	for key, p := range e.processes {
		if p.seen != number {
			e.dropProcess(p)
			delete(e.processes, key)
		}
	}
}

func (e *encoder) dropProcess(p *encodedProcess) {
	var gone []int32
	for _, at := range p.at {
		if at >= 0 {
			gone = append(gone, at)
		}
	}
	slices.Sort(gone)
	e.drop(gone)
}

// addTotals adds what a process has counted.
func (e *encoder) addTotals(number uint64, p *inspect.Process, old *encodedProcess, known bool) {
	places := make([]int32, len(p.Totals))
	var gone []int32
	was := 0 // what is before it in old is done
	skip := func(before string) {
		for ; was < len(old.totals) && (before == "" || old.totals[was].Family < before); was++ {
			if old.at[was] >= 0 {
				gone = append(gone, old.at[was])
			}
		}
	}
	for i, t := range p.Totals {
		skip(t.Family)
		at := int32(-1)
		if was < len(old.totals) && old.totals[was].Family == t.Family {
			at = old.at[was]
			was++
		}
		switch {
		case at < 0 && t.Counted == 0:
		case at < 0:
			f := e.familyOf(number, Family{Name: t.Family, Type: metric.Counter, Process: true})
			e.key = appendLabels(e.key[:0], metric.Labels{{Name: labelKey, Value: p.Key}, {Name: LabelProcess, Value: p.Label}})
			at = e.newOf(f)
			fallthrough
		default:
			if known {
				e.grown(t.Family, p.Key, t.Counted-math.Float64frombits(e.last[e.firsts[at]]))
			}
			e.words = append(e.words[:0], math.Float64bits(t.Counted))
			e.change(int(e.firsts[at]), e.words)
		}
		places[i] = at
	}
	skip("")
	slices.Sort(gone)
	e.drop(gone)
	old.totals, old.at = p.Totals, places
}

// appendValues appends the values of a series, as bits.
func appendValues(dst []uint64, t metric.Type, s *metric.Series) []uint64 {
	bits := math.Float64bits
	switch t {
	case metric.Histogram, metric.GaugeHistogram:
		before := uint64(0)
		for _, b := range s.Buckets {
			dst = append(dst, bits(float64(b.Count-before)))
			before = b.Count
		}
		return append(dst, bits(s.Sum))
	case metric.Summary:
		return append(dst, bits(float64(s.Count)), bits(s.Sum))
	case metric.Info:
		return append(dst, bits(1))
	case metric.StateSet:
		on := uint64(0)
		for i, st := range s.States {
			if st.On && i < 52 {
				on |= 1 << i
			}
		}
		return append(dst, bits(float64(on)))
	}
	return append(dst, bits(s.Value))
}

// appendDeaths returns the part of a tick that says which processes have died since the last
// one, with their last values. values returns these, or nothing if they are gone already.
func (e *encoder) appendDeaths(processes []inspect.Process, values func(key string) []*metric.Family) []byte {
	const mostSamples = 20_000
	now := map[string]string{}
	for i := range processes {
		if p := &processes[i]; p.Slot >= 0 {
			now[p.Key] = p.Label
		}
	}
	var out []byte
	n := 0
	for _, key := range slices.Sorted(maps.Keys(e.living)) {
		id := e.living[key]
		if _, lives := now[key]; lives {
			continue
		}
		var samples []byte
		count := 0
		for _, f := range values(key) {
			for s := range f.Samples() {
				if count == mostSamples {
					break
				}
				samples = appendString(samples, s.Name+s.Labels.String())
				samples = binary.LittleEndian.AppendUint64(samples, math.Float64bits(s.Value))
				count++
			}
		}
		out = appendString(out, id)
		out = append(binary.AppendUvarint(out, uint64(count)), samples...)
		n++
	}
	e.living = now
	return append(binary.AppendUvarint(nil, uint64(n)), out...)
}
