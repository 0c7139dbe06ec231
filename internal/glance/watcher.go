package glance

import (
	"cmp"
	"context"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/multiprom/multiprom/aggregate"
	"github.com/multiprom/multiprom/internal/inspect"
	"github.com/multiprom/multiprom/internal/procs"
	"github.com/multiprom/multiprom/internal/record"
	"github.com/multiprom/multiprom/metric"
)

// Options of New. The zero value is useful.
type Options struct {
	// SilentAfter is how long the values of a worker have to stay the same, while those of
	// another change, until it is called silent. Default 30 s.
	SilentAfter time.Duration
	// MinInterval is the least time between two looks. One that comes earlier gets the last
	// picture. Default 0.
	MinInterval time.Duration
	// Values is how many values of each label a picture has. Default 0: none. They cost a
	// pass over all merged series.
	Values int
	// ValuesFamilies limits Values to that many families, those with the most series, and
	// ValuesSeries to those that have no more series. Default: all.
	ValuesFamilies, ValuesSeries int
	// Trends returns what a recorder has seen. It takes the place of what the looks have seen.
	Trends func() record.Trends
	// Before is what a recording has from before the first look, in steps as long as looks
	// are apart.
	Before *record.Trends
	// Now is the clock. Default time.Now.
	Now func() time.Time
}

// Watcher looks at a directory again and again. It is safe for concurrent use.
type Watcher struct {
	a    *aggregate.Aggregator
	opts Options

	mu        sync.Mutex
	last      *look
	histories map[string][]float64 // by key of a worker, or by name of a family after a slash
	values    map[string]familyValues
	found     map[string]procs.Worker // workers of client_python in /proc, by key
}

// familyValues are label values of a family of that layout.
type familyValues struct {
	layout uint64
	values []LabelValues
}

// look is what the next one is compared with.
type look struct {
	picture *Picture
	at      time.Time
	totals  map[string][]inspect.Total // by key of a worker
	changes map[string]uint64
}

// New returns a Watcher of an aggregator, which it does not close.
func New(a *aggregate.Aggregator, opts Options) *Watcher {
	opts.SilentAfter = cmp.Or(opts.SilentAfter, 30*time.Second)
	if opts.Now == nil {
		opts.Now = time.Now
	}
	return &Watcher{a: a, opts: opts, histories: map[string][]float64{}}
}

// familyKey returns the key of a family's history.
func familyKey(name string) string { return "/" + name }

// addHistories adds what the looks before have seen, or a recorder.
func (w *Watcher) addHistories(p *Picture) {
	var t record.Trends
	recorded := w.opts.Trends != nil
	if recorded {
		t = w.opts.Trends()
	} else if b := w.opts.Before; b != nil && w.last == nil && p.Time.Sub(b.End) < longGap+b.Step {
		t, recorded = *b, true
	}
	if !recorded {
		return
	}
	w.histories = map[string][]float64{}
	for i := range p.Workers {
		one := &p.Workers[i]
		one.History = t.Process(one.key)
		w.histories[one.key] = one.History
	}
	for i := range p.Families {
		if f := &p.Families[i]; counts(f.Type) {
			f.History = t.Family(f.Name)
			w.histories[familyKey(f.Name)] = f.History
		}
	}
}

// longGap is how old the end of a recording may be so that looks go on with it.
const longGap = 5 * time.Second

// Look returns a picture of what is there now.
func (w *Watcher) Look(ctx context.Context) (*Picture, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	now := w.opts.Now()
	if w.last != nil && now.Sub(w.last.at) < w.opts.MinInterval {
		return w.last.picture, nil
	}
	next := &look{at: now, totals: map[string][]inspect.Total{}, changes: map[string]uint64{}}
	p := &Picture{Time: now.UTC(), Dir: w.a.Dir(), Workers: []Worker{}, Families: []Family{}}
	next.picture = p
	if w.last != nil {
		p.Seconds = now.Sub(w.last.at).Seconds()
	}
	var list []procs.Worker
	var err error
	inspect.Look(ctx, w.a, func(s inspect.Sight, e error) {
		if err = e; err != nil {
			return
		}
		p.Archive = Archive{s.ArchiveBytes, s.Compacted}
		found := map[string]procs.Worker{}
		for i := range s.Processes {
			w.addWorker(next, &s.Processes[i])
			list = append(list, w.processOf(&s.Processes[i], found))
		}
		w.found = found
		w.addFamilies(next, &s)
	})
	if err != nil {
		return nil, err
	}
	w.addUsage(p, list)
	w.addRates(next)
	w.addHistories(p)
	w.judge(p)
	slices.SortStableFunc(p.Workers, compareWorkers)
	w.last = next
	return p, nil
}

// Recent is Look for somebody who looks now and then: if the last look is long ago, it looks
// twice, a moment apart, so that rates are those of now.
func (w *Watcher) Recent(ctx context.Context) (*Picture, error) {
	w.mu.Lock()
	now := w.opts.Now()
	old := w.last == nil || now.Sub(w.last.at) > longAgo
	if old {
		w.last = nil
	}
	w.mu.Unlock()
	if !old {
		return w.Look(ctx)
	}
	return w.Over(ctx, max(500*time.Millisecond, w.opts.MinInterval))
}

