package main

import (
	"fmt"
	"strconv"
	"time"

	"github.com/multiprom/multiprom/metric"
	"github.com/multiprom/multiprom/multiproc"
)

// churned is a directory with one process that removes series and makes others.
type churned struct {
	dir  string
	vec  *multiproc.CounterVec
	live []int // values of the label
	next int
}

// removalsInterval is how often the directory is scraped, so that a row's removals since the
// last scrape are a rate.
const removalsInterval = 500 * time.Millisecond

func (b *bench) newChurned(live int) *churned {
	c := &churned{dir: b.newDir(), live: make([]int, live)}
	set := multiproc.NewSet(multiproc.SetOptions{Dir: c.dir, MaxSeries: metric.NoLimit, KeepRemoved: 10 * removalsInterval})
	check(set.Open())
	b.onClose(func() { check(set.Close()) })
	c.vec = multiproc.MustNew(set.NewCounterVec(multiproc.CounterOpts{Name: "churned_total", Help: "H."}, []string{"tenant"}))
	for i := range c.live {
		c.live[i] = c.add()
	}
	return c
}

func (c *churned) add() int {
	c.next++
	c.vec.WithLabelValues(strconv.Itoa(c.next)).Inc()
	return c.next
}

// change removes n of the live series, scattered over all of them, and makes as many.
func (c *churned) change(n int) {
	for range n {
		i := c.next * 7919 % len(c.live)
		c.vec.DeleteLabelValues(strconv.Itoa(c.live[i]))
		c.live[i] = c.add()
	}
}

// removalRows merge a directory in which series come and go. Each merge comes after as many
// removals as there are in half a second at the row's rate. The file also has what was
// removed within KeepRemoved, so each row has a directory of its own.
func removalRows(b *bench) {
	for _, live := range []int{1000, 100_000} {
		for _, rate := range []int{0, 100, 1000, 10_000, 100_000} {
			n := b.scaled(int(float64(rate) * removalsInterval.Seconds()))
			declare := b.extra
			if live == 100_000 {
				declare = b.goal
			}
			name := fmt.Sprintf("%s live, %s removals a second", thousands(live), thousands(rate))
			declare("merge, "+name, func() row {
				c := b.newChurned(b.scaled(live))
				a := b.aggregator(c.dir)
				return row{once: true, ours: side{
					prepare: func() { gather(a); c.change(n) },
					run:     func(int) { gather(a) },
				}, others: []other{{goal: 1, allowed: float64(2*time.Millisecond + time.Duration(n)*10*time.Microsecond), side: side{name: "at most"}}}}
			})
			b.extra("scrape, "+name, func() row {
				c := b.newChurned(b.scaled(live))
				s := newScraper(handler(b.aggregator(c.dir)), acceptText, "")
				return row{once: true, ours: side{
					prepare: func() { s.scrape(); c.change(n) },
					run:     func(int) { s.scrape() },
				}}
			})
		}
	}
}
