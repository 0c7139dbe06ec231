package main

import (
	"context"
	"math/rand/v2"
	"strconv"
	"sync"
	"sync/atomic"

	vm "github.com/VictoriaMetrics/metrics"
	"github.com/prometheus/client_golang/prometheus"
	otel "go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/sdk/metric"

	"github.com/multiprom/multiprom/multiproc"
)

const (
	clientGolang    = "client_golang"
	victoriaMetrics = "VictoriaMetrics"
	openTelemetry   = "OpenTelemetry"
)

// bounds are 11 buckets, or 12 with +Inf.
var bounds = []float64{.005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10}

// newSet opens a worker's file in a new directory.
func (b *bench) newSet() *multiproc.Set {
	set := multiproc.NewSet(multiproc.SetOptions{Dir: b.newDir(), MaxSeries: 1 << 30})
	check(set.Open())
	b.onClose(func() { check(set.Close()) })
	return set
}

// meter returns a meter of the OpenTelemetry SDK with a raised limit of series, like ours.
func meter() otel.Meter {
	return metric.NewMeterProvider(metric.WithCardinalityLimit(-1), metric.WithReader(metric.NewManualReader()),
		metric.WithView(metric.NewView(metric.Instrument{Kind: metric.InstrumentKindHistogram},
			metric.Stream{Aggregation: metric.AggregationExplicitBucketHistogram{Boundaries: bounds}}))).Meter("bench")
}

var background = context.Background()

