package aggregate

import (
	"context"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/multiprom/multiprom/internal/actions"
	"github.com/multiprom/multiprom/internal/histogram"
	"github.com/multiprom/multiprom/internal/mpm"
)

// These tests have processes whose series have a time to live of 80 seconds, of which the
// guard is 10. A janitor of the test does what one of a process does, at the times that the
// test chooses.
const (
	testTTL   = 80 * time.Second
	testGuard = testTTL / 8
)

// livingPart is what a test knows of a process's part of a series.
type livingPart struct {
	of                       *livingProcess
	series                   *mpm.Series
	label                    string
	created, active, removed int64
	value, snapshot          uint64
	gone                     bool // removed, or expired
	deleted                  bool // removed
	regions                  []*[histogram.RegionBuckets]uint64
}

type livingProcess struct {
	*mpm.Store
	family *mpm.SchemaRef
	here   bool // its file is in the directory
	dead   bool // it has died, or closed its file
}

// oneDirectory is a directory with such processes, and a clock.
type oneDirectory struct {
	t              *testing.T
	r              *rand.Rand
	dir, elsewhere string
	native         bool // the series are histograms with native buckets
	now            time.Time
	processes      []*livingProcess
	parts          []*livingPart
}

func (d *oneDirectory) start(here bool) *livingProcess {
	where := d.elsewhere
	if here {
		where = d.dir
	}
	s, err := mpm.Create(where, mpm.Options{Label: "w", Now: func() time.Time { return d.now }, KeepRemoved: time.Hour})
	require.NoError(d.t, err)
	schema := counter("c", "l")
	if d.native {
		schema = nativeSchema(d.r, "n")
	}
	schema.TTL = testTTL
	f, err := s.AddSchema(schema)
	require.NoError(d.t, err)
	p := &livingProcess{Store: s, family: f, here: here}
	d.processes = append(d.processes, p)
	return p
}

// unit is that of active in a file.
const unit = 1 << 26

// active returns a time in the form that a file has of it.
func (p *livingProcess) active(t int64) int64 {
	created := p.Header().Created.UnixNano()
	return created + (t-created+unit-1)/unit*unit
}

// live returns a process's part of a series that it has not deleted.
func (d *oneDirectory) live(p *livingProcess, label string) *livingPart {
	for _, o := range d.parts {
		if o.of == p && o.label == label && !o.deleted {
			return o
		}
	}
	return nil
}

// update counts in a series, which the process makes if it has none.
func (d *oneDirectory) update(p *livingProcess, label string, n uint64) *livingPart {
	o := d.live(p, label)
	if o == nil {
		s, err := p.AddSeries(p.family, []string{label}, nil)
		require.NoError(d.t, err)
		o = &livingPart{of: p, series: s, label: label}
		o.created = d.record(o).CreatedNanos()
		o.active = p.active(d.now.UnixNano())
		d.parts = append(d.parts, o)
	}
	d.count(o, n)
	return o
}

// count adds to the words of a part, of a native histogram to those of any region or of none.
func (d *oneDirectory) count(o *livingPart, n uint64) {
	if o.value += n; !d.native {
		o.series.Words()[mpm.CellCounterInts] = o.value
		return
	}
	switch r := d.r; {
	case r.IntN(4) == 0:
		o.series.Words()[histogram.CellZero] += n
	case len(o.regions) == 0 || r.IntN(3) == 0:
		o.regions = append(o.regions, o.series.AddRegion(histogram.Region{Schema: 1, Negative: r.IntN(2) == 0, Number: int32(r.IntN(50))}))
		o.regions[len(o.regions)-1][r.IntN(8)] = n
	default:
		o.regions[r.IntN(len(o.regions))][r.IntN(8)] += n
	}
}

// subtract begins the words of a part again, with what was counted since the snapshot.
func (d *oneDirectory) subtract(o *livingPart) {
	n := o.value - o.snapshot
	clear(o.series.Words())
	for _, words := range o.regions {
		clear(words[:])
	}
	o.value = 0
	d.count(o, n)
}

