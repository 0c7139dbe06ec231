package mpm

import (
	"errors"
	"math"
	"math/rand/v2"
	"os"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/multiprom/multiprom/internal/histogram"
	"github.com/multiprom/multiprom/metric"
)

// churnSeries returns how many series a test adds and removes: MULTIPROM_CHURN, or def.
func churnSeries(def int) int {
	if n, err := strconv.Atoi(os.Getenv("MULTIPROM_CHURN")); err == nil {
		return n
	}
	return def
}

// lengths are distributions of the length of a label value. i counts the series.
var lengths = map[string]func(r *rand.Rand, i int) int{
	"uniform": func(r *rand.Rand, i int) int { return 8 + r.IntN(57) },
	"Pareto":  func(r *rand.Rand, i int) int { return min(4000, int(16/math.Pow(1-r.Float64(), 1/1.2))) },
	"phases":  func(r *rand.Rand, i int) int { return []int{8, 1000, 100, 400, 40}[i/5_000%5] + r.IntN(8) },
	"mixed": func(r *rand.Rand, i int) int {
		return []int{8, 8 + r.IntN(8), r.IntN(64), r.IntN(1000), r.IntN(4000)}[r.IntN(5)]
	},
}

func churnSchemas() []*metric.Schema {
	bounds := make([]float64, 12)
	for i := range bounds {
		bounds[i] = float64(i)
	}
	labels := []string{"l"}
	return []*metric.Schema{
		{Name: "c", Type: metric.Counter, Labels: labels}, {Name: "g", Type: metric.Gauge, Labels: labels},
		{Name: "h", Type: metric.Histogram, Labels: labels, Bounds: bounds}, {Name: "s", Type: metric.Summary, Labels: labels},
		{Name: "r", Type: metric.Gauge, Mode: metric.ModeMostRecent, Labels: labels}, {Name: "i", Type: metric.Info, Labels: labels},
		nativeSchema("n", "l"),
	}
}

// The words of a series are its id and how often it was counted up.
const churnBits = 24

// churned is what writer and reader of a test know of each series, by id.
type churned struct {
	added   atomic.Bool
	removed atomic.Int64 // when, just before the removal
	seen    []uint64     // its words in the reading that had it last
	round   int          // of the last reading that had it
}

// model is a writer at full speed and what it has done.
type model struct {
	s       *Store
	rand    *rand.Rand
	length  func(r *rand.Rand, i int) int
	schemas []*SchemaRef
	all     []churned
	enough  int          // so many series, and
	rounds  atomic.Int64 // at least minRounds readings

	mu     sync.Mutex
	active []modelSeries
}

const minRounds = 5

type modelSeries struct {
	*Series
	id      int
	regions *[]*regionWords // of one with native buckets
}

func (m *model) write(t *testing.T) {
	const live = 2000
	for id := 0; id < m.enough || m.rounds.Load() < minRounds && id < len(m.all); id++ {
		if len(m.active) >= live || len(m.active) > 0 && m.rand.IntN(8) == 0 {
			at := m.rand.IntN(len(m.active))
			if at%10 == 0 { // a tenth of the series live long
				at = len(m.active) - 1
			}
			one := m.active[at]
			m.mu.Lock()
			m.active[at] = m.active[len(m.active)-1]
			m.active = m.active[:len(m.active)-1]
			m.mu.Unlock()
			m.all[one.id].removed.Store(int64(elapsed()))
			one.Remove()
		}
		f := m.schemas[m.rand.IntN(len(m.schemas))]
		s, err := m.s.AddSeries(f, []string{strconv.Itoa(id) + "-" + strings.Repeat("x", m.length(m.rand, id))}, nil)
		if err != nil || s.Lost() {
			t.Error("the file is full", err)
			return
		}
		one := modelSeries{s, id, new([]*regionWords)}
		m.count(one)
		m.all[id].added.Store(true)
		m.mu.Lock()
		m.active = append(m.active, one)
		m.mu.Unlock()
		for range 4 {
			m.count(m.active[m.rand.IntN(len(m.active))])
		}
	}
}

// count counts up a series.
func (m *model) count(s modelSeries) {
	w := s.Words()
	switch schema := s.ref.schema; {
	case schema.Timed():
		bits, _, _ := LoadRecent(w)
		bits = max(bits, uint64(s.id)<<churnBits) + 1
		StoreRecent(w, bits, int64(bits))
	default:
		if schema.Type == metric.Counter && m.rand.IntN(20) == 0 {
			s.SetExemplar(0, metric.MakeLabels("id", strconv.Itoa(s.id), "x", strings.Repeat("y", m.rand.IntN(90))), 1, 1)
		}
		s.countUp(w)
	}
	if s.ref.schema.Native == nil {
		return
	}
	if n := len(*s.regions); n == 0 || n < 8 && m.rand.IntN(4) == 0 {
		*s.regions = append(*s.regions, s.AddRegion(histogram.Region{Schema: n - 4, Negative: m.rand.IntN(2) == 0, Number: int32(n)}))
	}
	s.countUp((*s.regions)[m.rand.IntN(len(*s.regions))][:])
}

