package compact

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/multiprom/multiprom/aggregate/internal/snapshot"
	"github.com/multiprom/multiprom/aggregate/internal/sum"
	"github.com/multiprom/multiprom/internal/histogram"
	"github.com/multiprom/multiprom/internal/labelkey"
	"github.com/multiprom/multiprom/internal/lifetime"
	"github.com/multiprom/multiprom/internal/mpm"
	"github.com/multiprom/multiprom/internal/options"
	"github.com/multiprom/multiprom/internal/pyfile"
	"github.com/multiprom/multiprom/metric"
)

// Archiver adds dead processes to an archive. It keeps every schema of a name; readers choose
// which of them is served.
type Archiver struct {
	old       *mpm.Archive
	words     int // of the old archive and of all files that were added
	counts    [len(mpm.HeaderCounters)]uint64
	byName    map[string][]*familyBuilder
	families  []*familyBuilder           // in the order of their first appearance
	processes map[string]*processBuilder // by label
	ended     int                        // series of the old archive whose life is over
	expired   int                        // likewise, by their TTL
	lives     *lives
	python    map[*pyfile.KeySet][]*seriesBuilder // by number of the series
}

type familyBuilder struct {
	sum.Offer
	byKey  map[string]*seriesBuilder
	series []*seriesBuilder // in the order of their first appearance
}

type seriesBuilder struct {
	labels  metric.Labels
	process *processBuilder // nil if it belongs to no single process
	acc     sum.Accumulator

	active    int64             // of a series with a TTL: when it was active last
	exemplars []metric.Exemplar // of all processes
}

type processBuilder struct {
	mpm.StoredProcess
	gone  bool // a newer process has its label, or there are too many
	index int  // in the new archive
}

// NewArchiver begins with what is in the archive, without series whose life is over. now is
// the compactor's clock, in nanoseconds since 1970.
func NewArchiver(old *mpm.Archive, over *lives, now int64) (*Archiver, error) {
	arc, err := snapshot.NewArchive(old)
	if err != nil {
		return nil, err
	}
	if over == nil {
		over = &lives{}
	}
	a := &Archiver{
		old: old, words: int(old.Bytes / 8), counts: old.Counts, byName: map[string][]*familyBuilder{}, processes: map[string]*processBuilder{}, lives: over,
		python: map[*pyfile.KeySet][]*seriesBuilder{},
	}
	processes := make([]*processBuilder, len(old.Processes))
	for i, p := range old.Processes {
		processes[i] = &processBuilder{StoredProcess: p}
		a.processes[p.Label] = processes[i]
	}
	for i := range old.Families {
		a.family(sum.StoredOffer(&old.Families[i]))
	}
	for i := range arc.Loaded {
		f := &arc.Loaded[i]
		for j := range f.Series.Len() {
			labels := f.Series.AppendLabels(nil, j)
			var p *processBuilder
			if n := f.Series.Process(j); n >= 0 {
				p = processes[n]
			}
			active, stays, expires := a.verdict(f.Schema, labels, p, over.storedPart(f.StoredFamily, j))
			switch {
			case stays:
			case expires:
				a.expired++
				continue
			default:
				a.ended++
				continue
			}
			to, sums := a.lookup(f.Schema).at(labels, p), arc.Sums(f, j)
			to.acc.Join(f.Schema, &sums, nil, now)
			to.active = max(to.active, active)
			to.exemplars = append(to.exemplars, f.Exemplars[j]...)
		}
	}
	return a, nil
}

func (a *Archiver) lookup(s *metric.Schema) *familyBuilder {
	for _, f := range a.byName[s.Name] {
		if sum.Compatible(f.Schema, s) {
			return f
		}
	}
	return nil
}

// family returns the family of an offer's schema, and includes the offer in it.
func (a *Archiver) family(d sum.Offer) *familyBuilder {
	f := a.lookup(d.Schema)
	if f == nil {
		f = &familyBuilder{Offer: d, byKey: map[string]*seriesBuilder{}}
		a.byName[d.Schema.Name] = append(a.byName[d.Schema.Name], f)
		a.families = append(a.families, f)
		return f
	}
	before := f.Bounds
	f.Include(d)
	if !slices.Equal(before, f.Bounds) {
		f.spread(sum.PlaceBuckets(before, f.Bounds))
	}
	return f
}