// record returns the record of a part.
func (d *oneDirectory) record(o *livingPart) *mpm.SeriesInfo {
	r := o.of.Reader(nil)
	_, err := r.Read(nil, nil, nil)
	require.NoError(d.t, err)
	for _, list := range []mpm.SeriesList{r.List(), r.RemovedList()} {
		for i := range list.Len() {
			s := list.At(i)
			if s.Values()[0] == o.label && (o.created == 0 || o.created == s.CreatedNanos()) && (o.created != 0 || d.isNew(o.of, s.CreatedNanos())) {
				return &s
			}
		}
	}
	d.t.Fatalf("no record of %s", o.label)
	return nil
}

func (d *oneDirectory) isNew(p *livingProcess, created int64) bool {
	return !slices.ContainsFunc(d.parts, func(o *livingPart) bool { return o.of == p && o.created == created })
}

// store writes what a janitor writes into the record of a part: created, removed, active and
// state. Then it raises gen.
func (d *oneDirectory) store(o *livingPart, state uint32) { d.storeAt(o, d.record(o), state) }

func (d *oneDirectory) storeAt(o *livingPart, record *mpm.SeriesInfo, state uint32) {
	at := record.Offset()
	f, err := os.OpenFile(o.of.Path(), os.O_RDWR, 0)
	require.NoError(d.t, err)
	defer f.Close()
	word := func(off int64, w uint64) {
		_, err := f.WriteAt(binary.LittleEndian.AppendUint64(nil, w), off)
		require.NoError(d.t, err)
	}
	half := func(off int64, w uint32) {
		_, err := f.WriteAt(binary.LittleEndian.AppendUint32(nil, w), off)
		require.NoError(d.t, err)
	}
	raise := func(off int64) {
		b := make([]byte, 8)
		_, err := f.ReadAt(b, off)
		require.NoError(d.t, err)
		word(off, binary.LittleEndian.Uint64(b)+1)
	}
	// docs/format.md
	word(at+16, uint64(o.created))
	word(at+24, uint64(o.removed))
	half(at+32, uint32((o.active-o.of.Header().Created.UnixNano())/unit))
	half(at+12, state)
	block := at &^ 65535
	if block == 0 {
		block = 512
	}
	raise(block + 16)
	raise(264)
}

// span is how long a part lasts, by the rule in its plainest form.
func (o *livingPart) span() (from, join, to int64) {
	const guard, half = int64(testGuard), int64(testTTL / 2)
	to = o.active + int64(testTTL) + half + guard
	from, join = min(o.created, o.active), to-guard
	if o.gone {
		join, to = min(join, o.removed), min(to, o.removed+half+guard)
	}
	return from, join, to
}

// life returns the parts of the life that a part is in.
func (d *oneDirectory) life(o *livingPart) (life []*livingPart, from, end int64) {
	in := map[*livingPart]bool{o: true}
	from, join, end := o.span()
	for again := true; again; {
		again = false
		for _, p := range d.parts {
			f, j, e := p.span()
			if !p.of.here || p.label != o.label || in[p] || f >= e {
				continue
			}
			if f <= from && from < j || from <= f && f < join {
				in[p], again = true, true
				from, join, end = min(from, f), max(join, j), max(end, e)
			}
		}
	}
	for _, p := range d.parts {
		if in[p] {
			life = append(life, p)
		}
	}
	return life, from, end
}

// janitor does what a janitor does at this moment with a part of a process that lives.
func (d *oneDirectory) janitor(o *livingPart) {
	now := d.now.UnixNano()
	_, _, end := d.life(o)
	switch changed := o.value != o.snapshot; {
	case o.deleted || o.gone && !changed:
	case !o.gone && changed && now < end-int64(testGuard):
		o.active, o.snapshot = o.of.active(now), o.value
		d.store(o, 1)
	case changed && (o.gone || now >= end):
		was := *o
		d.subtract(o)
		created := now
		for !d.isNew(o.of, created) {
			created++
		}
		o.created = created
		o.active, o.removed, o.gone, o.snapshot = o.of.active(now), 0, false, o.value
		now := *o
		*o = was
		at := d.record(o)
		*o = now
		d.storeAt(o, at, 1)
	case !changed && now >= end:
		o.removed, o.gone = now, true
		d.store(o, 2)
	}
}

