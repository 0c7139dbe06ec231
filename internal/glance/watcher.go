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
}

// look is what the next one is compared with.
type look struct {
	picture *Picture
	at      time.Time
	totals  map[string]map[string]float64 // by key of a worker and family
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
	next := &look{at: now, totals: map[string]map[string]float64{}, changes: map[string]uint64{}}
	p := &Picture{Time: now.UTC(), Dir: w.a.Dir(), Workers: []Worker{}, Families: []Family{}}
	next.picture = p
	if w.last != nil {
		p.Seconds = now.Sub(w.last.at).Seconds()
	}
	var list []procs.Worker
	var err error
	inspect.Look(ctx, w.a, inspect.LookOptions{Schemas: true, Bytes: true}, func(s inspect.Sight, e error) {
		if err = e; err != nil {
			return
		}
		p.Archive = Archive{s.ArchiveBytes, s.Compacted}
		for i := range s.Processes {
			w.addWorker(next, &s.Processes[i])
			list = append(list, w.processOf(&s.Processes[i]))
		}
		w.addFamilies(next, &s)
	})
	if err != nil {
		return nil, err
	}
	w.addUsage(ctx, p, list)
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
	slot := func(w *Worker) int {
		if w.Slot == nil {
			return 1 << 30
		}
		return *w.Slot
	}
	return cmp.Or(cmp.Compare(slot(&a), slot(&b)), strings.Compare(a.ID, b.ID))
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
	totals := make(map[string]float64, len(p.Totals))
	for name, t := range p.Totals {
		totals[name] = t.Counted
	}
	next.totals[p.Key] = totals
	next.picture.Workers = append(next.picture.Workers, out)
}

// processOf returns the process for its usage in /proc. The zero Worker is none.
func (w *Watcher) processOf(p *inspect.Process) (out procs.Worker) {
	switch {
	case p.Slot < 0:
	case p.Kind == string(aggregate.Native):
		return procs.Worker{PID: p.PID, StartTime: p.StartTime, PIDNamespace: p.PIDNamespace, Label: p.Key}
	default:
		var files []string
		for _, f := range p.Files {
			files = append(files, filepath.Join(w.a.Dir(), f))
		}
		out, _ = procs.FindWorker(p.PID, p.Key, files...)
	}
	return out
}

func (w *Watcher) addFamilies(next *look, s *inspect.Sight) {
	p := next.picture
	for name, n := range s.Changes {
		next.changes[name] = n
	}
	for i := range s.Schemas {
		f := &s.Schemas[i]
		out := Family{Name: f.Name, Type: f.Type.String(), Labels: f.Labels, Help: f.Help, Series: f.Merged, Processes: len(f.Owners), changing: hasChanges(f)}
		if f.Type.HasMode() {
			out.Mode = f.Mode.String()
		}
		for j := range s.Processes {
			out.Bytes += s.Processes[j].Totals[f.Name].Bytes
		}
		p.Series += f.Merged
		for _, c := range f.Conflicts {
			p.Health.Conflicts = append(p.Health.Conflicts, c.String())
		}
		p.Families = append(p.Families, out)
	}
	byName := make(map[string]*Family, len(p.Families))
	for i := range p.Families {
		byName[p.Families[i].Name] = &p.Families[i]
	}
	counted := w.withValues(p.Families)
	for i := range s.Families {
		f := &s.Families[i]
		if out := byName[f.Name]; out != nil && counted[f.Name] { // else it may be one of our own
			out.Values = labelValues(f, w.opts.Values)
		}
	}
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
func (w *Watcher) addUsage(ctx context.Context, p *Picture, list []procs.Worker) {
	list = slices.DeleteFunc(list, func(w procs.Worker) bool { return w.Label == "" })
	families, _ := procs.NewWorkers(procs.WorkersOptions{List: func() []procs.Worker { return list }}).Collect(ctx) // what can be read
	byKey := map[string]*Worker{}
	for i := range p.Workers {
		byKey[p.Workers[i].key] = &p.Workers[i]
	}
	old := map[string]float64{}
	if w.last != nil {
		for _, o := range w.last.picture.Workers {
			old[o.key] = o.cpu
		}
	}
	for _, f := range families {
		for i := range f.Series {
			key, _ := f.Series[i].Labels.Get("pid")
			to, v := byKey[key], f.Series[i].Value
			switch f.Name {
			case "process_resident_memory_bytes":
				to.RSS = &v
			case "process_cpu_seconds":
				to.cpu = v
				if before, known := old[key]; known && p.Seconds > 0 {
					cores := max(0, v-before) / p.Seconds
					to.CPU = &cores
				}
			}
		}
	}
}

// addRates compares with the look before.
func (w *Watcher) addRates(next *look) {
	p, last := next.picture, w.last
	if last == nil || p.Seconds <= 0 {
		return
	}
	grown := map[string]float64{} // by family
	own := make([]map[string]float64, len(p.Workers))
	for i := range p.Workers {
		worker := &p.Workers[i]
		before, known := last.totals[worker.key]
		young := worker.Age != nil && *worker.Age <= p.Seconds
		own[i] = map[string]float64{}
		for name, total := range next.totals[worker.key] {
			if by := total - before[name]; by > 0 && (known || young) {
				own[i][name] = by
				grown[name] += by
			}
		}
	}
	histories := map[string][]float64{}
	for i := range p.Workers {
		worker := &p.Workers[i]
		share, sum := 0.0, 0.0
		for name, by := range own[i] {
			share += by / grown[name]
			if worker.Rates == nil {
				worker.Rates = map[string]float64{}
			}
			worker.Rates[name] = by / p.Seconds
			sum += by / p.Seconds
		}
		if len(grown) > 0 {
			share /= float64(len(grown))
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
		rate := grown[f.Name] / p.Seconds
		f.Rate = &rate
		key := familyKey(f.Name)
		f.History = appendHistory(w.histories[key], rate)
		histories[key] = f.History
	}
	w.histories = histories
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
		if o := &p.Workers[i]; o.Slot != nil && o.Unchanged >= after && least < after/2 {
			o.Silent = true
			h.Silent = append(h.Silent, o.ID)
		}
	}
	for _, f := range inspect.Files(w.a) {
		if f.State != inspect.OK {
			h.LeftOut = append(h.LeftOut, f.Name+": "+string(f.State))
		}
	}
	h.OK = len(h.LeftOut)+len(h.Conflicts)+len(h.Silent) == 0
}