func (s modelSeries) countUp(w []uint64) {
	for i := range w {
		now := atomic.LoadUint64(&w[i])
		if now == UnsetBits || now == 0 {
			now = uint64(s.id) << churnBits
		}
		atomic.StoreUint64(&w[i], now+1)
	}
}

// idOf returns the id of a series.
func idOf(s *SeriesInfo) int {
	text, _, _ := strings.Cut(s.Values()[0], "-")
	id, _ := strconv.Atoi(text)
	return id
}

// checker compares what a reader finds with the model.
type checker struct {
	*model
	t      *testing.T
	f      *follower
	before []int // ids of the last reading
	seen   int   // regions, in all readings
	round  int
	stale  int
}

// check reads once.
func (c *checker) check() {
	c.mu.Lock()
	active := make([]int, len(c.active))
	for i := range c.active {
		active[i] = c.active[i].id
	}
	c.mu.Unlock()
	now, err := c.f.r.Read(c.f.live, c.f.removed, c.f.regions)
	if errors.Is(err, ErrStale) {
		c.stale++
		return
	}
	require.NoError(c.t, err)
	live, removed := c.f.r.List(), c.f.r.RemovedList()
	c.f.apply(&now)
	damage, n := c.f.r.Damaged()
	require.Zero(c.t, n, "%v", damage)
	c.round++
	c.rounds.Add(1)
	var ids []int
	ids = c.words(ids, &live, c.f.live)
	ids = c.words(ids, &removed, c.f.removed)
	c.regions(&live, &removed)
	if c.f.r.Unsettled() == 0 {
		end := int64(elapsed())
		for _, id := range active {
			one := &c.all[id]
			require.True(c.t, one.round == c.round || one.removed.Load() != 0 && end-one.removed.Load() >= int64(c.s.opts.KeepRemoved), "series %d is missing, removed %v ago, lists of %d and %d", id, time.Duration(end-one.removed.Load()), live.Len(), removed.Len())
		}
		for _, id := range c.before {
			one := &c.all[id]
			require.True(c.t, one.round == c.round || one.removed.Load() != 0 && end-one.removed.Load() >= int64(c.s.opts.KeepRemoved), "series %d has vanished, removed %v ago", id, time.Duration(end-one.removed.Load()))
		}
	}
	c.before = ids
	for _, e := range now.Exemplars {
		if e.Exemplar != nil {
			s := live.At(e.Series)
			require.Equal(c.t, strconv.Itoa(idOf(&s)), e.Exemplar.Labels[0].Value)
		}
	}
}

// words checks that no word is another series', and that none has fallen.
func (c *checker) words(ids []int, l *SeriesList, values []uint64) []int {
	before := len(ids)
	for i := range l.Len() {
		if !l.Has(i) {
			continue
		}
		s := l.At(i)
		id := idOf(&s)
		one := &c.all[id]
		require.NotEqual(c.t, c.round, one.round, "series %d is there twice", id)
		one.round = c.round
		ids = append(ids, id)
		words := values[l.Position(i):][:l.ValuesOf(i)]
		if one.seen == nil {
			one.seen = make([]uint64, len(words))
		}
		for k, w := range words {
			// A new series has its words one after the other, and keeps each that it has had.
			if one.seen[k] == 0 && (w == 0 || w == UnsetBits) {
				continue
			}
			require.Equal(c.t, uint64(id), w>>churnBits, "series %d has the word %x", id, w)
			require.GreaterOrEqual(c.t, w, one.seen[k], "word %d of series %d has fallen", k, id)
			one.seen[k] = w
		}
	}
	require.Equal(c.t, l.Count(), len(ids)-before)
	return ids
}

// regions checks that no region has words of another series.
func (c *checker) regions(live, removed *SeriesList) {
	list := c.f.r.RegionList()
	for i := range list.Len() {
		if !list.Has(i) {
			continue
		}
		of, n := live, int(c.f.owners[i])
		if n < 0 {
			of, n = removed, ^n
		}
		s := of.At(n)
		require.NotNil(c.t, s.Schema.Native)
		for _, w := range c.f.regions[histogram.RegionBuckets*i:][:histogram.RegionBuckets] {
			require.True(c.t, w == 0 || w>>churnBits == uint64(idOf(&s)), "a region of series %d has the word %x", idOf(&s), w)
		}
		c.seen++
	}
}

