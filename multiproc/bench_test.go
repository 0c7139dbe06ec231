package multiproc_test

import (
	"math/rand/v2"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/multiprom/multiprom/multiproc"
)

func benchSet(b *testing.B) *multiproc.Set {
	b.Helper()
	s := multiproc.NewSet(multiproc.SetOptions{Dir: b.TempDir(), MaxSeries: 1 << 30})
	if err := s.Open(); err != nil {
		b.Fatal(err)
	}
	return s
}

// BenchmarkFloor is a bare atomic add: what Inc should cost.
func BenchmarkFloor(b *testing.B) {
	word := new(uint64)
	for b.Loop() {
		atomic.AddUint64(word, 1)
	}
}

func BenchmarkCounterInc(b *testing.B) {
	c := multiproc.MustNew(benchSet(b).NewCounter(multiproc.CounterOpts{Name: "c", Help: "C."}))
	b.ReportAllocs()
	for b.Loop() {
		c.Inc()
	}
}

func BenchmarkCounterAdd(b *testing.B) {
	c := multiproc.MustNew(benchSet(b).NewCounter(multiproc.CounterOpts{Name: "c", Help: "C."}))
	for _, v := range []float64{3, 1.5} {
		b.Run(strconv.FormatFloat(v, 'g', -1, 64), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				c.Add(v)
			}
		})
	}
}

func BenchmarkGaugeSet(b *testing.B) {
	g := multiproc.MustNew(benchSet(b).NewGauge(multiproc.GaugeOpts{Name: "g", Help: "G."}))
	b.ReportAllocs()
	for b.Loop() {
		g.Set(1.5)
	}
}

// BenchmarkHistogramObserve observes a million random values in turn:
// constant ones train the branch predictor.
func BenchmarkHistogramObserve(b *testing.B) {
	h := multiproc.MustNew(benchSet(b).NewHistogram(multiproc.HistogramOpts{
		Name: "h", Help: "H.", Buckets: []float64{.005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10},
	}))
	values := make([]float64, 1<<20)
	for i := range values {
		values[i] = rand.ExpFloat64()
	}
	b.ReportAllocs()
	i := 0
	for b.Loop() {
		h.Observe(values[i&(1<<20-1)])
		i++
	}
}

func BenchmarkWithLabelValuesInc(b *testing.B) {
	for _, n := range []int{1, 1_000, 100_000} {
		b.Run(strconv.Itoa(n), func(b *testing.B) {
			v := multiproc.MustNew(benchSet(b).NewCounterVec(multiproc.CounterOpts{Name: "c", Help: "C."}, []string{"method", "path"}))
			paths := make([]string, n)
			for i := range paths {
				v.WithLabelValues("GET", "/path/"+strconv.Itoa(i)).Inc()
				// Clones: equal pointers would make comparing them too cheap.
				paths[i] = strings.Clone("/path/" + strconv.Itoa(i))
			}
			rand.Shuffle(n, func(i, j int) { paths[i], paths[j] = paths[j], paths[i] })
			b.ReportAllocs()
			i := 0
			for b.Loop() {
				v.WithLabelValues("GET", paths[i]).Inc()
				if i++; i == n {
					i = 0
				}
			}
		})
	}
}

func BenchmarkNewSeries(b *testing.B) {
	v := multiproc.MustNew(benchSet(b).NewCounterVec(multiproc.CounterOpts{Name: "c", Help: "C."}, []string{"method", "path"}))
	b.ReportAllocs()
	i := 0
	for b.Loop() {
		v.WithLabelValues("GET", strconv.Itoa(i)).Inc()
		i++
	}
}

// BenchmarkAddRemove makes a series, counts once and removes it. 1,000 others live.
func BenchmarkAddRemove(b *testing.B) {
	s := multiproc.NewSet(multiproc.SetOptions{Dir: b.TempDir()})
	v := multiproc.MustNew(s.NewCounterVec(multiproc.CounterOpts{Name: "c", Help: "C."}, []string{"l"}))
	for i := range b.N + 1000 {
		v.WithLabelValues(strconv.Itoa(i)).Inc()
		if i >= 1000 {
			v.DeleteLabelValues(strconv.Itoa(i - 1000))
		}
	}
}
