package main

import (
	"math"
	"math/rand/v2"
	"strconv"
	"sync"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/multiprom/multiprom/multiproc"
)

// nativeFactor is that of schema 3.
const nativeFactor = 1.1

// lognormal returns values of which 99.7% are within so many decades.
func lognormal(n int, decades float64) []float64 {
	values := make([]float64, n)
	for i := range values {
		values[i] = math.Exp(rand.NormFloat64() * decades * math.Ln10 / 6)
	}
	return values
}

// nativeRows are observations in native buckets.
func nativeRows(b *bench) {
	set := sync.OnceValue(b.newSet)
	random := sync.OnceValue(func() []float64 { return lognormal(b.scaled(1<<20), 4) })
	b.goal("random values over 4 decades", func() row {
		return nativeRow(set(), "native_random", random(), nil, 0.35)
	})
	b.goal("one value", func() row {
		values := make([]float64, b.scaled(1<<20))
		for i := range values {
			values[i] = 0.3
		}
		return nativeRow(set(), "native_one", values, nil, 0.45)
	})
	b.goal("random values, with 11 classic buckets", func() row {
		return nativeRow(set(), "native_both", random(), bounds, 0.45)
	})
	b.extra("random values of both signs", func() row {
		values := lognormal(b.scaled(1<<20), 4)
		for i := range values {
			values[i] = math.Copysign(values[i], rand.NormFloat64())
		}
		return nativeRow(set(), "native_signs", values, nil, 0)
	})
	b.extra("zero", func() row { return nativeRow(set(), "native_zero", make([]float64, b.scaled(1<<20)), nil, 0) })
	b.goal("10,000 series at random", func() row { return nativeSeriesRow(b, set()) })
}

func nativeRow(set *multiproc.Set, name string, values, buckets []float64, goal float64) row {
	ours := multiproc.MustNew(set.NewHistogram(multiproc.HistogramOpts{Name: name, Help: "H.", Buckets: buckets, NativeHistogramBucketFactor: nativeFactor}))
	golang := prometheus.NewHistogram(prometheus.HistogramOpts{
		Name: name, Buckets: buckets, NativeHistogramBucketFactor: nativeFactor, NativeHistogramMaxBucketNumber: 160,
	})
	classic := multiproc.MustNew(set.NewHistogram(multiproc.HistogramOpts{Name: name + "_classic", Help: "H.", Buckets: bounds}))
	for _, v := range values { // each value has its bucket before it is measured
		ours.Observe(v)
		golang.Observe(v)
	}
	return row{noAllocs: true, ours: cycle("", len(values), func(from, to int) {
		for _, v := range values[from:to] {
			ours.Observe(v)
		}
	}), others: []other{
		{goal: goal, side: cycle(clientGolang, len(values), func(from, to int) {
			for _, v := range values[from:to] {
				golang.Observe(v)
			}
		})},
		{side: cycle("11 classic buckets", len(values), func(from, to int) {
			for _, v := range values[from:to] {
				classic.Observe(v)
			}
		})},
	}}
}

// contendedNativeRow observes in one histogram from two goroutines, which have the same values in
// another order.
func contendedNativeRow(set *multiproc.Set, values []float64) row {
	ours := multiproc.MustNew(set.NewHistogram(multiproc.HistogramOpts{Name: "native", Help: "H.", NativeHistogramBucketFactor: nativeFactor}))
	golang := prometheus.NewHistogram(prometheus.HistogramOpts{
		Name: "native", NativeHistogramBucketFactor: nativeFactor, NativeHistogramMaxBucketNumber: 160,
	})
	for _, v := range values {
		ours.Observe(v)
		golang.Observe(v)
	}
	return row{ours: bothOf("", func(g, n int) {
		for i := range n {
			ours.Observe(values[(i+g*len(values)/2)%len(values)])
		}
	}), others: []other{{goal: 0.45, side: bothOf(clientGolang, func(g, n int) {
		for i := range n {
			golang.Observe(values[(i+g*len(values)/2)%len(values)])
		}
	})}}}
}