// Over looks twice, so long apart, so that rates are those of that time. It looks once if that is
// no time.
func (w *Watcher) Over(ctx context.Context, d time.Duration) (*Picture, error) {
	p, err := w.Look(ctx)
	if err != nil || d <= 0 {
		return p, err
	}
	wait := time.NewTimer(d)
	defer wait.Stop()
	select {
	case <-wait.C:
		return w.Look(ctx)
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// longAgo is how old a look may be that the next one is compared with.
const longAgo = time.Minute

// compareWorkers puts the living first, by slot.
func compareWorkers(a, b Worker) int {
	return cmp.Or(BySlot(&a, &b), strings.Compare(a.ID, b.ID))
}

func (w *Watcher) addWorker(next *look, p *inspect.Process) {
	out := Worker{PID: p.PID, ID: p.Label, State: p.State, Kind: p.Kind, Series: p.Series, Bytes: p.Bytes, key: p.Key}
	if p.Slot >= 0 {
		out.Slot = &p.Slot
	}
	if !p.Created.IsZero() {
		age := max(0, next.at.Sub(p.Created).Seconds())
		out.Age = &age
	}
	since := p.Changed
	if since.IsZero() {
		since = p.Seen
	}
	out.Unchanged = max(0, next.at.Sub(since).Seconds())
	next.totals[p.Key] = p.Totals
	next.picture.Workers = append(next.picture.Workers, out)
}

// processOf returns the process for its usage in /proc. The zero Worker is none. A process of
// client_python has not recorded when it began: who has its files open takes long to find out,
// so it is noted in found, for the next look.
func (w *Watcher) processOf(p *inspect.Process, found map[string]procs.Worker) (out procs.Worker) {
	switch known, ok := w.found[p.Key]; {
	case p.Slot < 0:
	case p.Kind == string(aggregate.Native):
		return procs.Worker{PID: p.PID, StartTime: p.StartTime, PIDNamespace: p.PIDNamespace, Label: p.Key}
	case ok && procs.UsageOf([]procs.Worker{known})[0].Known:
		out, found[p.Key] = known, known
	default:
		var files []string
		for _, f := range p.Files {
			files = append(files, filepath.Join(w.a.Dir(), f))
		}
		if out, ok = procs.FindWorker(p.PID, p.Key, files...); ok {
			found[p.Key] = out
		}
	}
	return out
}

func (w *Watcher) addFamilies(next *look, s *inspect.Sight) {
	p := next.picture
	for name, n := range s.Changes {
		next.changes[name] = n
	}
	p.Families = make([]Family, 0, len(s.Schemas))
	for i := range s.Schemas {
		f := &s.Schemas[i]
		out := Family{Name: f.Name, Type: f.Type.String(), Labels: f.Labels, Help: f.Help, Series: f.Merged, Processes: len(f.Owners), changing: hasChanges(f)}
		if f.Type.HasMode() {
			out.Mode = f.Mode.String()
		}
		p.Series += f.Merged
		for _, c := range f.Conflicts {
			p.Health.Conflicts = append(p.Health.Conflicts, c.String())
		}
		p.Families = append(p.Families, out)
	}
	for i := range s.Processes {
		at := 0
		for _, t := range s.Processes[i].Totals {
			if at = p.family(t.Family, at); at < len(p.Families) && p.Families[at].Name == t.Family {
				p.Families[at].Bytes += t.Bytes
			}
		}
	}
	counted := w.withValues(p.Families)
	values := map[string]familyValues{}
	for i := range s.Families {
		f := &s.Families[i]
		if !counted[f.Name] {
			continue
		}
		v := w.values[f.Name]
		if f.Layout == 0 || v.layout != f.Layout { // else it has the same series
			v = familyValues{f.Layout, labelValues(f, w.opts.Values)}
		}
		values[f.Name] = v
		if at := p.family(f.Name, 0); at < len(p.Families) && p.Families[at].Name == f.Name {
			p.Families[at].Values = v.values
		}
	}
	w.values = values
}

// family returns the number of the first family from number at on whose name is not before
// name.
func (p *Picture) family(name string, at int) int {
	for _, next := range []int{at, at + 1} { // mostly
		if next < len(p.Families) && p.Families[next].Name == name {
			return next
		}
	}
	n, _ := slices.BinarySearchFunc(p.Families[at:], name, func(f Family, name string) int { return strings.Compare(f.Name, name) })
	return at + n
}

// withValues returns the families whose label values are counted.
func (w *Watcher) withValues(all []Family) map[string]bool {
	if w.opts.Values == 0 {
		return nil
	}
	all = slices.Clone(all)
	slices.SortStableFunc(all, func(f, g Family) int { return cmp.Compare(g.Series, f.Series) })
	out := map[string]bool{}
	for i := range all {
		most, series := w.opts.ValuesFamilies, w.opts.ValuesSeries
		if (most == 0 || len(out) < most) && (series == 0 || all[i].Series <= series) {
			out[all[i].Name] = true
		}
	}
	return out
}

// hasChanges reports whether it is known how many series of the family change: nobody counts
// those of client_python.
func hasChanges(f *inspect.Family) bool {
	python := func(o inspect.Owner) bool { return strings.HasSuffix(o.File, ".db") }
	native := func(o inspect.Owner) bool { return o.Label != "" && !python(o) }
	return slices.ContainsFunc(f.Owners, native) || !slices.ContainsFunc(f.Owners, python)
}

// addUsage adds what /proc says.
func (w *Watcher) addUsage(p *Picture, list []procs.Worker) {
	usage := procs.UsageOf(list)
	old := map[string]float64{}
	if w.last != nil {
		for i := range w.last.picture.Workers {
			old[w.last.picture.Workers[i].key] = w.last.picture.Workers[i].cpu
		}
	}
	for i := range p.Workers {
		to, u := &p.Workers[i], usage[i]
		if !u.Known {
			continue
		}
		to.RSS, to.cpu, to.Stopped = &u.RSS, u.CPU, u.Stopped
		if before, known := old[to.key]; known && p.Seconds > 0 {
			cores := max(0, u.CPU-before) / p.Seconds
			to.CPU = &cores
		}
	}
}

// addRates compares with the look before.
func (w *Watcher) addRates(next *look) {
	p, last := next.picture, w.last
	if last == nil || p.Seconds <= 0 {
		return
	}
	grown := make([]float64, len(p.Families))
	own := make([][]growth, len(p.Workers))
	for i := range p.Workers {
		worker := &p.Workers[i]
		before, known := last.totals[worker.key]
		if young := worker.Age != nil && *worker.Age <= p.Seconds; !known && !young {
			continue
		}
		own[i] = p.grown(before, next.totals[worker.key])
		for _, g := range own[i] {
			grown[g.family] += g.by
		}
	}
	families := 0 // that have grown
	for _, by := range grown {
		if by > 0 {
			families++
		}
	}
	histories := map[string][]float64{}
	for i := range p.Workers {
		worker := &p.Workers[i]
		share, sum := 0.0, 0.0
		if len(own[i]) > 0 {
			worker.Rates = make(map[string]float64, len(own[i]))
		}
		for _, g := range own[i] {
			share += g.by / grown[g.family]
			worker.Rates[p.Families[g.family].Name] = g.by / p.Seconds
			sum += g.by / p.Seconds
		}
		if families > 0 {
			share /= float64(families)
			worker.Share = &share
		}
		worker.History = appendHistory(w.histories[worker.key], sum)
		histories[worker.key] = worker.History
	}
	for i := range p.Families {
		f := &p.Families[i]
		changes := float64(next.changes[f.Name]-last.changes[f.Name]) / p.Seconds
		if f.Changes = &changes; !f.changing {
			f.Changes = nil
		}
		if !counts(f.Type) {
			continue
		}
		rate := grown[i] / p.Seconds
		f.Rate = &rate
		key := familyKey(f.Name)
		f.History = appendHistory(w.histories[key], rate)
		histories[key] = f.History
	}
	w.histories = histories
}

// growth is by how much a family has grown in a worker.
type growth struct {
	family int
	by     float64
}

// grown returns what has grown from before to now, both sorted by name.
func (p *Picture) grown(before, now []inspect.Total) (out []growth) {
	if len(now) == 0 || len(before) == len(now) && &before[0] == &now[0] {
		return nil // nothing has changed
	}
	at := 0
	for _, t := range now {
		for len(before) > 0 && before[0].Family < t.Family {
			before = before[1:]
		}
		by := t.Counted
		if len(before) > 0 && before[0].Family == t.Family {
			by -= before[0].Counted
		}
		if at = p.family(t.Family, at); by > 0 && at < len(p.Families) && p.Families[at].Name == t.Family {
			out = append(out, growth{at, by})
		}
	}
	return out
}

// counts reports whether a family of the type has a rate.
func counts(typ string) bool {
	return typ == metric.Counter.String() || typ == metric.Histogram.String() || typ == metric.Summary.String()
}

// judge says what is wrong.
func (w *Watcher) judge(p *Picture) {
	h := &p.Health
	least := -1.0
	for i := range p.Workers {
		if u := p.Workers[i].Unchanged; p.Workers[i].Slot != nil && (least < 0 || u < least) {
			least = u
		}
	}
	after := w.opts.SilentAfter.Seconds()
	for i := range p.Workers {
		o := &p.Workers[i]
		if o.Slot != nil && o.Unchanged >= after && least < after/2 {
			o.Silent = true
			h.Silent = append(h.Silent, o.ID)
		}
		if o.Stopped {
			h.Stopped = append(h.Stopped, o.ID)
		}
	}
	for _, f := range inspect.Files(w.a) {
		if f.State != inspect.OK {
			h.LeftOut = append(h.LeftOut, f.Name+": "+string(f.State))
		}
	}
	h.OK = len(h.LeftOut)+len(h.Conflicts)+len(h.Silent)+len(h.Stopped) == 0
}
