package aggregate

import (
	"math"
	"slices"

	"github.com/multiprom/multiprom/metric"
	"github.com/multiprom/multiprom/mmapstore/pyfile"
)

// pythonPlan leads the records of client_python's files of one kind to their
// slots by their keys. All files share it: a file more takes no plan of its own,
// unless its gauges are of its process alone.
type pythonPlan struct {
	keys    *pyfile.KeySet
	slots   []slot       // by number of the series
	targets []target     // by number of the key
	sums    []float64    // by number of the key, NaN where there is none; while files are merged
	missing bool         // a series has no family: a histogram without a bound yet
	counted map[int]bool // series that were counted as conflicts
}

// target is where the value of a record goes.
type target struct {
	slot   slot // without a family where it is left out
	part   pyfile.Part
	bucket int // its number, of a bucket
}

func kindIsOwn(k pyfile.Kind) bool { return k.Type == metric.Gauge && k.Mode.Base() == metric.ModeAll }

// planPython brings the plans up to date with what the file holds.
func (t *table) planPython(f *file) {
	keys := f.python.Keys()
	p := t.python[keys]
	if p == nil {
		p = &pythonPlan{keys: keys, counted: map[int]bool{}}
		t.python[keys] = p
	}
	if !kindIsOwn(keys.Kind()) {
		p.extend(t)
		return
	}
	p.targets = append(p.targets, make([]target, len(keys.Keys())-len(p.targets))...)
	records := f.python.Records()
	for i := len(f.own); i < len(records); i++ {
		var s slot
		if f.planLabel != "" { // else a newer process has the label: only its series is shown
			s = p.slot(t, int(keys.Keys()[records[i]].Series), f.planLabel)
		}
		f.own = append(f.own, s)
	}
}

// extend plans the keys that have no target yet.
func (p *pythonPlan) extend(t *table) {
	p.slots = slices.Grow(p.slots, len(p.keys.Series())-len(p.slots))
	p.targets = slices.Grow(p.targets, len(p.keys.Keys())-len(p.targets))
	for i := len(p.slots); i < len(p.keys.Series()); i++ {
		p.slots = append(p.slots, p.slot(t, i, ""))
	}
	for _, k := range p.keys.Keys()[len(p.targets):] {
		to := target{part: k.Part}
		if k.Part != pyfile.Ignored {
			to.slot = p.slots[k.Series]
		}
		if k.Part == pyfile.Bucket && to.slot.family != nil {
			to.bucket = bucketOf(to.slot.family.bounds, k.Bound)
		}
		p.targets = append(p.targets, to)
	}
}

// bucketOf returns the number of the bucket with that upper bound, -1 where no
// file has it any more.
func bucketOf(bounds []float64, le float64) int {
	i, there := slices.BinarySearch(bounds, le)
	if !there && !math.IsInf(le, 1) {
		return -1
	}
	return i
}

// slot returns the slot of a series, none where it is left out.
func (p *pythonPlan) slot(t *table, series int, process string) slot {
	s := &p.keys.Series()[series]
	kind := p.keys.Kind()
	fam := t.byName[s.Family.Name]
	switch {
	case fam == nil && !t.clashed[s.Family.Name]:
		p.missing = true
		return slot{}
	case fam == nil || fam.schema.Type != kind.Type || fam.schema.Mode != kind.Mode:
		if !p.counted[series] {
			p.counted[series] = true
			t.conflicts++
		}
		return slot{}
	}
	labels := s.Labels
	if process != "" {
		labels = withProcess(labels, metric.Label{Name: t.processLabel, Value: process})
	}
	to := fam.slot(labels)
	if to.family != nil {
		fam.refs[to.number]++
	}
	return to
}

// forgetPython takes the targets of plans out of the table: of all, or of those
// that lack families.
func (t *table) forgetPython(all bool) {
	for _, p := range t.python {
		if !all && !p.missing {
			continue
		}
		t.releaseAll(p.slots)
		p.slots, p.targets, p.missing = p.slots[:0], p.targets[:0], false
	}
}

// dropPlans drops the plans of all keys but those in use.
func (t *table) dropPlans(used map[*pyfile.KeySet]bool) {
	t.forgetPython(true)
	for keys := range t.python {
		if !used[keys] {
			delete(t.python, keys)
		}
	}
}