// nativeSeriesRow observes a value in each of many series, one after the other.
func nativeSeriesRow(b *bench, set *multiproc.Set) row {
	n := b.scaled(10_000)
	vec := multiproc.MustNew(set.NewHistogramVec(multiproc.HistogramOpts{Name: "native_many", Help: "H.", NativeHistogramBucketFactor: nativeFactor}, []string{"l"}))
	golangVec := prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Name: "native_many", NativeHistogramBucketFactor: nativeFactor, NativeHistogramMaxBucketNumber: 160,
	}, []string{"l"})
	ours, golang := make([]*multiproc.Histogram, n), make([]prometheus.Observer, n)
	for i, at := range rand.Perm(n) {
		ours[at], golang[at] = vec.WithLabelValues(strconv.Itoa(i)), golangVec.WithLabelValues(strconv.Itoa(i))
	}
	// The lists have no common divisor, so a series gets another value each time, now and then
	// one near which it has no bucket.
	values, order := lognormal(b.scaled(1<<20), 4), make([]int32, b.scaled(1<<20)-1)
	for i := range order {
		order[i] = int32(rand.IntN(n))
	}
	at := func() func() (int32, float64) {
		i, j := 0, 0
		return func() (int32, float64) {
			if i++; i == len(order) {
				i = 0
			}
			if j++; j == len(values) {
				j = 0
			}
			return order[i], values[j]
		}
	}
	nextOurs, nextGolang := at(), at()
	observeOurs := func(count int) {
		for range count {
			i, v := nextOurs()
			ours[i].Observe(v)
		}
	}
	observeGolang := func(count int) {
		for range count {
			i, v := nextGolang()
			golang[i].Observe(v)
		}
	}
	observeOurs(100 * n)
	observeGolang(100 * n)
	return row{ours: loop("", observeOurs), others: []other{{goal: 0.25, side: loop(clientGolang, observeGolang)}}}
}

// nativeSizeRows count what a series with native buckets takes after 5,000 observations.
func nativeSizeRows(b *bench) {
	for _, decades := range []float64{1, 2, 4} {
		n := b.scaled(1000)
		opts := multiproc.HistogramOpts{Name: "n", Help: "N.", NativeHistogramBucketFactor: nativeFactor}
		labels := []string{"method", "code"}
		fill := func(observe func(series int) func(float64)) {
			for i := range n {
				to := observe(i)
				for _, v := range lognormal(b.scaled(5000), decades) {
					to(v)
				}
			}
		}
		ours := func(n int) (file, heap float64) {
			set := b.newSet()
			heap = heapOf(func() any {
				vec := multiproc.MustNew(set.NewHistogramVec(opts, labels))
				fill(func(i int) func(float64) { return vec.WithLabelValues("GET", strconv.Itoa(i)).Observe })
				return set
			})
			return dirBytes(set.Dir()), heap
		}
		golang := func() float64 {
			return heapOf(func() any {
				vec := prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: "n", NativeHistogramBucketFactor: nativeFactor, NativeHistogramMaxBucketNumber: 160}, labels)
				fill(func(i int) func(float64) { return vec.WithLabelValues("GET", strconv.Itoa(i)).Observe })
				return vec
			})
		}
		name := strconv.FormatFloat(decades, 'g', -1, 64) + " decades of lognormal values"
		b.figure("file, a native histogram with 2 short labels, "+name, func() figure {
			file, _ := ours(n)
			return figure{unit: "B", ours: file / float64(n)}
		})
		b.figure("heap of the writer, the same, "+name, func() figure {
			_, heap := ours(n)
			return figure{unit: "B", ours: heap / float64(n), other: clientGolang, value: golang() / float64(n)}
		})
	}
}
