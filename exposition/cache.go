package exposition

import (
	"math"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/multiprom/multiprom/metric"
)

// cache keeps the text of families from one scrape to the next, by their layout
// (metric.Family.Layout), in chunks of some kilobytes. A chunk in which no number
// has changed is sent again as it is, compressed too; in another one only the
// numbers that have changed are formatted. A chunk never changes: slow clients may
// still be reading it.
type cache struct {
	asked int // number of the handler's scrape that used it last; guarded by caches.mu

	mu       sync.Mutex
	round    uint64 // number of the scrape
	sections map[sectionID]*section
}

// sectionID names the lines that follow one head: those of the family, or of a
// gauge that stands apart.
type sectionID struct {
	layout uint64
	number int
}

// Numbers of sections.
const (
	mainSection = iota
	createdSection
)

type section struct {
	round  uint64 // in which it was used last
	series int    // of each chunk, but the last may have fewer
	chunks []*chunk

	writable bool // labels can be written as they are
}

// chunk is the lines of some series.
type chunk struct {
	text    []byte
	numbers []uint64 // the bits of all numbers that may change, in their order
	places  []place  // where they stand in the text
	shape   []shape  // of each series

	gzip, zstd compressed
}

// shape tells which numbers a series has, since some are left out while they are
// negative or not known.
type shape struct {
	end   int    // number of its last one in the chunk
	kinds uint64 // of the last ones, two bits each
}

// place is where a number stands.
type place struct {
	from, to uint32
	kind     numberKind
}

type numberKind uint8

const (
	floatNumber numberKind = iota + 1
	countNumber
	timeNumber // nanoseconds since 1970, written as the format writes times
)

// chunkLines is about how many lines a chunk has: enough to compress well, and few
// enough that a change costs little.
const chunkLines = 256

func newCache() *cache { return &cache{sections: map[sectionID]*section{}} }

// section returns what is kept of the section, which has series as these.
func (c *cache) section(id sectionID, series []metric.Series) *section {
	s := c.sections[id]
	if s == nil {
		lines := 1 + len(series[0].Buckets)
		s = &section{series: max(1, chunkLines/lines)}
		c.sections[id] = s
	}
	s.round = c.round
	if n := (len(series) + s.series - 1) / s.series; n != len(s.chunks) {
		s.chunks = make([]*chunk, n)
	}
	return s
}

// sweep drops what the scrape has not used.
func (c *cache) sweep() {
	for id, s := range c.sections {
		if s.round != c.round {
			delete(c.sections, id)
		}
	}
}

// recorder stands between the code that writes lines and their numbers. A family's
// lines are written by one and the same code whether they are written, recorded, or
// only asked for their numbers.
type recorder struct {
	cache    *cache // nil: nothing is kept
	writable bool   // the labels of the family at hand are, as they are

	reading   bool // only numbers are wanted, in numbers
	recording bool // places of numbers are wanted, in places
	odd       bool // something that is no number may change: an exemplar, a timestamp
	start     int  // of the chunk in the encoder's buffer
	numbers   []uint64
	kinds     uint64 // of the series at hand
	shape     []shape
	places    []place
}

// number writes a number, or what is wanted of it.
func (e *encoder) number(kind numberKind, bits uint64) {
	if e.reading {
		e.numbers, e.kinds = append(e.numbers, bits), e.kinds<<2|uint64(kind)
		return
	}
	from := len(e.buf)
	e.buf = e.appendNumber(e.buf, kind, bits)
	if e.recording {
		e.places = append(e.places, place{uint32(from - e.start), uint32(len(e.buf) - e.start), kind})
	}
}

func (e *encoder) appendNumber(dst []byte, kind numberKind, bits uint64) []byte {
	switch kind {
	case countNumber:
		return strconv.AppendUint(dst, bits, 10)
	case timeNumber:
		return e.appendTime(dst, time.Unix(0, int64(bits)))
	}
	return metric.AppendFloat(dst, math.Float64frombits(bits))
}

