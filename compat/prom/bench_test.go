package prom_test

import (
	"math/rand/v2"
	"strconv"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"

	"github.com/multiprom/multiprom/compat/prom"
	"github.com/multiprom/multiprom/multiproc"
)

// sides are client_golang and this module's metrics in a mapped file; the names
// go to benchstat -col /side.
func sides(b *testing.B, run func(b *testing.B, m maker)) {
	b.Run("side=client_golang", func(b *testing.B) { run(b, genuine) })
	b.Run("side=compat", func(b *testing.B) {
		set := multiproc.NewSet(multiproc.SetOptions{Dir: b.TempDir()})
		require.NoError(b, set.Open())
		f := prom.New(set, prom.Options{})
		b.Cleanup(func() {
			f.Close()
			set.Close()
		})
		run(b, over(f))
	})
}

func BenchmarkCounterInc(b *testing.B) {
	sides(b, func(b *testing.B, m maker) {
		c := m.counter(prometheus.CounterOpts{Name: "c_total", Help: "h"})
		b.ReportAllocs()
		for b.Loop() {
			c.Inc()
		}
	})
}

func BenchmarkCounterIncOfAVec(b *testing.B) {
	sides(b, func(b *testing.B, m maker) {
		c := m.counterVec(prometheus.CounterOpts{Name: "c_total", Help: "h"}, []string{"method", "code"}).WithLabelValues("GET", "200")
		b.ReportAllocs()
		for b.Loop() {
			c.Inc()
		}
	})
}

func BenchmarkLookupAndInc(b *testing.B) {
	sides(b, func(b *testing.B, m maker) {
		v := m.counterVec(prometheus.CounterOpts{Name: "c_total", Help: "h"}, []string{"method", "code"})
		codes := make([]string, 1024)
		for i := range codes {
			codes[i] = strconv.Itoa(i)
			v.WithLabelValues("GET", codes[i])
		}
		i := 0
		b.ReportAllocs()
		for b.Loop() {
			v.WithLabelValues("GET", codes[i&1023]).Inc()
			i++
		}
	})
}

func BenchmarkGaugeSet(b *testing.B) {
	sides(b, func(b *testing.B, m maker) {
		g := m.gauge(prometheus.GaugeOpts{Name: "g", Help: "h"})
		b.ReportAllocs()
		for b.Loop() {
			g.Set(3)
		}
	})
}

func BenchmarkObserve(b *testing.B) {
	values := make([]float64, 1<<20) // random ones: constant values train the branch predictor
	for i := range values {
		values[i] = rand.ExpFloat64()
	}
	sides(b, func(b *testing.B, m maker) {
		h := m.histogram(prometheus.HistogramOpts{Name: "h", Help: "h"})
		i := 0
		b.ReportAllocs()
		for b.Loop() {
			h.Observe(values[i&(1<<20-1)])
			i++
		}
	})
}

func BenchmarkGather(b *testing.B) {
	sides(b, func(b *testing.B, m maker) {
		v := m.counterVec(prometheus.CounterOpts{Name: "c_total", Help: "h"}, []string{"n"})
		for i := range 10_000 {
			v.WithLabelValues(strconv.Itoa(i)).Inc()
		}
		r := prometheus.NewRegistry()
		r.MustRegister(v)
		b.ReportAllocs()
		for b.Loop() {
			if _, err := r.Gather(); err != nil {
				b.Fatal(err)
			}
		}
	})
}

// BenchmarkReconcile is what the period costs: 10,000 series, none deleted.
func BenchmarkReconcile(b *testing.B) {
	f := prom.New(multiproc.NewSet(multiproc.SetOptions{}), prom.Options{})
	v := f.NewCounterVec(prometheus.CounterOpts{Name: "c_total", Help: "h"}, []string{"n"})
	for i := range 10_000 {
		v.WithLabelValues(strconv.Itoa(i)).Inc()
	}
	b.ReportAllocs()
	for b.Loop() {
		f.Reconcile()
	}
}

// BenchmarkMergedGather is a registry of 100 gauges, of which client_golang has the
// values of this process and compat those of the directory.
func BenchmarkMergedGather(b *testing.B) {
	sides(b, func(b *testing.B, m maker) {
		r := prom.NewRegistry()
		for i := range 100 {
			r.MustRegister(m.gauge(prometheus.GaugeOpts{Name: "g_" + strconv.Itoa(i), Help: "h"}))
		}
		b.ReportAllocs()
		for b.Loop() {
			if _, err := r.Gather(); err != nil {
				b.Fatal(err)
			}
		}
	})
}
