package main

import (
	"math/rand/v2"
	"path/filepath"
	"strconv"
	"time"

	"github.com/multiprom/multiprom/internal/record"
	"github.com/multiprom/multiprom/multiproc"
)

// recorderRows record the seconds of a process with 100,000 counters, of which some grow in each
// second, and scrape them, in turns. A second costs the CPU time of the whole process, all its
// threads together. The rows have the mean of all seconds, because a block is compressed in every
// tenth one.
func recorderRows(b *bench) {
	for _, share := range []struct {
		name  string
		part  float64
		bytes float64 // at most, of a change
		cpu   float64 // at most, beside a scrape
	}{{"5%", 0.05, 2.5, 1}, {"all", 1, 1, 1.5}} {
		b.figure("bytes of a changed sample, "+share.name+" changed", func() figure {
			r := b.newRecorded()
			seconds := b.scaled(200)
			from, changed := r.size(), 0
			for range seconds {
				changed += r.change(share.part)
				r.tick()
			}
			return figure{unit: "B", ours: float64(r.size()-from) / float64(changed), other: "at most", value: share.bytes, goal: 1}
		})
		b.figure("CPU of a second, "+share.name+" changed", func() figure {
			r := b.newRecorded()
			s := newScraper(handler(b.aggregator(r.dir)), acceptText, "")
			s.scrape()
			var tick, scrape time.Duration
			seconds := b.scaled(100)
			for range seconds {
				r.change(share.part)
				tick += cpuOf(r.tick)
				scrape += cpuOf(func() { s.scrape() })
			}
			mean := func(d time.Duration) float64 { return float64(d) / float64(seconds) }
			return figure{unit: "ns", ours: mean(tick), other: "warm scrape", value: mean(scrape), goal: share.cpu}
		})
	}
}

// recorded is a directory with one process and a recorder. Its clock goes on by a second at each
// tick.
type recorded struct {
	dir, to  string
	recorder *record.Recorder
	now      time.Time
	counters []*multiproc.Counter
	random   *rand.Rand
}

func (b *bench) newRecorded() *recorded {
	set := b.newSet()
	vec := multiproc.MustNew(set.NewCounterVec(multiproc.CounterOpts{Name: "requests_total", Help: "Requests served."}, []string{"path", "code"}))
	r := &recorded{dir: set.Dir(), to: filepath.Join(b.newDir(), "r"), now: time.Unix(1000, 0), random: rand.New(rand.NewPCG(1, 1))}
	for i := range b.scaled(100_000) {
		r.counters = append(r.counters, vec.WithLabelValues("/page/"+strconv.Itoa(i/5), strconv.Itoa(200+i%5)))
	}
	r.recorder = must(record.Open(r.to, b.aggregator(r.dir), record.Options{Keep: 1000 * time.Hour, MaxBytes: 1 << 40, Now: func() time.Time { return r.now }}))
	b.onClose(func() { check(r.recorder.Close()) })
	r.change(1)
	r.tick() // it says everything
	return r
}

// change adds to so many of the counters, other ones each time, and returns how many they are.
func (r *recorded) change(share float64) (n int) {
	n = max(1, int(share*float64(len(r.counters))))
	for i := range n {
		j := i + r.random.IntN(len(r.counters)-i)
		r.counters[i], r.counters[j] = r.counters[j], r.counters[i]
		r.counters[i].Add(float64(1 + r.random.IntN(20)))
	}
	return n
}

func (r *recorded) tick() {
	r.now = r.now.Add(time.Second)
	check(r.recorder.Tick(background))
}

// size is how many bytes the recording has.
func (r *recorded) size() int64 { return int64(dirBytes(r.to)) }

// cpuOf returns the CPU time of this process while f runs.
func cpuOf(f func()) time.Duration {
	began := cpuTime()
	f()
	return cpuTime() - began
}