// spread moves the counts of all series to their places among new bounds.
func (f *familyBuilder) spread(bucket []int) {
	for _, s := range f.series {
		counts := s.acc.Counts
		s.acc.Counts = make([]uint64, sum.ClassicCounts(f.Schema, len(f.Bounds)))
		sum.AddCounts(s.acc.Counts, counts, bucket)
	}
}

// at returns the series with those labels.
func (f *familyBuilder) at(labels metric.Labels, p *processBuilder) *seriesBuilder {
	key := labelkey.Append(make([]byte, 0, 128), labels)
	if p != nil {
		key = append(append(key, 0xff), p.Label...) // 0xff begins no name that is so long
	}
	s := f.byKey[string(key)]
	if s == nil || s.process != p {
		s = &seriesBuilder{labels: labels, process: p}
		if f.Schema.Type == metric.Histogram {
			s.acc.Counts = make([]uint64, sum.ClassicCounts(f.Schema, len(f.Bounds)))
		}
		f.byKey[string(key)] = s
		f.series = append(f.series, s)
	}
	return s
}

// Add adds all that a dead process has counted or, with an error, nothing.
func (a *Archiver) Add(f *snapshot.File, now time.Time) error {
	if err := errors.Join(a.accepts(f.Families), a.hasRoom(f)); err != nil {
		return err
	}
	a.words += len(f.Values) + len(f.RegionValues)
	for i, n := range f.Counters {
		a.counts[i] += n
	}
	created := f.Header.Created.UnixNano()
	for _, schema := range f.Families {
		a.family(f.Offer(schema))
	}
	var process *processBuilder
	if f.Python == nil || f.OwnGauges() {
		process = a.process(f, now)
	}
	from := sum.Source{Created: created, Now: now.UnixNano()}
	if f.Python != nil {
		a.addPython(f, process, from)
		return nil
	}
	values := f.Values
	added := make([]*seriesBuilder, f.Series.Len())
	for i := range added {
		s := f.Series.At(i)
		words := values[:mpm.ValuesPerSeries(s.Schema)]
		values = values[len(words):]
		switch {
		case !sum.PerProcess(s.Schema):
			added[i] = a.addSeries(&s, nil, words, false, from)
		case process != nil: // else a newer process has the label
			added[i] = a.addSeries(&s, process, words, false, from)
		}
	}
	for _, e := range f.Exemplars {
		if to := added[e.Series]; to != nil && e.Exemplar != nil {
			to.exemplars = append(to.exemplars, *e.Exemplar)
		}
	}
	values = f.RemovedValues
	removed := make([]*seriesBuilder, f.Removed.Len())
	for i := range removed {
		s := f.Removed.At(i)
		words := values[:mpm.ValuesPerSeries(s.Schema)]
		values = values[len(words):]
		if sum.Cumulative(s.Schema) {
			removed[i] = a.addSeries(&s, nil, words, true, from)
		}
	}
	addRegions(f, added, removed)
	return nil
}

// addRegions adds the regions of a file to what its series were added to.
func addRegions(f *snapshot.File, added, removed []*seriesBuilder) {
	for i := range f.Regions.Len() {
		if !f.Regions.Has(i) {
			continue
		}
		of, n := added, int(f.RegionOwners[i])
		if n < 0 {
			of, n = removed, ^n
		}
		if to := of[n]; to != nil {
			to.acc.AddRegion(&f.Regions, i, f.RegionValues[histogram.RegionBuckets*i:][:histogram.RegionBuckets])
		}
	}
	for _, of := range [][]*seriesBuilder{added, removed} {
		for _, to := range of {
			if to != nil && to.acc.Native != nil {
				to.acc.Native.Settle()
			}
		}
	}
}

