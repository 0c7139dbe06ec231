package main

import (
	"bytes"
	"fmt"
	"net/http"
	"net/http/httptest"
	"sync"

	"github.com/multiprom/multiprom/aggregate"
	"github.com/multiprom/multiprom/exposition"
	"github.com/multiprom/multiprom/internal/views"
)

// scraper repeatedly requests one format from a handler, as a Prometheus server would.
type scraper struct {
	handler http.Handler
	request *http.Request
	sent    bytes.Buffer
}

const (
	acceptText        = "text/plain;version=0.0.4"
	acceptOpenMetrics = "application/openmetrics-text;version=1.0.0"
)

// newScraper omits created times, because the peers do not have them.
func newScraper(h http.Handler, accept, encoding string) *scraper {
	r := httptest.NewRequest(http.MethodGet, "/metrics", nil)
	r.Header.Set("Accept", accept)
	if encoding != "" {
		r.Header.Set("Accept-Encoding", encoding)
	}
	return &scraper{handler: h, request: r}
}

// scrape is an http.ResponseWriter for one answer. It copies the bytes once, as a socket
// would.
func (s *scraper) scrape() []byte {
	s.sent.Reset()
	w := &answer{header: http.Header{}, Buffer: &s.sent, code: http.StatusOK}
	s.handler.ServeHTTP(w, s.request)
	if w.code != http.StatusOK || s.sent.Len() == 0 {
		panic(fmt.Sprintf("bench: a scrape was answered with %d: %s", w.code, s.sent.Bytes()))
	}
	return s.sent.Bytes()
}

type answer struct {
	*bytes.Buffer
	header http.Header
	code   int
}

func (a *answer) Header() http.Header  { return a.header }
func (a *answer) WriteHeader(code int) { a.code = code }

func (b *bench) aggregator(dir string) *aggregate.Aggregator {
	a := must(aggregate.Open(dir, aggregate.Options{}))
	b.onClose(func() { check(a.Close()) })
	return a
}

func handler(a *aggregate.Aggregator) http.Handler {
	return exposition.HandlerFor(a, exposition.HandlerOptions{NoCreated: true})
}

// gather merges like a handler.
func gather(a *aggregate.Aggregator) {
	views.Show(background, a, func(families []views.Family, err error) {
		if check(err); len(families) == 0 {
			panic("bench: nothing was gathered")
		}
	})
}

// scraped is a directory with two aggregators: one that a handler uses, and one whose merge
// is part of the floor.
type scraped struct {
	*fleet
	ours, floor *aggregate.Aggregator
	handler     http.Handler
	lines       *lines
}

func (b *bench) newScraped(s shape) *scraped {
	f := b.newFleet(s)
	d := &scraped{fleet: f, ours: b.aggregator(f.Dir), floor: b.aggregator(f.Dir)}
	d.handler = handler(d.ours)
	d.lines = cutLines(newScraper(d.handler, acceptText, "").scrape())
	return d
}

// row scrapes after a share of the series has changed. It scrapes once before, untimed, so
// that changes of other rows do not count.
func (d *scraped) row(accept, encoding string, share float64, scattered bool, goal float64) row {
	s := newScraper(d.handler, accept, encoding)
	return row{
		once: true, parts: d.lines.count(), part: "line",
		ours: side{
			prepare: func() { s.scrape(); d.change(share, scattered) },
			run:     func(int) { s.scrape() },
		},
		others: []other{{goal: goal, side: side{
			name:    "merge, copy, AppendFloat",
			prepare: func() { gather(d.floor); d.change(share, scattered) },
			run:     func(int) { gather(d.floor); d.lines.write() },
		}}},
	}
}

// merge is a row that merges after a share of the series has changed.
func (d *scraped) merge(b *bench, share, nsPerValue float64) row {
	values := d.values()
	words := mappedWords(b.newDir(), values)
	return row{once: share > 0, parts: values, part: "value", ours: side{
		prepare: func() { gather(d.ours); d.change(share, true) },
		run: func(n int) {
			for range n {
				gather(d.ours)
			}
		},
	}, others: []other{
		{goal: 1, allowed: nsPerValue * float64(values), side: side{name: "at most"}},
		{side: loop("adding words", func(n int) { addWords(words, n) })},
	}}
}