// reference returns what is shown, in the plainest way.
func (d *oneDirectory) reference() map[string]string {
	now, out := d.now.UnixNano(), map[string]string{}
	type life struct {
		parts     []*livingPart
		from, end int64
		closed    bool
	}
	lives := map[string][]life{}
	done := map[*livingPart]bool{}
	for _, o := range d.parts {
		from, _, to := o.span()
		if !o.of.here || done[o] || now >= to || from >= to {
			continue
		}
		l := life{closed: true}
		l.parts, l.from, l.end = d.life(o)
		for _, p := range l.parts {
			done[p] = true
			_, _, to := p.span()
			l.closed = l.closed && (p.gone || p.of.dead && now >= to)
		}
		lives[o.label] = append(lives[o.label], l)
	}
	for label, all := range lives {
		slices.SortFunc(all, func(a, b life) int { return int(a.from - b.from) })
		chosen := all[len(all)-1]
		for _, l := range all {
			if !l.closed {
				chosen = l
				break
			}
		}
		newest, sum, created := int64(0), uint64(0), chosen.parts[0].created
		for _, p := range chosen.parts {
			_, _, to := p.span()
			newest = max(newest, to-int64(testTTL*3/2+testGuard))
			sum += p.value
			created = min(created, p.created)
		}
		if now < newest+int64(testTTL) {
			out[label] = fmt.Sprintf("%d since %v", sum, created)
		}
	}
	return out
}

func shownNow(t *testing.T, a *Aggregator) map[string]string {
	families, err := a.Gather(context.Background())
	require.NoError(t, err)
	out := map[string]string{}
	for _, f := range families {
		for _, s := range f.Series {
			value, _ := s.Labels.Get("l")
			out[value] = fmt.Sprintf("%.0f since %v", s.Value+float64(s.Count), s.Created.UnixNano())
		}
	}
	return out
}

// TestTTLAgainstReference: series that expire, come back, are removed and compacted are shown as
// the rule says, by a reader that has followed them, by a new one, and again after a
// compaction.
func TestTTLAgainstReference(t *testing.T) {
	seeds := 60
	if n, err := strconv.Atoi(os.Getenv("MULTIPROM_SCHEDULES")); err == nil {
		seeds = n
	}
	for seed := range uint64(seeds) {
		t.Run(strconv.FormatUint(seed, 10), func(t *testing.T) {
			d := &oneDirectory{t: t, r: rand.New(rand.NewPCG(seed, 23)), dir: t.TempDir(), elsewhere: t.TempDir(), native: seed%2 == 1, now: time.Unix(1_000_000, 0)}
			d.schedule(60)
		})
	}
}