// mergePython adds up the values of a file of client_python. When its series
// began, nobody knows.
func (t *table) mergePython(f *file, from source) {
	p := t.python[f.python.Keys()]
	records, words := f.python.Records(), f.python.Words()
	records = records[:min(len(records), len(f.values)/words)]
	kind := p.keys.Kind()
	if kind.Type != metric.Gauge {
		p.sum(records, f.values, from)
		return
	}
	own := kindIsOwn(kind)
	for i, k := range records {
		to := p.targets[k]
		if own {
			to.slot = f.own[i]
		}
		to.add(kind, f.values[i*words:(i+1)*words], from)
	}
}

// sum adds the values of a file whose records all grow. What is added exactly
// goes to sums, which the processor's cache can hold, and only once for all files
// to the accumulators.
func (p *pythonPlan) sum(records []uint32, values []uint64, from source) {
	kind := p.keys.Kind()
	for len(p.sums) < len(p.targets) {
		p.sums = append(p.sums, math.NaN())
	}
	for i, k := range records {
		v := math.Float64frombits(values[i])
		sum, err := twoSum(p.sums[k], v)
		switch {
		case kind.Type != metric.Counter && (v != math.Trunc(v) || v < 0):
			p.targets[k].add(kind, values[i:i+1], from) // each count is rounded by itself
		case err == 0:
			p.sums[k] = sum
		case math.IsNaN(p.sums[k]) && v-v == 0: // the first, and finite
			p.sums[k] = v
		default:
			p.targets[k].add(kind, values[i:i+1], from)
		}
	}
}

// settle adds the sums of all files to the slots.
func (p *pythonPlan) settle(from source) {
	var word [1]uint64
	for k, v := range p.sums {
		if !math.IsNaN(v) {
			word[0] = math.Float64bits(v)
			p.targets[k].add(p.keys.Kind(), word[:], from)
			p.sums[k] = math.NaN()
		}
	}
}

// add adds one record's value where it counts.
func (to *target) add(kind pyfile.Kind, w []uint64, from source) {
	if to.slot.family != nil && to.slot.since() <= 0 {
		to.slot.family.settled = true
		if kind.Type == metric.Gauge && kind.Mode.Base() != metric.ModeSum {
			to.slot.family.chosen(to.slot.number).addPython(kind.Mode, w, from)
		} else {
			to.slot.family.sums(to.slot.number).addPython(kind, *to, w, from)
		}
	}
}

// notePython notes that a living process has the series of its file.
func (t *table) notePython(f *file) {
	note := func(s slot) {
		if s.family != nil {
			s.family.noteLiving(s.number, 0)
		}
	}
	targets := t.python[f.python.Keys()].targets
	for _, k := range f.python.Records() {
		note(targets[k].slot)
	}
	for _, s := range f.own {
		note(s)
	}
}

// addPython adds one record's value, by client_python's rules: w has the bits of
// the value and, in the mostrecent modes, of its time.
func (a *accumulator) addPython(kind pyfile.Kind, to target, w []uint64, from source) {
	v := math.Float64frombits(w[0])
	switch kind.Type {
	case metric.Counter:
		a.enter(0)
		a.sum.add(v)
	case metric.Summary:
		a.enter(0)
		if to.part == pyfile.Count {
			a.ints += whole(v)
		} else {
			a.sum.add(v)
		}
	case metric.Histogram:
		a.enter(0)
		switch {
		case to.part != pyfile.Bucket:
			a.sum.add(v)
		case to.bucket >= 0:
			a.counts[to.bucket] += whole(v)
		}
	case metric.Gauge:
		if kind.Mode.Base() != metric.ModeSum {
			a.chosen.addPython(kind.Mode, w, from)
		} else if !kind.Mode.Live() || from.live {
			a.enter(0)
			a.sum.add(v)
			a.set = true
		}
	}
}

// addPython adds the value of a gauge that is not summed. One that nobody has set is 0
// there.
func (c *chosen) addPython(mode metric.Mode, w []uint64, from source) {
	if mode.Live() && !from.live {
		return
	}
	v := math.Float64frombits(w[0])
	if mode.Base() != metric.ModeMostRecent {
		c.enter(0)
		c.gauge(mode.Base(), v)
		return
	}
	nanos := int64(math.Float64frombits(w[1]) * 1e9)
	if nanos == 0 {
		return // nobody has set it: not even 0 is shown
	}
	c.enter(0)
	if nanos != c.nanos { // of two values of one time, the first file's
		c.recent(v, nanos, from.now)
	}
}

// whole turns a float that counts into a whole number.
func whole(f float64) uint64 {
	if !(f > 0) {
		return 0
	}
	return uint64(math.Min(math.Round(f), 1<<63))
}
