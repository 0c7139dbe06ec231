package histogram_test

import (
	"encoding/binary"
	"iter"
	"math"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/multiprom/multiprom/internal/histogram"
	"github.com/multiprom/multiprom/metric"
)

// space gives a recorder regions, as a store does.
type space struct {
	cells   [histogram.Cells]uint64
	regions []histogram.Region
	room    int
	said    func(histogram.Region) // of each new region
}

func (s *space) AddRegion(r histogram.Region) *[histogram.RegionBuckets]uint64 {
	if len(s.regions) == s.room {
		return nil
	}
	r.Counts = new([histogram.RegionBuckets]uint64)
	s.regions = append(s.regions, r)
	if s.said != nil {
		s.said(r)
	}
	return r.Counts
}

func (s *space) Regions() iter.Seq[histogram.Region] { return slices.Values(s.regions) }

// native returns the schema with that definition.
func native(d histogram.Definition) *metric.NativeSchema {
	return &metric.NativeSchema{Schema: d.Schema, MaxBuckets: d.Limit, ZeroThreshold: d.Threshold}
}

// observe counts a value as instruments do. It reports whether there was room.
func (s *space) observe(r *histogram.Recorder, x float64) bool {
	return r.Observe(&s.cells, x) || r.ObserveRare(x)
}

// zero sets all words to 0.
func (s *space) zero() {
	s.cells = [histogram.Cells]uint64{}
	for _, r := range s.regions {
		*r.Counts = [histogram.RegionBuckets]uint64{}
	}
}

// total is what a reader makes of the words.
func (s *space) total(d histogram.Definition) *histogram.Total {
	t := &histogram.Total{Zero: s.cells[histogram.CellZero], NaN: s.cells[histogram.CellNaN]}
	t.Define(d)
	for _, r := range s.regions {
		t.AddRegion(r.Schema, r.Negative, r.Number, r.Counts)
	}
	return t
}

// direct counts a value without a recorder.
func direct(t *histogram.Total, d histogram.Definition, x float64) {
	switch {
	case math.IsNaN(x):
		t.NaN++
	case math.Abs(x) <= d.Threshold:
		t.Zero++
	default:
		t.Add(d.Schema, math.Signbit(x), histogram.Of(d.Schema).Index(x), 1)
	}
}

// requireRecorded gives values to a recorder: what it has is, after Fit, what one has who
// counts the values at the declared schema and fits them, however often it had to lower its
// own. So the recorder never lowers it too far.
func requireRecorded(t testing.TB, d histogram.Definition, xs []float64) {
	s := &space{room: math.MaxInt}
	var r histogram.Recorder
	r.Init(native(d), &s.cells, s)
	var want histogram.Total
	want.Define(d)
	sum := 0.0
	for _, x := range xs {
		require.True(t, s.observe(&r, x))
		direct(&want, d, x)
		sum += x
	}
	got := s.total(d)
	nan := math.IsNaN(sum)
	requireShown(t, show(&want, nan), show(got, nan))
	if nan {
		require.True(t, math.IsNaN(math.Float64frombits(s.cells[histogram.CellSum])))
	} else {
		require.Equal(t, sum, math.Float64frombits(s.cells[histogram.CellSum]))
	}
	at := map[histogram.Region]bool{}
	bySchema := map[int]int{}
	for _, r := range s.regions {
		bySchema[r.Schema]++
		r.Counts = nil
		require.False(t, at[r], "two regions for the same buckets")
		at[r] = true
	}
	for schema, n := range bySchema {
		if schema > histogram.MinSchema {
			require.LessOrEqual(t, n, histogram.Regions(d.Limit))
		}
	}

	// After a restart it is as good as new, and uses its regions again.
	s.zero()
	r.Restart()
	want.Reset()
	want.Define(d)
	for _, x := range xs {
		require.True(t, s.observe(&r, x))
		direct(&want, d, x)
	}
	requireShown(t, show(&want, nan), show(s.total(d), nan))
	require.Len(t, s.regions, len(at), "the same values need no new regions")
}

func TestRecorder(t *testing.T) {
	lowered := 0
	for seed := range uint64(200) {
		rnd := rand.New(rand.NewPCG(seed, 6))
		d := histogram.Definition{
			Schema: histogram.MinSchema + rnd.IntN(histogram.MaxSchema-histogram.MinSchema+1), Limit: []int{1, 30, 160, 1024}[rnd.IntN(4)],
			Threshold: []float64{0, 0x1p-128, 0.3}[rnd.IntN(3)],
		}
		spread := rnd.Float64() * 8
		xs := make([]float64, rnd.IntN(1000))
		for i := range xs {
			xs[i] = math.Exp(rnd.NormFloat64()*spread) * float64(1-2*rnd.IntN(2))
			switch rnd.IntN(100) {
			case 0:
				xs[i] = math.NaN()
			case 1:
				xs[i] = math.Inf(1)
			case 2:
				xs[i] = math.Copysign(0, -1)
			case 3:
				xs[i] = math.Float64frombits(rnd.Uint64())
			}
		}
		requireRecorded(t, d, xs)
		s := &space{room: math.MaxInt}
		var r histogram.Recorder
		r.Init(native(d), &s.cells, s)
		for _, x := range xs {
			s.observe(&r, x)
		}
		if n := len(s.regions); n > 0 && s.regions[n-1].Schema < d.Schema {
			lowered++
		}
	}
	require.Greater(t, lowered, 40)
}