// updateRows are updates of instruments without a lookup.
func updateRows(b *bench) {
	set := sync.OnceValue(b.newSet)
	words := sync.OnceValue(func() []uint64 { return mappedWords(b.newDir(), 4096) })

	b.goal("Counter.Inc", func() row {
		ours := multiproc.MustNew(set().NewCounter(multiproc.CounterOpts{Name: "inc", Help: "C."}))
		golang := prometheus.NewCounter(prometheus.CounterOpts{Name: "inc"})
		victoria := vm.NewSet().NewCounter("inc")
		word := &words()[0]
		return row{noAllocs: true, ours: loop("", func(n int) {
			for range n {
				ours.Inc()
			}
		}), others: []other{
			{goal: 1.05, side: loop("atomic add", func(n int) {
				for range n {
					atomic.AddUint64(word, 1)
				}
			})},
			{goal: 1.05, side: loop(clientGolang, func(n int) {
				for range n {
					golang.Inc()
				}
			})},
			{side: loop(victoriaMetrics, func(n int) {
				for range n {
					victoria.Inc()
				}
			})},
			otelCounter(1),
		}}
	})

	b.goal("Counter.Inc, 100,000 at random", func() row {
		n := b.scaled(100_000)
		vec := multiproc.MustNew(set().NewCounterVec(multiproc.CounterOpts{Name: "many", Help: "C."}, []string{"l"}))
		golangVec := prometheus.NewCounterVec(prometheus.CounterOpts{Name: "many"}, []string{"l"})
		ours, golang := make([]*multiproc.Counter, n), make([]prometheus.Counter, n)
		cells := mappedWords(b.newDir(), 2*n) // as dense as two words per counter allow
		floor := make([]*uint64, n)
		for i, at := range rand.Perm(n) {
			floor[at] = &cells[2*i]
			ours[at] = vec.WithLabelValues(strconv.Itoa(i))
			golang[at] = golangVec.WithLabelValues(strconv.Itoa(i))
		}
		return row{ours: cycle("", n, func(from, to int) {
			for _, c := range ours[from:to] {
				c.Inc()
			}
		}), others: []other{{goal: 0.8, side: cycle(clientGolang, n, func(from, to int) {
			for _, c := range golang[from:to] {
				c.Inc()
			}
		})}, {side: cycle("atomic add, dense cells", n, func(from, to int) {
			for _, w := range floor[from:to] {
				atomic.AddUint64(w, 1)
			}
		})}}}
	})

	for _, v := range []float64{3, 1.5} {
		b.extra("Counter.Add("+strconv.FormatFloat(v, 'g', -1, 64)+")", func() row {
			ours := multiproc.MustNew(set().NewCounter(multiproc.CounterOpts{Name: "add" + strconv.Itoa(int(v)), Help: "C."}))
			golang := prometheus.NewCounter(prometheus.CounterOpts{Name: "add"})
			victoria := vm.NewSet().NewFloatCounter("add")
			word := &words()[64]
			return row{noAllocs: true, ours: loop("", func(n int) {
				for range n {
					ours.Add(v)
				}
			}), others: []other{
				{side: loop("compare and swap", func(n int) {
					for range n {
						casAdd(word, v)
					}
				})},
				{side: loop(clientGolang, func(n int) {
					for range n {
						golang.Add(v)
					}
				})},
				{side: loop(victoriaMetrics, func(n int) {
					for range n {
						victoria.Add(v)
					}
				})},
				otelCounter(v),
			}}
		})
	}

	gauge := func() (*multiproc.Gauge, prometheus.Gauge, *vm.Gauge) {
		return multiproc.MustNew(set().NewGauge(multiproc.GaugeOpts{Name: "g", Help: "G."})),
			prometheus.NewGauge(prometheus.GaugeOpts{Name: "g"}), vm.NewSet().NewGauge("g", nil)
	}
	b.extra("Gauge.Set", func() row {
		ours, golang, victoria := gauge()
		word := &words()[128]
		otelGauge := must(meter().Float64Gauge("g"))
		return row{noAllocs: true, ours: loop("", func(n int) {
			for range n {
				ours.Set(1.5)
			}
		}), others: []other{
			{side: loop("atomic store", func(n int) {
				for range n {
					atomic.StoreUint64(word, 1)
				}
			})},
			{side: loop(clientGolang, func(n int) {
				for range n {
					golang.Set(1.5)
				}
			})},
			{side: loop(victoriaMetrics, func(n int) {
				for range n {
					victoria.Set(1.5)
				}
			})},
			{side: loop(openTelemetry, func(n int) {
				for range n {
					otelGauge.Record(background, 1.5)
				}
			})},
		}}
	})
	b.extra("Gauge.Add(1.5)", func() row {
		ours, golang, victoria := gauge()
		word := &words()[192]
		return row{noAllocs: true, ours: loop("", func(n int) {
			for range n {
				ours.Add(1.5)
			}
		}), others: []other{
			{side: loop("compare and swap", func(n int) {
				for range n {
					casAdd(word, 1.5)
				}
			})},
			{side: loop(clientGolang, func(n int) {
				for range n {
					golang.Add(1.5)
				}
			})},
			{side: loop(victoriaMetrics, func(n int) {
				for range n {
					victoria.Add(1.5)
				}
			})},
		}}
	})

	// A constant value trains the branch predictor; a million random ones do not.
	random := sync.OnceValue(func() []float64 {
		values := make([]float64, b.scaled(1<<20))
		for i := range values {
			values[i] = rand.ExpFloat64()
		}
		return values
	})
	constant := sync.OnceValue(func() []float64 {
		values := make([]float64, b.scaled(1<<20))
		for i := range values {
			values[i] = 0.3
		}
		return values
	})
	b.goal("Histogram.Observe, random values", func() row {
		return observeRow(set(), words(), "random", random(), 0.35, 1.3)
	})
	b.goal("Histogram.Observe, one value", func() row {
		return observeRow(set(), words(), "one", constant(), 0.55, 0)
	})
	b.extra("Summary.Observe", func() row {
		values := random()
		ours := multiproc.MustNew(set().NewSummary(multiproc.SummaryOpts{Name: "s", Help: "S."}))
		golang := prometheus.NewSummary(prometheus.SummaryOpts{Name: "s"}) // no quantiles, like ours
		victoria := vm.NewSet().NewSummaryExt("s", 5*60e9, nil)
		return row{noAllocs: true, ours: cycle("", len(values), func(from, to int) {
			for _, v := range values[from:to] {
				ours.Observe(v)
			}
		}), others: []other{
			{side: cycle(clientGolang, len(values), func(from, to int) {
				for _, v := range values[from:to] {
					golang.Observe(v)
				}
			})},
			{side: cycle(victoriaMetrics, len(values), func(from, to int) {
				for _, v := range values[from:to] {
					victoria.Update(v)
				}
			})},
		}}
	})
}

func observeRow(set *multiproc.Set, words []uint64, name string, values []float64, golangGoal, floorGoal float64) row {
	ours := multiproc.MustNew(set.NewHistogram(multiproc.HistogramOpts{Name: "observe_" + name, Help: "H.", Buckets: bounds}))
	golang := prometheus.NewHistogram(prometheus.HistogramOpts{Name: "observe", Buckets: bounds})
	victoria := vm.NewSet().NewPrometheusHistogramExt("observe", bounds)
	otelHistogram := must(meter().Float64Histogram("observe"))
	sum, bucket := &words[256], &words[257]
	return row{noAllocs: true, ours: cycle("", len(values), func(from, to int) {
		for _, v := range values[from:to] {
			ours.Observe(v)
		}
	}), others: []other{
		{goal: golangGoal, side: cycle(clientGolang, len(values), func(from, to int) {
			for _, v := range values[from:to] {
				golang.Observe(v)
			}
		})},
		{goal: floorGoal, side: cycle("compare and swap, add", len(values), func(from, to int) {
			for _, v := range values[from:to] {
				casAdd(sum, v)
				atomic.AddUint64(bucket, 1)
			}
		})},
		{side: cycle(victoriaMetrics, len(values), func(from, to int) {
			for _, v := range values[from:to] {
				victoria.Update(v)
			}
		})},
		{side: cycle(openTelemetry, len(values), func(from, to int) {
			for _, v := range values[from:to] {
				otelHistogram.Record(background, v)
			}
		})},
	}}
}

