package main

import "sync"

// nativeMergeRows merge native histograms beside classic ones of as many words.
func nativeMergeRows(b *bench) {
	scaled := b.scaled(100)
	fleet := func(s shape) func() *scraped { return sync.OnceValue(func() *scraped { return b.newScraped(s) }) }
	native := fleet(shape{Workers: 8, Histograms: scaled * classicWords, Native: true})
	classic := fleet(shape{Workers: 8, Histograms: scaled * nativeWords})
	merge := func(d *scraped, name string, share float64) side {
		return side{
			name: name, prepare: func() { gather(d.ours); d.change(share, true) },
			run: func(n int) {
				for range n {
					gather(d.ours)
				}
			},
		}
	}
	for _, changed := range []struct {
		name  string
		share float64
	}{{"nothing", 0}, {"5%", 0.05}, {"all", 1}} {
		b.goal("warm merge, "+changed.name+" changed", func() row {
			return row{
				once: changed.share > 0, parts: native().values(), part: "word", ours: merge(native(), "", changed.share),
				others: []other{{goal: 1, side: merge(classic(), "classic", changed.share)}},
			}
		})
	}
	b.figure("aggregator's heap, a merged histogram of 48 native buckets", func() figure {
		s := shape{Workers: 1, Histograms: b.scaled(2_000), Native: true}
		return figure{unit: "B", ours: mergedHeap(b.newFleet(s).Dir) / float64(s.Histograms)}
	})
	b.figure("aggregator's heap, the same histogram of a further worker", func() figure {
		s := shape{Workers: 8, Histograms: b.scaled(2_000), Native: true}
		more := mergedHeap(b.newFleet(s).Dir)
		s.Workers = 1
		return figure{unit: "B", ours: (more - mergedHeap(b.newFleet(s).Dir)) / float64(7*s.Histograms)}
	})
}