func FuzzRecorder(f *testing.F) {
	f.Add(uint8(7), uint16(160), math.Float64bits(0x1p-128), []byte("12345678abcdefgh"))
	f.Add(uint8(12), uint16(1), uint64(0), binary.LittleEndian.AppendUint64(nil, math.Float64bits(math.Inf(-1))))
	f.Fuzz(func(t *testing.T, schema uint8, limit uint16, threshold uint64, values []byte) {
		d := histogram.Definition{Schema: histogram.MinSchema + int(schema%13), Limit: 1 + int(limit%1024), Threshold: math.Float64frombits(threshold)}
		if !(d.Threshold >= 0 && d.Threshold <= math.MaxFloat64) {
			d.Threshold = 0
		}
		var xs []float64
		for ; len(values) >= 8; values = values[8:] {
			xs = append(xs, math.Float64frombits(binary.LittleEndian.Uint64(values)))
		}
		requireRecorded(t, d, xs)
	})
}

// Without room for a region, the whole observation is dropped; others still count.
func TestRecorderWithoutRoom(t *testing.T) {
	s := &space{room: 1}
	d := histogram.Definition{Schema: 3, Limit: 160, Threshold: 0.1}
	var r histogram.Recorder
	r.Init(native(d), &s.cells, s)
	require.True(t, s.observe(&r, 1))
	require.False(t, s.observe(&r, 1e9))
	require.False(t, s.observe(&r, -1))
	require.True(t, s.observe(&r, 0.05))
	require.True(t, s.observe(&r, 1))
	require.Equal(t, 2.05, math.Float64frombits(s.cells[histogram.CellSum]))
	got := show(s.total(d), false)
	require.EqualValues(t, 3, got.count)
	s.room = 2
	require.True(t, s.observe(&r, 1e9), "it asks again")
}

// Observations of several goroutines, while the schema falls: each is counted once, and what
// a reader makes of the words at any time never shrinks. (The race detector sees these words.)
func TestRecorderAtOnce(t *testing.T) {
	d := histogram.Definition{Schema: 5, Limit: 40, Threshold: 0x1p-128}
	s := &space{room: math.MaxInt}
	var mu sync.Mutex // of views: a store publishes regions one by one too
	var known []histogram.Region
	s.said = func(r histogram.Region) {
		mu.Lock()
		defer mu.Unlock()
		known = append(known, r)
	}
	var r histogram.Recorder
	r.Init(native(d), &s.cells, s)
	const goroutines, each = 4, 5000
	var wg sync.WaitGroup
	done := make(chan struct{})
	for g := range uint64(goroutines) {
		wg.Go(func() {
			rnd := rand.New(rand.NewPCG(g, 7))
			for i := range each {
				x := math.Exp(rnd.NormFloat64() * float64(i) / 500)
				if !s.observe(&r, x) {
					t.Error("no room")
				}
			}
		})
	}
	go func() { wg.Wait(); close(done) }()
	var before shown
	for n := 0; ; n++ {
		last := false
		select {
		case <-done:
			last = true
		default:
		}
		var total histogram.Total
		total.Define(d)
		mu.Lock()
		regions := known
		mu.Unlock()
		for _, region := range regions {
			counts := loaded(region.Counts)
			total.AddRegion(region.Schema, region.Negative, region.Number, &counts)
		}
		now := show(&total, false)
		if n > 0 {
			requireNoReset(t, before, now)
		}
		if before = now; last {
			break
		}
	}
	require.EqualValues(t, goroutines*each, before.count)
	require.Less(t, before.Schema, d.Schema)
}

func loaded(counts *[histogram.RegionBuckets]uint64) (out [histogram.RegionBuckets]uint64) {
	for i := range counts {
		out[i] = atomic.LoadUint64(&counts[i])
	}
	return out
}

func BenchmarkObserve(b *testing.B) {
	rnd := rand.New(rand.NewPCG(1, 1))
	xs := make([]float64, 4096)
	for i := range xs {
		xs[i] = math.Exp(rnd.NormFloat64() * math.Ln10 / 2)
	}
	s := &space{room: math.MaxInt}
	var r histogram.Recorder
	r.Init(native(histogram.Definition{Schema: 3, Limit: 160, Threshold: 0x1p-128}), &s.cells, s)
	for _, x := range xs {
		s.observe(&r, x)
	}
	b.ReportAllocs()
	n := 0
	for b.Loop() {
		s.observe(&r, xs[n&4095])
		n++
	}
}