func (d *oneDirectory) schedule(steps int) {
	t, r := d.t, d.r
	opts := Options{NoSelfMetrics: true, Now: func() time.Time { return d.now }}
	warm := openDir(t, d.dir, opts)
	any := func(is func(*livingProcess) bool) *livingProcess {
		var all []*livingProcess
		for _, p := range d.processes {
			if !p.dead && is(p) {
				all = append(all, p)
			}
		}
		if len(all) == 0 {
			return d.start(r.IntN(2) == 0)
		}
		return all[r.IntN(len(all))]
	}
	label := func() string { return strconv.Itoa(r.IntN(4)) }
	for step := range steps {
		d.now = d.now.Add(time.Duration(r.IntN(30_000)) * time.Millisecond)
		actions.List{
			{Weight: 8, Name: "an update", Do: func() {
				d.update(any(func(*livingProcess) bool { return true }), label(), uint64(1+r.IntN(100)))
			}},
			{Weight: 2, Name: "a process comes", Do: func() { d.start(r.IntN(2) == 0) }},
			{Weight: 2, Name: "a process dies", Do: func() {
				p := any(func(p *livingProcess) bool { return !p.here })
				if p.here {
					return
				}
				die(t, p.Store, d.dir)
				p.here, p.dead = true, true
			}},
			{Weight: 1, Name: "a process closes its file", Do: func() {
				p := any(func(p *livingProcess) bool { return p.here })
				require.NoError(t, p.Close())
				p.dead = true
			}},
			{Weight: 2, Name: "a series is removed", Do: func() {
				p := any(func(*livingProcess) bool { return true })
				if o := d.live(p, label()); o != nil {
					o.deleted = true
					if !o.gone {
						o.gone = true
						o.series.Remove()
						o.removed = d.record(o).RemovedNanos()
					}
				}
			}},
			{Weight: 2, Name: "the dead are compacted", Do: func() {
				_, err := Compact(context.Background(), d.dir, CompactOptions{Now: opts.Now})
				require.NoError(t, err)
			}},
			{Weight: 2, Name: "a long time", Do: func() { d.now = d.now.Add(time.Minute) }},
		}.Random(r)
		for _, o := range d.parts {
			if !o.of.dead && o.of.here && r.IntN(2) == 0 {
				d.janitor(o)
			}
		}
		want := d.reference()
		require.Equal(t, want, shownNow(t, openDir(t, d.dir, opts)), "a new reader at step %d", step)
		if r.IntN(3) > 0 {
			require.Equal(t, want, shownNow(t, warm), "step %d", step)
		}
	}
}

// TestOneLifeInTheArchive: what a dead process has of another life than the archive's waits in
// its file.
func TestOneLifeInTheArchive(t *testing.T) {
	d := &oneDirectory{t: t, dir: t.TempDir(), elsewhere: t.TempDir(), now: time.Unix(1_000_000, 0)}
	opts := Options{NoSelfMetrics: true, Now: func() time.Time { return d.now }}
	compact := func() int {
		r, err := Compact(context.Background(), d.dir, CompactOptions{Now: opts.Now})
		require.NoError(t, err)
		return len(r.Compacted)
	}
	check := func(want map[string]string) {
		t.Helper()
		require.Equal(t, want, d.reference())
		require.Equal(t, want, shownNow(t, openDir(t, d.dir, opts)))
	}
	first := d.start(false)
	d.update(first, "x", 5)
	die(t, first.Store, d.dir)
	first.here, first.dead = true, true
	require.Equal(t, 1, compact())
	d.now = d.now.Add(testTTL*3/2 + testGuard/2) // the life ends in half a guard
	second := d.start(false)
	d.update(second, "x", 7)
	die(t, second.Store, d.dir)
	second.here, second.dead = true, true
	check(map[string]string{})
	require.Zero(t, compact(), "it is of the next life")
	check(map[string]string{})
	d.now = d.now.Add(testGuard)
	later := map[string]string{"x": fmt.Sprintf("7 since %v", d.parts[1].created)}
	check(later)
	require.Equal(t, 1, compact())
	check(later)
}

// TestRemovedPartWaits: a dead process that has removed a series keeps its file as long as that
// part holds its life, because the archive does not know what is removed.
func TestRemovedPartWaits(t *testing.T) {
	d := &oneDirectory{t: t, dir: t.TempDir(), elsewhere: t.TempDir(), now: time.Unix(1_000_000, 0)}
	opts := Options{NoSelfMetrics: true, Now: func() time.Time { return d.now }}
	compact := func() int {
		r, err := Compact(context.Background(), d.dir, CompactOptions{Now: opts.Now})
		require.NoError(t, err)
		return len(r.Compacted)
	}
	shown := func() map[string]string { return shownNow(t, openDir(t, d.dir, opts)) }
	p := d.start(false)
	o := d.update(p, "x", 5)
	d.now = d.now.Add(time.Second)
	o.series.Remove()
	die(t, p.Store, d.dir)
	require.Empty(t, shown())
	require.Zero(t, compact())
	require.Empty(t, shown())
	d.now = d.now.Add(testTTL/2 + testGuard + time.Second)
	require.Equal(t, 1, compact())
	require.Empty(t, shown())
}
