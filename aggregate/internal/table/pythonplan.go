package table

import (
	"math"
	"slices"

	"github.com/multiprom/multiprom/aggregate/internal/snapshot"
	"github.com/multiprom/multiprom/aggregate/internal/sum"
	"github.com/multiprom/multiprom/internal/pyfile"
	"github.com/multiprom/multiprom/metric"
)

// pythonPlan leads the records of client_python's files of one kind to their rows, by their
// keys. All files of the kind share it, unless their gauges belong to one process alone:
// then each file has its rows in part.own.
type pythonPlan struct {
	keys     *pyfile.KeySet
	families []*family       // by number of the keys' family; nil if it is not served
	rows     []int32         // by number of the series: its row in its family, or nowhere
	targets  []recordTarget  // by number of the key
	sums     []float64       // by number of the key, NaN for none; while files are merged
	counted  map[uint32]bool // series that were counted as conflicts
}

// recordTarget is where the value of a record goes.
type recordTarget struct {
	ref          // nowhere also if each file has its own
	bucket int32 // its number, of a bucket
	part   pyfile.Part
}

// ref is a row.
type ref struct {
	family int32 // in families
	number int32 // in it, or nowhere if the record is left out
}

// planPython brings the plans up to date with what the file holds.
func (t *Table) planPython(f *snapshot.File) {
	keys := f.Python.Keys()
	p := t.python[keys]
	if p == nil {
		p = &pythonPlan{keys: keys, counted: map[uint32]bool{}}
		t.python[keys] = p
	}
	p.extend(t)
	defer p.see(f, t.part(f), t.now)
	if !sum.KindIsOwn(keys.Kind()) {
		return
	}
	part := t.part(f)
	part.plan = p
	records := f.Python.Records()
	for i := len(part.own); i < len(records); i++ {
		series := keys.Keys()[records[i]].Series
		to := ref{int32(keys.FamilyOf(series)), nowhere}
		if part.label != "" { // else a newer process has the label: only its series is shown
			to.number = p.numberOf(t, series, part.label)
		}
		part.own = append(part.own, to)
	}
}

// at returns the row of record i of a file, which has that key.
func (p *pythonPlan) at(part *part, i int, key uint32) ref {
	if i < len(part.own) {
		return part.own[i]
	}
	return p.targets[key].ref
}

// see notes which rows have changed, and forgets which records have.
func (p *pythonPlan) see(f *snapshot.File, part *part, now int64) {
	records := f.Python.Records()
	for _, i := range f.Moved {
		if int(i) >= len(records) {
			continue
		}
		if to := p.at(part, int(i), records[i]); to.number != nowhere {
			p.families[to.family].ends.see(to.number, now)
		}
	}
	f.Moved = f.Moved[:0]
}

// extend plans the keys that have no target yet.
func (p *pythonPlan) extend(t *Table) {
	if len(p.rows) == p.keys.Series() && len(p.targets) == len(p.keys.Keys()) {
		return
	}
	p.families = p.families[:0]
	for _, f := range p.keys.Families() {
		p.families = append(p.families, t.byName[f.Name])
	}
	own := sum.KindIsOwn(p.keys.Kind())
	p.rows = slices.Grow(p.rows, p.keys.Series()-len(p.rows))
	p.targets = slices.Grow(p.targets, len(p.keys.Keys())-len(p.targets))
	for i := len(p.rows); i < p.keys.Series(); i++ {
		number := int32(nowhere)
		if !own {
			number = p.numberOf(t, uint32(i), "")
		}
		p.rows = append(p.rows, number)
	}
	for _, k := range p.keys.Keys()[len(p.targets):] {
		to := recordTarget{ref: ref{number: nowhere}, part: k.Part}
		if k.Part != pyfile.Ignored {
			to.ref = ref{int32(p.keys.FamilyOf(k.Series)), p.rows[k.Series]}
		}
		if k.Part == pyfile.Bucket && to.number != nowhere {
			to.bucket = int32(sum.BucketOf(p.families[to.family].bounds, k.Bound))
		}
		p.targets = append(p.targets, to)
	}
}

// numberOf returns the number of the row of a series, or nowhere if it is left out.
func (p *pythonPlan) numberOf(t *Table, series uint32, process string) int32 {
	kind, n := p.keys.Kind(), p.keys.FamilyOf(series)
	fam, name := p.families[n], p.keys.Families()[n].Name
	switch {
	case fam == nil && !t.clashed[name]:
		return nowhere // no file that is read has it now
	case fam == nil || fam.schema.Type != kind.Type || fam.schema.Mode != kind.Mode:
		return p.leaveOut(t, series)
	}
	var few [stackLabels]metric.Label
	labels := p.keys.AppendLabels(few[:0], series)
	if process != "" {
		labels = WithProcess(labels, metric.Label{Name: t.processLabel, Value: process})
	}
	to := fam.row(labels)
	if to.family == nil {
		return p.leaveOut(t, series)
	}
	fam.lead(to.number)
	return to.number
}