// TestReaderOfABusyWriter: a reader of a process that adds and removes series as fast as it
// can finds no word of another series, misses none, and sees none fall.
func TestReaderOfABusyWriter(t *testing.T) {
	for name, length := range lengths {
		backingsNamed(t, name, Options{KeepRemoved: 200 * time.Millisecond}, func(t *testing.T, s *Store, open func() *Reader) {
			enough := churnSeries(15_000)
			m := &model{s: s, rand: rand.New(rand.NewPCG(4, 2)), length: length, enough: enough, all: make([]churned, max(enough, 300_000))}
			for _, schema := range churnSchemas() {
				f, err := s.AddSchema(schema)
				require.NoError(t, err)
				m.schemas = append(m.schemas, f)
			}
			r := open()
			if s.Path() != "" {
				r.parser.gaps = 0 // numbers are reset often
			}
			c := &checker{model: m, t: t, f: follow(t, r)}
			done := make(chan struct{})
			go func() {
				defer close(done)
				m.write(t)
			}()
			unsettled := 0
			for running := true; running; {
				select {
				case <-done:
					running = false
				default:
				}
				c.check()
				unsettled += r.Unsettled()
			}
			c.check()
			t.Logf("%d readings, %d stale, %d unsettled blocks, %d bytes", c.round, c.stale, unsettled, r.Bytes())
			require.GreaterOrEqual(t, c.round, minRounds)
			require.Greater(t, c.seen, 100)
		})
	}
}

// TestSpaceIsBounded: a file is as large as the live series and those removed within
// KeepRemoved at their peak, not as all there ever were.
func TestSpaceIsBounded(t *testing.T) {
	for name, length := range lengths {
		t.Run(name, func(t *testing.T) { churnSpace(t, length, 0) })
		t.Run(name+", growing and some stay", func(t *testing.T) { churnSpace(t, length, 20_000) })
	}
}

// churnSpace adds and removes series. At first, half of live may be there at once, at the end
// all. One in pinned stays for ever, unless pinned is 0.
func churnSpace(t *testing.T, length func(*rand.Rand, int) int, pinned int) {
	const live, keep = 8_000, 4_000
	now := time.Duration(0) // counts removals
	s := NewHeap(Options{MaxBytes: 32 << 30, KeepRemoved: keep, Elapsed: func() time.Duration { return now }})
	var schemas []*SchemaRef
	for _, schema := range churnSchemas() {
		f, err := s.AddSchema(schema)
		require.NoError(t, err)
		schemas = append(schemas, f)
	}
	type part struct {
		*Series
		bytes int
	}
	r := rand.New(rand.NewPCG(7, 7))
	var all []part
	var removed []int // bytes, as long as they are recent
	bytes, peak, worst := 0, 0, 0.0
	total := churnSeries(60_000)
	for i := range total {
		most := live
		if pinned > 0 {
			most = live/2 + live/2*i/total
		}
		if len(all) >= most {
			at := r.IntN(len(all))
			one := all[at]
			all[at] = all[len(all)-1]
			all = all[:len(all)-1]
			now++
			rest, _ := one.remove()
			s.release(rest)
			if removed = append(removed, one.bytes); len(removed) > keep {
				bytes -= removed[0]
				removed = removed[1:]
			}
		}
		f := schemas[r.IntN(len(schemas))]
		n := length(r, i)
		one, err := s.AddSeries(f, []string{strings.Repeat("x", n)}, nil)
		require.NoError(t, err)
		require.False(t, one.Lost())
		p := part{one, align8(offSerBody+2+n) + 8*cellsSize(f.schema)}
		if r.IntN(50) == 0 && f.schema.Type == metric.Counter {
			one.SetExemplar(0, metric.MakeLabels("id", "1"), 1, 1)
			p.bytes += one.cellsOf(0).size()
		}
		if f.schema.Native != nil {
			for k := range int32(r.IntN(8)) {
				one.AddRegion(histogram.Region{Schema: 3, Number: k})
				p.bytes += regionSize + cacheLine
			}
		}
		bytes += p.bytes
		peak = max(peak, bytes)
		if pinned == 0 || i%pinned != 0 {
			all = append(all, p)
		}
		if i%1000 == 0 {
			size := len(s.blocks) << blockShift
			if i > live {
				worst = max(worst, float64(size)/float64(peak))
			}
			require.LessOrEqual(t, float64(size), 1.3*float64(peak)+8*BlockSize, "after %d series: live and removed have %d bytes", i, peak)
		}
	}
	t.Logf("%d series, the file at most %.3f of the peak of %d bytes", total, worst, peak)
}
