package main

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"sync"

	vm "github.com/VictoriaMetrics/metrics"
	"github.com/klauspost/compress/gzip"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"

	"github.com/multiprom/multiprom/aggregate"
	"github.com/multiprom/multiprom/exposition"
)

// scraper asks a handler for one format again and again, as a Prometheus
// server with its own aggregator would.
type scraper struct {
	handler http.Handler
	request *http.Request
	sent    bytes.Buffer
}

const (
	acceptText        = "text/plain;version=0.0.4"
	acceptOpenMetrics = "application/openmetrics-text;version=1.0.0"
)

// newScraper leaves created times out, which the peers do not have.
func newScraper(h http.Handler, accept, encoding string) *scraper {
	r := httptest.NewRequest(http.MethodGet, "/metrics", nil)
	r.Header.Set("Accept", accept)
	if encoding != "" {
		r.Header.Set("Accept-Encoding", encoding)
	}
	return &scraper{handler: h, request: r}
}

// scrape is a http.ResponseWriter for one answer. The bytes are copied once,
// as a socket would.
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

func (b *bench) scraper(dir, accept, encoding string) *scraper {
	return newScraper(handler(b.aggregator(dir)), accept, encoding)
}

func handler(a *aggregate.Aggregator) http.Handler {
	return exposition.HandlerFor(a, exposition.HandlerOptions{Created: exposition.CreatedOff})
}

func gather(a *aggregate.Aggregator) {
	if len(must(a.Gather(background))) == 0 {
		panic("bench: nothing was gathered")
	}
}

// scrapeRows merge and scrape directories of several shapes.
func scrapeRows(b *bench) {
	shared := []shape{b.sharedShape(8, 5_000), b.sharedShape(64, 10_000), b.sharedShape(8, 100_000)}
	for i, s := range shared {
		f := sync.OnceValue(func() *fleet { return b.newFleet(s) })
		shapeRows(b, s, f, true, []float64{1.5, 2.5, 2.5}[i])
	}
	s := shape{name: "64 x 16,000 distinct", Workers: b.scaled(64), Counters: b.scaled(16_000), Distinct: true}
	shapeRows(b, s, sync.OnceValue(func() *fleet { return b.newFleet(s) }), false, 2.5)
}

