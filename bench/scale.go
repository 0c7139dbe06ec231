package main

import (
	"fmt"
	"os"
	"path/filepath"
	"sync"

	"github.com/multiprom/multiprom/aggregate"
)

// ladder is one size that grows while everything else stays the same. Each point is a
// group of its own, with the smallest point as the other side of every row, so that the
// ratio compares two samples taken one after the other.
type ladder struct {
	name  string // what is counted
	about string
	sizes []int
	at    func(b *bench, size int) rung
}

// rung is a directory of one size and the work that is timed on it.
type rung struct {
	dir   func() string // with all its files, created by the first call
	times []timed
}

type timed struct {
	measure string
	side    func() side
	once    bool // a sample is one run
}

var ladders = []ladder{
	{"processes", "Living processes with the same 1,000 counters each",
		[]int{1, 2, 4, 8, 16, 32, 64, 128, 256, 512}, func(b *bench, size int) rung {
			return b.living(shape{Workers: size, Counters: b.scaled(1_000)})
		}},
	{"series", "Merged counters, which 4 living processes have each",
		[]int{1_000, 10_000, 100_000, 1_000_000}, func(b *bench, size int) rung {
			return b.living(shape{Workers: 4, Counters: size})
		}},
	{"files", "Files of dead processes, with the same 10 counters each",
		[]int{10, 100, 1_000, 10_000}, (*bench).dead},
	{"compacted", "Dead processes as above, compacted into the archive",
		[]int{10, 100, 1_000, 10_000}, (*bench).compacted},
}

// scale measures all wanted points.
func (o options) scale() (points []point) {
	o.full = true // also measure the smallest point, which bounds nothing
	for _, l := range ladders {
		sizes := l.sizes
		if o.tiny {
			sizes = []int{2, 6}
		}
		for _, size := range sizes {
			results := o.runGroup(group{l.name + " " + thousands(size), func(b *bench) { l.declare(b, sizes[0], size) }})
			if len(results) > 0 {
				points = append(points, newPoint(l.name, sizes[0], size, results))
			}
		}
	}
	return points
}

func (l ladder) declare(b *bench, smallest, size int) {
	here, first := l.at(b, size), l.at(b, smallest)
	for i, t := range here.times {
		b.extra(t.measure, func() row {
			r := row{ours: t.side(), once: t.once}
			if size != smallest {
				r.others = []other{{side: first.times[i].side()}}
				r.others[0].name = thousands(smallest)
			}
			return r
		})
	}
	b.figure("heap", func() figure { return figure{unit: "B", ours: aggregatorHeap(here.dir())} })
	b.figure("text", func() figure { return figure{unit: "B", ours: textBytes(here.dir())} })
	b.figure("directory", func() figure { return figure{unit: "B", ours: dirBytes(here.dir())} })
}

// newPoint converts ratios of times to ratios of the cost of one more of what the ladder
// counts.
func newPoint(ladder string, smallest, size int, results []result) point {
	p := point{ladder: ladder, size: size, values: map[string]float64{}}
	for _, r := range results {
		if r.Unit == "B" {
			if r.Ours > 0 { // otherwise it is lost in what the garbage collector freed meanwhile
				p.values[r.Row+"_bytes"] = r.Ours
			}
			continue
		}
		p.values[r.Row+"_ns"] = r.Ours
		p.values[r.Row+"_ratio"] = 1
		if size != smallest {
			p.values[r.Row+"_ratio"] = r.Ratio * float64(smallest) / float64(size)
		}
	}
	return p
}

// living has processes that keep counting: 5% of the series change before a warm scrape.
func (b *bench) living(s shape) rung {
	f := sync.OnceValue(func() *fleet { return b.newFleet(s) })
	return rung{func() string { return f().Dir }, []timed{
		{"warm", func() side {
			c := newScraper(handler(b.aggregator(f().Dir)), acceptText, "")
			return side{prepare: func() { c.scrape(); f().change(0.05, true) }, run: func(int) { c.scrape() }}
		}, true},
		{"cold", func() side { return coldScrape(f().Dir) }, false},
	}}
}

// dead has dead processes whose files were not compacted.
func (b *bench) dead(files int) rung {
	return b.still(sync.OnceValue(func() string { return b.newDead(few(files)).Dir }))
}

// compacted has dead processes whose files are in the archive.
func (b *bench) compacted(processes int) rung {
	uncompacted := sync.OnceValue(func() string { return b.newDead(few(processes)).Dir })
	r := b.still(sync.OnceValue(func() string {
		dir := b.newDir()
		link(uncompacted(), dir)
		compact(dir)
		return dir
	}))
	r.times = append(r.times, timed{"compact", func() side {
		var dir string
		return side{
			// A compaction removes the files but does not write to them, so links will do.
			prepare: func() {
				check(os.RemoveAll(dir))
				dir = b.newDir()
				link(uncompacted(), dir)
			},
			run: func(int) { compact(dir) },
		}
	}, true})
	return r
}

func few(processes int) shape { return shape{Workers: processes, Counters: 10} }

// still is a directory in which nothing changes.
func (b *bench) still(dir func() string) rung {
	return rung{dir, []timed{
		{"warm", func() side { return scrapes(newScraper(handler(b.aggregator(dir())), acceptText, "")) }, false},
		{"cold", func() side { return coldScrape(dir()) }, false},
	}}
}

func textBytes(dir string) float64 {
	a := must(aggregate.Open(dir, aggregate.Options{}))
	defer func() { check(a.Close()) }()
	return float64(len(newScraper(handler(a), acceptText, "").scrape()))
}

func link(from, to string) {
	for _, e := range must(os.ReadDir(from)) {
		check(os.Link(filepath.Join(from, e.Name()), filepath.Join(to, e.Name())))
	}
}

func compact(dir string) {
	if r := must(aggregate.Compact(background, dir, aggregate.CompactOptions{})); len(r.Left) > 0 {
		panic(fmt.Sprintf("bench: %s was not compacted: %v", r.Left[0].Name, r.Left[0].Reason))
	}
}