func otelCounter(v float64) other {
	c := must(meter().Float64Counter("c"))
	return other{side: loop(openTelemetry, func(n int) {
		for range n {
			c.Add(background, v)
		}
	})}
}

// contendedRows have two goroutines update one instrument. Times are elapsed time per
// operation of both, so half of what each goroutine waits.
func contendedRows(b *bench) {
	set := sync.OnceValue(b.newSet)
	b.extra("Counter.Inc", func() row {
		ours := multiproc.MustNew(set().NewCounter(multiproc.CounterOpts{Name: "inc", Help: "C."}))
		golang := prometheus.NewCounter(prometheus.CounterOpts{Name: "inc"})
		victoria := vm.NewSet().NewCounter("inc")
		otelC := must(meter().Float64Counter("c"))
		word := &mappedWords(b.newDir(), 512)[0]
		return row{ours: both("", func(n int) {
			for range n {
				ours.Inc()
			}
		}), others: []other{
			{side: both("atomic add", func(n int) {
				for range n {
					atomic.AddUint64(word, 1)
				}
			})},
			{side: both(clientGolang, func(n int) {
				for range n {
					golang.Inc()
				}
			})},
			{side: both(victoriaMetrics, func(n int) {
				for range n {
					victoria.Inc()
				}
			})},
			{side: both(openTelemetry, func(n int) {
				for range n {
					otelC.Add(background, 1)
				}
			})},
		}}
	})
	each := func(ours [2]*multiproc.Counter, golang [2]prometheus.Counter) row {
		return row{ours: bothOf("", func(g, n int) {
			c := ours[g]
			for range n {
				c.Inc()
			}
		}), others: []other{{side: bothOf(clientGolang, func(g, n int) {
			c := golang[g]
			for range n {
				c.Inc()
			}
		})}}}
	}
	b.extra("Counter.Inc, a counter each", func() row {
		counter := func(name string) (*multiproc.Counter, prometheus.Counter) {
			return multiproc.MustNew(set().NewCounter(multiproc.CounterOpts{Name: name, Help: "C."})),
				prometheus.NewCounter(prometheus.CounterOpts{Name: name})
		}
		a, golangA := counter("a")
		c, golangC := counter("c")
		return each([2]*multiproc.Counter{a, c}, [2]prometheus.Counter{golangA, golangC})
	})
	b.extra("Counter.Inc, a series of one family each", func() row {
		vec := multiproc.MustNew(set().NewCounterVec(multiproc.CounterOpts{Name: "two", Help: "C."}, []string{"l"}))
		golang := prometheus.NewCounterVec(prometheus.CounterOpts{Name: "two"}, []string{"l"})
		return each(
			[2]*multiproc.Counter{vec.WithLabelValues("a"), vec.WithLabelValues("b")},
			[2]prometheus.Counter{golang.WithLabelValues("a"), golang.WithLabelValues("b")})
	})
	b.extra("Histogram.Observe", func() row {
		values := make([]float64, b.scaled(1<<20))
		for i := range values {
			values[i] = rand.ExpFloat64()
		}
		ours := multiproc.MustNew(set().NewHistogram(multiproc.HistogramOpts{Name: "h", Help: "H.", Buckets: bounds}))
		golang := prometheus.NewHistogram(prometheus.HistogramOpts{Name: "h", Buckets: bounds})
		victoria := vm.NewSet().NewPrometheusHistogramExt("h", bounds)
		return row{ours: both("", func(n int) {
			for i := range n {
				ours.Observe(values[i%len(values)])
			}
		}), others: []other{
			{side: both(clientGolang, func(n int) {
				for i := range n {
					golang.Observe(values[i%len(values)])
				}
			})},
			{side: both(victoriaMetrics, func(n int) {
				for i := range n {
					victoria.Update(values[i%len(values)])
				}
			})},
		}}
	})
	b.goal("Histogram.Observe, native buckets", func() row { return contendedNativeRow(set(), lognormal(b.scaled(1<<20), 4)) })
	b.extra("WithLabelValues (2 labels) + Inc, 1,000 series", func() row {
		l := newLookups(b, set(), 2, b.scaled(1_000))
		return row{ours: l.both("", l.ours), others: []other{{side: l.both(clientGolang, l.golang)}}}
	})
}