func shapeRows(b *bench, s shape, f func() *fleet, goals bool, nsPerValue float64) {
	declare := b.extra
	if goals {
		declare = b.goal
	}
	declare("warm merge, "+s.name, func() row {
		a := b.aggregator(f().Dir)
		words := mappedWords(b.newDir(), s.values())
		return row{parts: s.values(), part: "value", ours: loop("", func(n int) {
			for range n {
				gather(a)
			}
		}), others: []other{
			{goal: 1, allowed: nsPerValue * float64(s.values()), side: side{name: "at most"}},
			{side: loop("adding words", func(n int) { addWords(words, n) })},
		}}
	})
	b.extra("cold merge, "+s.name, func() row {
		dir := f().Dir
		return row{parts: s.values(), part: "value", ours: cold(dir), others: []other{{side: copyFiles(dir)}}}
	})
	lines := sync.OnceValue(func() *lines { return cutLines(b.scraper(f().Dir, acceptText, "").scrape()) })
	for _, changed := range []struct{ share, goal float64 }{{0, 0}, {0.05, 0.5}, {1, 2}} {
		declare := declare
		if changed.goal == 0 {
			declare = b.extra
		}
		declare(fmt.Sprintf("warm scrape, %s, %g%% changed", s.name, 100*changed.share), func() row {
			ours, a, l := b.scraper(f().Dir, acceptText, ""), b.aggregator(f().Dir), lines()
			prepare := func() { f().change(changed.share, true) }
			return row{
				once: changed.share > 0, parts: l.count(), part: "line",
				ours: side{prepare: prepare, run: func(n int) {
					for range n {
						ours.scrape()
					}
				}},
				others: []other{{goal: changed.goal, side: side{name: "merge, copy, AppendFloat", prepare: prepare, run: func(n int) {
					for range n {
						gather(a)
						l.write()
					}
				}}}},
			}
		})
	}
	declare("gzip, "+s.name+", 20% changed", func() row {
		ours, l := b.scraper(f().Dir, acceptText, "gzip"), lines()
		prepare := func() { f().change(0.2, false) }
		return row{
			once: true, parts: l.count(), part: "line",
			ours: side{prepare: prepare, run: func(n int) { ours.scrape() }},
			others: []other{
				{goal: 1, allowed: 60 * float64(l.count()), side: side{name: "at most"}},
				{side: l.gzip()},
			},
		}
	})
	for _, format := range []struct{ name, accept, encoding string }{
		{"OpenMetrics", acceptOpenMetrics, ""}, {"text, gzip", acceptText, "gzip"}, {"text, zstd", acceptText, "zstd"},
	} {
		b.extra(fmt.Sprintf("warm scrape, %s, 5%% changed, %s", s.name, format.name), func() row {
			ours, a, l := b.scraper(f().Dir, format.accept, format.encoding), b.aggregator(f().Dir), lines()
			prepare := func() { f().change(0.05, true) }
			return row{
				once: true, parts: l.count(), part: "line",
				ours: side{prepare: prepare, run: func(n int) { ours.scrape() }},
				others: []other{{side: side{name: "merge, copy, AppendFloat", prepare: prepare, run: func(int) {
					gather(a)
					l.write()
				}}}},
			}
		})
	}
	b.extra("cold scrape, "+s.name, func() row {
		dir, l := f().Dir, lines()
		return row{parts: l.count(), part: "line", ours: loop("", func(n int) {
			for range n {
				a := must(aggregate.Open(dir, aggregate.Options{}))
				newScraper(handler(a), acceptText, "").scrape()
				check(a.Close())
			}
		}), others: []other{{side: copyFiles(dir)}}}
	})
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

func addWords(words []uint64, n int) {
	total := uint64(0)
	for range n {
		for _, w := range words {
			total += w
		}
	}
	runtime.KeepAlive(total) // so that it is computed
}

// copyFiles opens and reads all files of a directory into memory.
func copyFiles(dir string) side {
	paths := must(filepath.Glob(filepath.Join(dir, "*")))
	buf := make([]byte, 1<<20)
	return loop("open, copy, close", func(n int) {
		for range n {
			for _, path := range paths {
				f := must(os.Open(path))
				for {
					if _, err := f.Read(buf); err == io.EOF {
						break
					} else {
						check(err)
					}
				}
				check(f.Close())
			}
		}
	})
}

// lines are an exposition's lines without their values, and the values: what
// is left to do when all else is known.
type lines struct {
	text   []byte // before the values, one behind the other
	ends   []int32
	values []float64
	buf    []byte
}

func cutLines(exposed []byte) *lines {
	l := &lines{}
	for line := range bytes.Lines(exposed) {
		value := 0
		if line[0] != '#' {
			value = bytes.LastIndexByte(line, ' ') + 1
			l.values = append(l.values, must(strconv.ParseFloat(string(line[value:len(line)-1]), 64)))
			l.text = append(l.text, line[:value]...)
			l.ends = append(l.ends, int32(len(l.text)))
		} else {
			l.text = append(l.text, line...) // goes with the next line's prefix
		}
	}
	return l
}

func (l *lines) count() int { return len(l.ends) }

// write writes the exposition.
func (l *lines) write() {
	buf, from := l.buf[:0], int32(0)
	for i, to := range l.ends {
		buf = append(buf, l.text[from:to]...)
		buf = strconv.AppendFloat(buf, l.values[i], 'g', -1, 64)
		buf = append(buf, '\n')
		from = to
	}
	l.buf = buf
}

// gzip compresses the whole, at the level that ours has.
func (l *lines) gzip() side {
	l.write()
	z := must(gzip.NewWriterLevel(io.Discard, gzip.BestSpeed))
	return loop("gzip -1 of the text", func(n int) {
		for range n {
			z.Reset(io.Discard)
			must(z.Write(l.buf))
			check(z.Close())
		}
	})
}

// peerScrapeRows are scrapes of one process with 100,000 counters: ours by its
// file, the peers' on their heaps.
func peerScrapeRows(b *bench) {
	b.extra("warm scrape, 100,000 counters, 1 process", func() row {
		n := b.scaled(100_000)
		ours := b.scraper(b.newFleet(shape{Workers: 1, Counters: n}).Dir, acceptText, "")
		names := []string{"path", "code"}
		registry := prometheus.NewRegistry()
		golang := prometheus.NewCounterVec(prometheus.CounterOpts{Name: "requests_total", Help: "Requests served."}, names)
		registry.MustRegister(golang)
		golangScraper := newScraper(promhttp.HandlerFor(registry, promhttp.HandlerOpts{}), acceptText, "")
		victoria := vm.NewSet()
		reader := metric.NewManualReader()
		otelCounter := must(metric.NewMeterProvider(metric.WithCardinalityLimit(-1), metric.WithReader(reader)).Meter("bench").Int64Counter("requests"))
		for i := range n {
			path := fmt.Sprintf("/some/path/%07d", i)
			golang.WithLabelValues(path, "200").Add(float64(i))
			victoria.NewCounter(`requests_total{path="` + path + `",code="200"}`).Set(uint64(i))
			otelCounter.Add(background, int64(i), attributes(names, []string{path, "200"}))
		}
		var collected metricdata.ResourceMetrics
		return row{parts: n, part: "line", ours: loop("", func(n int) {
			for range n {
				ours.scrape()
			}
		}), others: []other{
			{side: loop(clientGolang, func(n int) {
				for range n {
					golangScraper.scrape()
				}
			})},
			{side: loop(victoriaMetrics, func(n int) {
				var sent bytes.Buffer
				for range n {
					sent.Reset()
					victoria.WritePrometheus(&sent)
				}
			})},
			{side: loop(openTelemetry+", no text", func(n int) {
				for range n {
					check(reader.Collect(background, &collected))
				}
			})},
		}}
	})
}