// leaveOut counts a series that is left out, once.
func (p *pythonPlan) leaveOut(t *Table, series uint32) int32 {
	if !p.counted[series] {
		p.counted[series] = true
		t.conflicts++
	}
	return nowhere
}

// release takes the plan's series out of the table.
func (p *pythonPlan) release(t *Table) {
	for i, n := range p.rows {
		p.releaseOne(t, ref{int32(p.keys.FamilyOf(uint32(i))), n})
	}
	p.rows, p.targets = p.rows[:0], p.targets[:0]
}

func (p *pythonPlan) releaseOne(t *Table, at ref) {
	if at.number != nowhere {
		t.release(row{p.families[at.family], at.number})
	}
}

// forgetPython releases the series of all plans.
func (t *Table) forgetPython() {
	for _, p := range t.python {
		p.release(t)
	}
}

// rekey forgets the files that have new keys, and drops the plans of keys that no file has
// any more.
func (t *Table) rekey(files []*snapshot.File) {
	used := map[*pyfile.KeySet]bool{}
	for _, f := range files {
		if f.Python == nil {
			continue
		}
		keys := f.Python.Keys()
		if used[keys] = true; t.python[keys] == nil {
			t.forget(f)
		}
	}
	t.forgetPython()
	t.gone, t.renewed = true, 0 // most symbols may be of the keys that are dropped
	for keys := range t.python {
		if !used[keys] {
			delete(t.python, keys)
		}
	}
}

// mergePython adds up the values of a file of client_python. Nobody knows when its series
// began.
func (t *Table) mergePython(f *snapshot.File, from sum.Source) {
	p, part := t.python[f.Python.Keys()], t.part(f)
	records, words := f.Python.Records(), f.Python.Words()
	records = records[:min(len(records), len(f.Values)/words)]
	kind := p.keys.Kind()
	if kind.Type != metric.Gauge {
		p.sum(records, f.Values, from)
		return
	}
	for i, k := range records {
		to := p.targets[k]
		to.ref = p.at(part, i, k)
		p.add(&to, f.Values[i*words:(i+1)*words], from)
	}
}

// sum adds the values of a file whose records only grow. It adds exactly to p.sums, which
// fits the processor's cache. settle then adds those to the accumulators, once for all
// files.
func (p *pythonPlan) sum(records []uint32, values []uint64, from sum.Source) {
	kind := p.keys.Kind()
	for len(p.sums) < len(p.targets) {
		p.sums = append(p.sums, math.NaN())
	}
	for i, k := range records {
		v := math.Float64frombits(values[i])
		exact, err := sum.TwoSum(p.sums[k], v)
		switch {
		case kind.Type != metric.Counter && (v != math.Trunc(v) || v < 0 || v > sum.MaxCount):
			p.add(&p.targets[k], values[i:i+1], from) // each count is rounded by itself
		case err == 0:
			p.sums[k] = exact
		case math.IsNaN(p.sums[k]) && v-v == 0: // the first, and finite
			p.sums[k] = v
		default:
			p.add(&p.targets[k], values[i:i+1], from)
		}
	}
}

// settle adds the sums of all files to the rows.
func (p *pythonPlan) settle(from sum.Source) {
	var word [1]uint64
	for k, v := range p.sums {
		if !math.IsNaN(v) {
			word[0] = math.Float64bits(v)
			p.add(&p.targets[k], word[:], from)
			p.sums[k] = math.NaN()
		}
	}
}

// add adds one record's value, if it counts.
func (p *pythonPlan) add(to *recordTarget, w []uint64, from sum.Source) {
	if to.number == nowhere {
		return
	}
	fam := p.families[to.family]
	if !fam.ends.countsPython(to.number) {
		return
	}
	if fam.totals.stride == 0 {
		if words, there := sum.GaugeOfPython(fam.schema, w); there {
			fam.pick(to.number).Add(fam.schema, words[:], 0, from)
		}
		return
	}
	a := fam.sums(to.number)
	a.AddPython(fam.schema, to.part, int(to.bucket), w, from)
	fam.keep(to.number, &a)
}

// each calls fn with the row of every record of the file, with some more than once.
func (p *pythonPlan) each(f *snapshot.File, part *part, fn func(row)) {
	for i, k := range f.Python.Records() {
		if to := p.at(part, i, k); to.number != nowhere {
			fn(row{p.families[to.family], to.number})
		}
	}
}