// scrapeGroup merges and scrapes a directory of one shape. With goals, its rows have the
// goals of the design.
func scrapeGroup(name string, shapeOf func(b *bench) shape, goals bool, nsPerValue float64) group {
	return group{"scrape " + name, func(b *bench) {
		s := shapeOf(b)
		d := sync.OnceValue(func() *scraped { return b.newScraped(s) })
		declare := b.extra
		if goals {
			declare = b.goal
		}
		declare("warm merge, nothing changed", func() row { return d().merge(b, 0, nsPerValue) })
		declare("warm merge, 5% changed", func() row { return d().merge(b, 0.05, nsPerValue) })
		declare("warm merge, all changed", func() row { return d().merge(b, 1, nsPerValue) })
		declare("warm scrape, 5% changed", func() row { return d().row(acceptText, "", 0.05, true, 0.5) })
		declare("warm scrape, all changed", func() row { return d().row(acceptText, "", 1, true, 2) })
		declare("gzip, 20% changed, side by side", func() row {
			r := d().row(acceptText, "gzip", 0.2, false, 0)
			r.others = []other{
				{goal: 1, allowed: 60 * float64(r.parts), side: side{name: "at most"}},
				{side: d().lines.gzip()},
			}
			return r
		})
		for _, share := range []float64{0, 0.05, 1} {
			for _, format := range []struct{ name, accept, encoding string }{
				{"", acceptText, ""}, {", OpenMetrics", acceptOpenMetrics, ""}, {", gzip", acceptText, "gzip"}, {", zstd", acceptText, "zstd"},
			} {
				if format.name != "" || share == 0 {
					changed := map[float64]string{0: "nothing", 0.05: "5%", 1: "all"}[share]
					b.extra("warm scrape, "+changed+" changed"+format.name, func() row {
						return d().row(format.accept, format.encoding, share, true, 0)
					})
				}
			}
		}
		b.extra("cold merge", func() row {
			return row{parts: s.values(), part: "value", ours: cold(d().Dir), others: []other{{side: copyFiles(d().Dir)}}}
		})
		b.extra("cold scrape", func() row {
			return row{parts: d().lines.count(), part: "line", ours: coldScrape(d().Dir), others: []other{{side: copyFiles(d().Dir)}}}
		})
	}}
}

func sharedGroup(workers, values int, nsPerValue float64) group {
	return scrapeGroup(sharedName(workers, values), func(b *bench) shape { return b.sharedShape(workers, values) }, true, nsPerValue)
}

// shuffledRows merge what workers write that make the same series in different orders.
func shuffledRows(b *bench) {
	s := b.sharedShape(64, 10_000)
	s.Shuffled = true
	d := sync.OnceValue(func() *scraped { return b.newScraped(s) })
	for _, share := range []float64{0, 0.05, 1} {
		changed := map[float64]string{0: "nothing", 0.05: "5%", 1: "all"}[share]
		b.goal("warm merge, "+changed+" changed", func() row { return d().merge(b, share, 3) })
	}
}

func distinctGroup(workers, counters int) group {
	return scrapeGroup(sharedName(workers, counters)+" distinct", func(b *bench) shape {
		return shape{Workers: b.scaled(workers), Counters: b.scaled(counters), Distinct: true}
	}, false, 2.5)
}

// cold merges with a new aggregator each time.
func cold(dir string) side {
	return loop("", func(n int) {
		for range n {
			a := must(aggregate.Open(dir, aggregate.Options{}))
			gather(a)
			check(a.Close())
		}
	})
}

func scrapes(s *scraper) side {
	return loop("", func(n int) {
		for range n {
			s.scrape()
		}
	})
}

// coldScrape scrapes with a new aggregator each time.
func coldScrape(dir string) side {
	return loop("", func(n int) {
		for range n {
			a := must(aggregate.Open(dir, aggregate.Options{}))
			newScraper(handler(a), acceptText, "").scrape()
			check(a.Close())
		}
	})
}
