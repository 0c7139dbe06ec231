package main

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strconv"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/multiprom/multiprom/aggregate"
	"github.com/multiprom/multiprom/multiproc"
)

// sizeRows count bytes and allocations.
func sizeRows(b *bench) {
	few, many := b.scaled(10_000), 5*b.scaled(10_000)
	counters := shape{Workers: 1, Counters: many}
	histograms := shape{Workers: 1, Histograms: many / 5}

	b.figure("file, a counter with 2 short labels", func() figure {
		bytes := func(n int) float64 {
			set := b.newSet()
			vec := multiproc.MustNew(set.NewCounterVec(multiproc.CounterOpts{Name: "c", Help: "C."}, []string{"method", "code"}))
			for i := range n {
				vec.WithLabelValues("GET", strconv.Itoa(i))
			}
			return dirBytes(set.Dir())
		}
		return figure{unit: "B", ours: (bytes(many) - bytes(few)) / float64(many-few), other: "at most", value: 96, goal: 1}
	})
	b.figure("file, a histogram of 12 buckets with 2 short labels", func() figure {
		bytes := func(n int) float64 {
			set := b.newSet()
			vec := multiproc.MustNew(set.NewHistogramVec(multiproc.HistogramOpts{Name: "h", Help: "H.", Buckets: bounds}, []string{"method", "code"}))
			for i := range n {
				vec.WithLabelValues("GET", strconv.Itoa(i))
			}
			return dirBytes(set.Dir())
		}
		return figure{unit: "B", ours: (bytes(many) - bytes(few)) / float64(many-few), other: "at most", value: 208, goal: 1}
	})

	// One worker needs almost no plan. More workers with the same series add only their
	// plans.
	b.figure("aggregator's heap, a merged counter", func() figure {
		return figure{unit: "B", ours: mergedHeap(b.newFleet(counters).Dir) / float64(counters.Counters), other: "at most", value: 130, goal: 1}
	})
	b.figure("aggregator's heap, a merged histogram of 12 buckets", func() figure {
		return figure{unit: "B", ours: mergedHeap(b.newFleet(histograms).Dir) / float64(histograms.Histograms), other: "at most", value: 200, goal: 1}
	})
	b.figure("the same with the text that a handler keeps, a merged counter", func() figure {
		return figure{unit: "B", ours: aggregatorHeap(b.newFleet(counters).Dir) / float64(counters.Counters)}
	})
	b.figure("the same with the text that a handler keeps, a merged histogram of 12 buckets", func() figure {
		return figure{unit: "B", ours: aggregatorHeap(b.newFleet(histograms).Dir) / float64(histograms.Histograms)}
	})
	further := func(s shape) float64 {
		s.Workers = 8
		more := mergedHeap(b.newFleet(s).Dir) - mergedHeap(b.newFleet(counters).Dir)
		return more / float64(7*s.Counters)
	}
	b.figure("aggregator's heap, a series of a further worker with the same ones", func() figure {
		return figure{unit: "B", ours: further(counters), other: "at most", value: 0.5, goal: 1}
	})
	b.figure("aggregator's heap, a series of a further worker with the same ones in another order", func() figure {
		s := counters
		s.Shuffled = true
		return figure{unit: "B", ours: further(s), other: "at most", value: 35, goal: 1}
	})
	b.figure("allocations of a warm merge, 8 x 100,000 values against 8 x 5,000", func() figure {
		allocs := func(values int) float64 {
			a := b.aggregator(b.newFleet(b.sharedShape(8, values)).Dir)
			gather(a)
			n, _ := loop("", func(n int) {
				for range n {
					gather(a)
				}
			}).allocations(5)
			return n
		}
		return figure{ours: allocs(100_000), other: "8 x 5,000", value: allocs(5_000), goal: 1.05}
	})

	if !b.full {
		return
	}
	b.figure("worker's heap, a counter with 2 short labels", func() figure {
		set := multiproc.NewSet(multiproc.SetOptions{Dir: b.newDir(), MaxSeries: 1 << 30})
		vec := multiproc.MustNew(set.NewCounterVec(multiproc.CounterOpts{Name: "c", Help: "C."}, []string{"method", "code"}))
		ours := heapOf(func() any {
			for i := range many {
				vec.WithLabelValues("GET", strconv.Itoa(i)).Inc()
			}
			return vec
		})
		check(set.Close())
		golang := heapOf(func() any {
			vec := prometheus.NewCounterVec(prometheus.CounterOpts{Name: "c"}, []string{"method", "code"})
			for i := range many {
				vec.WithLabelValues("GET", strconv.Itoa(i)).Inc()
			}
			return vec
		})
		return figure{unit: "B", ours: ours / float64(many), other: clientGolang, value: golang / float64(many)}
	})
	for _, size := range [][2]int{{8, 5_000}, {64, 10_000}, {8, 100_000}} {
		b.figure("aggregator's heap after a scrape, "+sharedName(size[0], size[1]), func() figure {
			s := b.sharedShape(size[0], size[1])
			return figure{unit: "B/value", ours: aggregatorHeap(b.newFleet(s).Dir) / float64(s.values())}
		})
	}
}

// mergedHeap returns the memory that an aggregator keeps after a merge.
func mergedHeap(dir string) float64 {
	var a *aggregate.Aggregator
	defer func() { check(a.Close()) }()
	return heapOf(func() any {
		a = must(aggregate.Open(dir, aggregate.Options{}))
		gather(a)
		gather(a)
		return a
	})
}

// aggregatorHeap returns the memory that an aggregator and its handler keep after a
// scrape.
func aggregatorHeap(dir string) float64 {
	var a *aggregate.Aggregator
	defer func() { check(a.Close()) }()
	return heapOf(func() any {
		a = must(aggregate.Open(dir, aggregate.Options{}))
		h := handler(a)
		newScraper(h, acceptText, "").scrape()
		newScraper(h, acceptText, "").scrape()
		return h
	})
}

// heapOf returns the bytes that the result of build keeps alive.
func heapOf(build func() any) float64 {
	before := heap()
	kept := build()
	after := heap()
	runtime.KeepAlive(kept)
	return float64(after) - float64(before)
}

func heap() uint64 {
	for range 3 { // pools release their content at the second
		runtime.GC()
	}
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

func dirBytes(dir string) (bytes float64) {
	check(filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		info, err := os.Stat(path)
		if err != nil {
			return fmt.Errorf("size of a file: %w", err)
		}
		bytes += float64(info.Size())
		return nil
	}))
	return bytes
}