// each writes the lines of all series, or takes from the cache what is there.
func (e *encoder) each(f *metric.Family, number int, series []metric.Series, write func(*metric.Series)) {
	if e.cache == nil || f.Layout == 0 || len(series) == 0 || !textIsKept(f.Type) {
		for i := range series {
			write(&series[i])
			e.endSeries()
		}
		return
	}
	kept := e.cache.section(sectionID{f.Layout, number}, series)
	kept.writable = e.writable
	e.cut()
	for i := range kept.chunks {
		part := series[i*kept.series:]
		part = part[:min(len(part), kept.series)]
		c, lasting := e.chunk(kept.chunks[i], part, write)
		if lasting {
			kept.chunks[i] = c
		}
		e.page.add(c)
	}
}

// textIsKept reports whether families of that type may be many and have nothing
// but numbers to change.
func textIsKept(t metric.Type) bool {
	switch t {
	case metric.Counter, metric.Gauge, metric.Unknown, metric.Histogram, metric.Summary:
		return true
	}
	return false
}

// chunk returns the lines of these series. old is what they were, or nil. lasting
// says that it holds while its numbers do.
func (e *encoder) chunk(old *chunk, series []metric.Series, write func(*metric.Series)) (c *chunk, lasting bool) {
	omitted := e.omitted
	e.numbers, e.shape, e.odd = e.numbers[:0], e.shape[:0], false
	e.reading = true
	for i := range series {
		e.kinds = 0
		write(&series[i])
		e.shape = append(e.shape, shape{len(e.numbers), e.kinds})
	}
	e.reading = false
	if old != nil && !e.odd && slices.Equal(e.shape, old.shape) {
		if slices.Equal(e.numbers, old.numbers) {
			return old, true
		}
		return e.patch(old), true
	}

	e.omitted = omitted // those of these series are counted again
	e.start, e.places, e.bounds = len(e.buf), e.places[:0], e.bounds[:0]
	e.recording = true
	for i := range series {
		write(&series[i])
	}
	e.recording = false
	c = &chunk{
		text: slices.Clone(e.buf[e.start:]), numbers: slices.Clone(e.numbers), places: slices.Clone(e.places), shape: slices.Clone(e.shape),
	}
	e.buf, e.bounds = e.buf[:e.start], e.bounds[:0]
	return c, !e.odd
}

// patch returns the chunk with the numbers at hand.
func (e *encoder) patch(old *chunk) *chunk {
	c := &chunk{
		text: make([]byte, 0, len(old.text)+len(old.text)/16), numbers: slices.Clone(e.numbers), places: old.places, shape: old.shape,
	}
	moved, copied := 0, 0 // by how much places have moved; bytes of the old text
	own := false
	for i, bits := range c.numbers {
		p := old.places[i]
		now := place{uint32(int(p.from) + moved), 0, p.kind}
		if bits != old.numbers[i] {
			c.text = append(c.text, old.text[copied:p.from]...)
			c.text = e.appendNumber(c.text, p.kind, bits)
			copied = int(p.to)
			moved = len(c.text) - copied
		}
		if now.to = uint32(int(p.to) + moved); now == p {
			continue
		}
		if !own {
			c.places, own = slices.Clone(old.places), true
		}
		c.places[i] = now
	}
	c.text = append(c.text, old.text[copied:]...)
	return c
}

// knows reports whether the family's lines are in the cache: its labels were found
// to be writable as they are.
func (e *encoder) knows(f *metric.Family) bool {
	if e.cache == nil || f.Layout == 0 {
		return false
	}
	s := e.cache.sections[sectionID{f.Layout, mainSection}]
	return s != nil && s.writable
}

// caches are those of a handler, one for each way in which it is asked.
type caches struct {
	mu      sync.Mutex
	scrapes int
	byWay   map[Options]*cache
}

// keptScrapes is for how many scrapes a cache stays that nobody asks for.
const keptScrapes = 64

// of returns the cache for scrapes with these options, nil for a format without
// text.
func (c *caches) of(opts Options) *cache {
	if opts.Format.layout().syntax == nil {
		return nil
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.byWay == nil {
		c.byWay = map[Options]*cache{}
	}
	c.scrapes++
	for way, old := range c.byWay {
		if c.scrapes-old.asked > keptScrapes {
			delete(c.byWay, way)
		}
	}
	kept := c.byWay[opts]
	if kept == nil {
		kept = newCache()
		c.byWay[opts] = kept
	}
	kept.asked = c.scrapes
	return kept
}