// accepts returns an error if the archive cannot have one of these schemas.
func (a *Archiver) accepts(families []*metric.Schema) error {
	for _, s := range families {
		switch s.Type {
		case metric.Counter, metric.Gauge, metric.Unknown, metric.Histogram, metric.Summary, metric.Info, metric.StateSet:
		default:
			return fmt.Errorf("%w: %s is a %s", ErrNotUnderstood, s.Name, s.Type)
		}
	}
	return nil
}

// verdict says whether a part of a series stays, and when it was active last as far as the
// archive needs to know. expires says that this follows from its time to live.
func (a *Archiver) verdict(s *metric.Schema, labels metric.Labels, of *processBuilder, p lifetime.Part) (active int64, stays, expires bool) {
	var process mpm.Incarnation
	if of != nil {
		process = of.Incarnation
	}
	switch l := a.lives.of(s, labels, process); {
	case l == nil:
		return p.Active, true, false
	case l.rule.TTL == 0:
		return p.Active, sum.Counts(p.Created, p.Removed, l.since), false
	default:
		return l.rule.ActiveOf(&p), !l.ended(&p, a.lives.now), true
	}
}

// addSeries adds a dead process's series and returns what it was added to, or nil if it does
// not count any more.
func (a *Archiver) addSeries(s *mpm.SeriesInfo, p *processBuilder, words []uint64, gone bool, from sum.Source) *seriesBuilder {
	if sum.IsLive(s.Schema) {
		return nil
	}
	labels := s.Labels()
	active, stays, _ := a.verdict(s.Schema, labels, p, a.lives.partOf(s, gone, true))
	if !stays {
		return nil // its life is over
	}
	fam := a.lookup(s.Schema)
	var bucket []int
	if s.Schema.Type == metric.Histogram && !slices.Equal(s.Schema.Bounds, fam.Bounds) {
		bucket = sum.PlaceBuckets(s.Schema.Bounds, fam.Bounds)
	}
	to := fam.at(labels, p)
	to.acc.Add(s.Schema, words, bucket, s.CreatedNanos(), from)
	to.active = max(to.active, active)
	return to
}

// process registers a process under its label. If a newer one has the label, it returns nil.
// An older one loses its series.
func (a *Archiver) process(f *snapshot.File, now time.Time) *processBuilder {
	h := &f.Header
	p := &processBuilder{StoredProcess: mpm.StoredProcess{
		Label: h.Label, Incarnation: h.Incarnation, Created: f.Age(), Compacted: now.UnixNano(),
	}}
	if old := a.processes[h.Label]; old != nil {
		if old.compare(p) > 0 {
			return nil
		}
		old.gone = true
	}
	a.processes[h.Label] = p
	return p
}

// compare orders processes by age, the eldest first, as the reader does.
func (p *processBuilder) compare(o *processBuilder) int {
	return cmp.Or(cmp.Compare(p.Created, o.Created), p.Incarnation.Compare(o.Incarnation))
}

// size returns how many series there are.
func (a *Archiver) size() (n int) {
	for _, f := range a.families {
		n += len(f.series)
	}
	return n
}

// Archive returns the new archive; write then adds its id and generation. kept is what Prune
// has returned.
func (a *Archiver) Archive(now time.Time, kept []mpm.StoredProcess) *mpm.Archive {
	out := &mpm.Archive{
		Epoch: a.old.Epoch, Compactions: a.old.Compactions, Compacted: a.old.Compacted, CompactTime: a.old.CompactTime, Counts: a.counts,
		Processes: kept,
	}
	for _, f := range a.families {
		out.Families = append(out.Families, f.archived(now.UnixNano(), a.lives))
	}
	return out
}

// Prune numbers the processes that stay, the newest first, and returns them. keep and keepFor
// are KeepDead and KeepDeadFor of Options.
func (a *Archiver) Prune(now time.Time, keep int, keepFor time.Duration) (out []mpm.StoredProcess) {
	if keep == options.KeepNone || keepFor == options.KeepNone {
		keep = 0
	}
	var all []*processBuilder
	for _, p := range a.processes {
		all = append(all, p)
	}
	slices.SortFunc(all, func(p, o *processBuilder) int { return o.compare(p) })
	for _, p := range all {
		tooOld := keepFor > 0 && now.UnixNano()-p.Compacted > int64(keepFor)
		if p.gone = tooOld || keep >= 0 && len(out) == keep; p.gone {
			continue
		}
		p.index = len(out)
		out = append(out, p.StoredProcess)
	}
	return out
}

func (f *familyBuilder) archived(now int64, lives *lives) mpm.StoredFamily {
	schema := *f.Schema
	schema.Labels, schema.Const, schema.Bounds = nil, nil, f.Bounds
	out := mpm.StoredFamily{Schema: &schema, First: f.First, Newest: f.Newest, PythonFile: f.Python}
	out.Series.Timed = schema.TTL > 0 || sum.TTLOf(lives.ttl, &schema) > 0
	newest := int64(0)
	for _, s := range f.series {
		newest = max(newest, s.acc.Newest)
	}
	for _, s := range f.series {
		process := -1
		switch {
		case s.process != nil && s.process.gone, !s.acc.Present: // or nobody has set it
			continue
		case s.process != nil:
			process = s.process.index
		case f.Schema.Type == metric.Info && s.acc.Newest < newest:
			continue // only the newest dead process's is shown
		}
		out.Series.Add(mpm.StoredSeries{
			Labels: s.labels, Process: process, Created: s.acc.Created, Active: s.active, Words: s.acc.Pack(f.Schema), Exemplars: s.newest(f, now),
		})
	}
	return out
}

// MaxExemplars is how many exemplars of one bucket the archive keeps at most.
const MaxExemplars = 4

// newest returns the exemplars that stay: in each bucket, those from which readers choose.
func (s *seriesBuilder) newest(f *familyBuilder, now int64) (out []metric.Exemplar) {
	if len(s.exemplars) == 0 {
		return nil
	}
	of := map[int][]metric.Exemplar{}
	for _, x := range s.exemplars {
		bucket := sum.ExemplarBucket(f.Schema, f.Bounds, x.Value)
		of[bucket] = append(of[bucket], x)
	}
	for _, bucket := range slices.Sorted(maps.Keys(of)) {
		all := of[bucket]
		slices.SortFunc(all, func(x, y metric.Exemplar) int { return x.Compare(&y) })
		out = append(out, sum.KeepNewest(all, func(x *metric.Exemplar) int64 { return x.Timestamp.UnixNano() }, now, MaxExemplars)...)
	}
	if sum.IsNative(f.Schema) {
		out = s.appendNative(out, f.Schema.Native.MaxExemplars)
	}
	return out
}

// appendNative appends the exemplars that native buckets show, unless they are there.
func (s *seriesBuilder) appendNative(out []metric.Exemplar, most int) []metric.Exemplar {
	all := make([]*metric.Exemplar, len(s.exemplars))
	for i := range all {
		all[i] = &s.exemplars[i]
	}
	for _, x := range sum.SpreadExemplars(all, most) {
		if !slices.ContainsFunc(out, func(y metric.Exemplar) bool { return x.Compare(&y) == 0 }) {
			out = append(out, *x)
		}
	}
	return out
}

// hasRoom returns an error if a file's histograms have no room in the archive.
func (a *Archiver) hasRoom(f *snapshot.File) error {
	for name, n := range f.HistogramSeries() {
		var all []float64
		for _, s := range f.Families {
			if s.Name == name && s.Type == metric.Histogram {
				all = sum.Union(all, s.Bounds)
			}
		}
		for _, old := range a.byName[name] {
			if old.Schema.Type == metric.Histogram {
				all, n = sum.Union(all, old.Bounds), n+len(old.series)
			}
		}
		if n > sum.RoomFor(a.words+len(f.Values), len(all)) {
			return fmt.Errorf("%w: the histogram %s would have %d series of %d bounds each, of which hardly any has its own",
				ErrNotUnderstood, name, n, len(all))
		}
	}
	return nil
}
