package exposition

import (
	"math"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/multiprom/multiprom/internal/form"
	"github.com/multiprom/multiprom/internal/views"
	"github.com/multiprom/multiprom/metric"
)

// cache keeps the text of families from one scrape to the next, by their layout
// (views.Family.Layout), in chunks of some kilobytes. A chunk in which no number has
// changed is sent again as it is, also compressed. In other chunks only the changed
// numbers are formatted. The family's Revisions say which these may be; without them
// all numbers are compared.
//
// While a chunk is being sent to a client it does not change; another one replaces it.
// A client that never finishes holds only those chunks.
type cache struct {
	asked int // number of the handler's last scrape that used it; guarded by caches.mu

	mu       sync.Mutex
	round    uint64 // number of the scrape
	pieces   int    // of the last page
	sections map[sectionID]*section
}

// sectionID names the lines after one head: those of the family, or of a gauge that is
// written separately.
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
	series int    // of each chunk; the last may have fewer
	chunks []*chunk

	writable bool // labels can be written as they are
}

// chunk is the lines of some series.
type chunk struct {
	// Read by those who send a page with this chunk.
	text       []byte
	gzip, zstd compressed
	senders    atomic.Int32 // pages that have it and are not sent yet; grows only under cache.mu

	// Guarded by cache.mu.
	revision uint32   // of the family, when its numbers were last compared
	numbers  []uint64 // the bits of all numbers that may change, in their order
	places   []place  // their positions in the text
	shape    []shape  // of each series; chunks with the same shape share it
	omitted  int      // counters that are left out
}

// shape says which numbers a series has. Some are left out while they are negative or
// unknown.
type shape struct {
	end   int    // number of its last one in the chunk
	kinds uint64 // of the last ones, two bits each
}

// place is the position of a number.
type place struct {
	from   uint32
	length uint16
	kind   numberKind
}

func (p place) end() int { return int(p.from) + int(p.length) }

// numberChange is a number that has changed.
type numberChange struct {
	number int
	bits   uint64
	length int // of its text
}

type numberKind uint8

const (
	floatNumber numberKind = iota + 1
	countNumber
	timeNumber // nanoseconds since 1970, written as the format writes times
)

// chunkLines is about how many lines a chunk has: enough to compress well, and few
// enough that a change is cheap.
const chunkLines = 256

func newCache() *cache { return &cache{sections: map[sectionID]*section{}} }

// section returns the kept section, which has n series of about that many lines each.
func (c *cache) section(id sectionID, n, lines int) *section {
	s := c.sections[id]
	if s == nil {
		s = &section{series: max(1, chunkLines/lines)}
		c.sections[id] = s
	}
	s.round = c.round
	if n := (n + s.series - 1) / s.series; n != len(s.chunks) {
		s.chunks = make([]*chunk, n)
	}
	return s
}

// sweep drops what the scrape did not use.
func (c *cache) sweep() {
	for id, s := range c.sections {
		if s.round != c.round {
			delete(c.sections, id)
		}
	}
}

// recorder sits between the code that writes lines and their numbers. The same code
// runs whether a family's lines are written, recorded, or only asked for their numbers.
type recorder struct {
	cache    *cache // nil if nothing is kept
	writable bool   // the labels of the current family can be written as they are

	reading   bool // collect only numbers, in numbers
	recording bool // collect places of numbers, in places
	odd       bool // something other than a number may change: an exemplar, a timestamp
	start     int  // of the chunk in the encoder's buffer
	numbers   []uint64
	kinds     uint64 // of the current series
	shape     []shape
	places    []place
	changes   []numberChange
	digits    []byte // the texts of changes, one after the other
	patched   []byte
}

// number writes a number, or records what is wanted of it.
func (e *encoder) number(kind numberKind, bits uint64) {
	if e.reading {
		e.numbers, e.kinds = append(e.numbers, bits), e.kinds<<2|uint64(kind)
		return
	}
	from := len(e.buf)
	e.buf = e.appendNumber(e.buf, kind, bits)
	if e.recording {
		e.places = append(e.places, place{uint32(from - e.start), uint16(len(e.buf) - from), kind})
	}
}

func (e *encoder) appendNumber(dst []byte, kind numberKind, bits uint64) []byte {
	switch kind {
	case countNumber:
		return strconv.AppendUint(dst, bits, 10)
	case timeNumber:
		return e.appendTime(dst, time.Unix(0, int64(bits)))
	}
	return form.AppendFloat(dst, math.Float64frombits(bits))
}

// each writes the lines of all series, or takes them from the cache.
func (e *encoder) each(f *views.Family, number int, series seriesList, write func(*metric.Series)) {
	n := series.len()
	if e.cache == nil || f.Layout == 0 || n == 0 || !textIsKept(f.Type) {
		for i := range n {
			write(e.series(series, i))
			e.endSeries()
		}
		return
	}
	kept := e.cache.section(sectionID{f.Layout, number}, n, 1+len(e.series(series, 0).Buckets))
	kept.writable = e.writable
	e.cut()
	var revisions []uint32
	if len(f.Revisions) == n && e.writable { // otherwise series are not the family's
		revisions = f.Revisions
	}
	for i := range kept.chunks {
		part := part{series, i * kept.series, min((i+1)*kept.series, n), write}
		old := kept.chunks[i]
		if old == nil || revisions == nil || !e.update(old, part, revisions[part.from:part.to]) {
			e.readAll(part)
			switch {
			case old != nil && !e.odd && slices.Equal(e.shape, old.shape):
				e.compare(old, 0, e.numbers)
			default:
				old = nil
			}
		}
		c, lasting := old, true
		switch {
		case old == nil:
			c, lasting = e.record(part), !e.odd
			if before := kept.before(i); before != nil && slices.Equal(before.shape, c.shape) {
				c.shape = before.shape
			}
		case len(e.changes) > 0:
			c = e.patch(old)
		}
		c.revision = 0
		if revisions != nil {
			c.revision = f.Revision
		}
		if kept.chunks[i] = nil; lasting {
			kept.chunks[i] = c
		}
		e.omitted.Values += c.omitted
		e.page.add(c)
	}
}

// before returns the chunk before number i, or nil.
func (s *section) before(i int) *chunk {
	if i == 0 {
		return nil
	}
	return s.chunks[i-1]
}

// textIsKept reports whether there may be many families of that type and only their
// numbers change.
func textIsKept(t metric.Type) bool {
	switch t {
	case metric.Counter, metric.Gauge, metric.Unknown, metric.Histogram, metric.Summary:
		return true
	}
	return false
}

// part is the series of a chunk, with the function that writes the lines of one.
type part struct {
	series   seriesList
	from, to int
	write    func(*metric.Series)
}

// readAll reads the numbers of all series, and their shape.
func (e *encoder) readAll(p part) {
	omitted := e.omitted
	e.numbers, e.shape, e.changes, e.odd = e.numbers[:0], e.shape[:0], e.changes[:0], false
	e.reading = true
	for i := p.from; i < p.to; i++ {
		e.kinds = 0
		p.write(e.series(p.series, i))
		e.shape = append(e.shape, shape{len(e.numbers), e.kinds})
	}
	e.reading = false
	e.omitted = omitted // chunks count them
}

// update finds which numbers of the chunk have changed, among the series that have
// changed. It reports false if something else has changed too.
func (e *encoder) update(c *chunk, p part, revisions []uint32) bool {
	omitted := e.omitted
	e.changes, e.odd = e.changes[:0], false
	e.reading = true
	defer func() { e.reading, e.omitted = false, omitted }()
	for i, revision := range revisions {
		if revision <= c.revision {
			continue
		}
		from := 0
		if i > 0 {
			from = c.shape[i-1].end
		}
		e.numbers, e.kinds = e.numbers[:0], 0
		if p.write(e.series(p.series, p.from+i)); e.odd || e.kinds != c.shape[i].kinds || from+len(e.numbers) != c.shape[i].end {
			return false
		}
		e.compare(c, from, e.numbers)
	}
	return true
}

// compare adds to changes what differs from the chunk's numbers, starting at number
// from.
func (e *encoder) compare(c *chunk, from int, numbers []uint64) {
	old := c.numbers[from:][:len(numbers)]
	for i, bits := range numbers {
		if bits != old[i] {
			e.changes = append(e.changes, numberChange{number: from + i, bits: bits})
		}
	}
}

// record writes the lines of these series. Their numbers and shape have been read.
func (e *encoder) record(p part) *chunk {
	omitted := e.omitted
	e.start, e.places, e.bounds = len(e.buf), e.places[:0], e.bounds[:0]
	e.recording = true
	for i := p.from; i < p.to; i++ {
		p.write(e.series(p.series, i))
	}
	e.recording = false
	c := &chunk{
		text: slices.Clone(e.buf[e.start:]), numbers: slices.Clone(e.numbers), places: slices.Clone(e.places), shape: slices.Clone(e.shape),
		omitted: e.omitted.Values - omitted.Values,
	}
	e.omitted = omitted
	e.buf, e.bounds = e.buf[:e.start], e.bounds[:0]
	return c
}

// patch writes the changes into the chunk or, if it is being sent, into another one. It
// returns the one with the changes.
func (e *encoder) patch(c *chunk) *chunk {
	own := c.senders.Load() == 0
	e.digits = e.digits[:0]
	moved := false
	for i := range e.changes {
		change := &e.changes[i]
		p := c.places[change.number]
		from := len(e.digits)
		e.digits = e.appendNumber(e.digits, p.kind, change.bits)
		change.length = len(e.digits) - from
		moved = moved || change.length != int(p.length)
		c.numbers[change.number] = change.bits
	}
	text := c.text
	if moved {
		text = nil
		if own {
			text = c.text[:0]
		}
		text = append(text, e.move(c)...)
	} else {
		if !own {
			text = slices.Clone(text)
		}
		digits := e.digits
		for _, change := range e.changes {
			p := c.places[change.number]
			copy(text[p.from:], digits[:p.length])
			digits = digits[p.length:]
		}
	}
	if own {
		c.text, c.gzip, c.zstd = text, compressed{}, compressed{}
		return c
	}
	return &chunk{text: text, numbers: c.numbers, places: c.places, shape: c.shape, omitted: c.omitted}
}

// move returns the chunk's text with changes that have other lengths than the old
// numbers, and corrects the places. The text is valid until the next call.
func (e *encoder) move(c *chunk) []byte {
	text, digits, copied := e.patched[:0], e.digits, 0
	next := 0 // the first change not made yet
	for i := e.changes[0].number; i < len(c.places); i++ {
		p := &c.places[i]
		from, end := int(p.from), p.end()
		p.from = uint32(len(text) + from - copied)
		if next == len(e.changes) || e.changes[next].number != i {
			continue
		}
		length := e.changes[next].length
		text = append(append(text, c.text[copied:from]...), digits[:length]...)
		digits, copied = digits[length:], end
		p.length = uint16(length)
		next++
	}
	e.patched = append(text, c.text[copied:]...)
	return e.patched
}

// knows reports whether the family's lines are in the cache. Its labels were then found
// to be writable as they are.
func (e *encoder) knows(f *views.Family) bool {
	if e.cache == nil || f.Layout == 0 {
		return false
	}
	s := e.cache.sections[sectionID{f.Layout, mainSection}]
	return s != nil && s.writable
}

// caches holds a handler's caches, one for each way in which it is asked.
type caches struct {
	mu      sync.Mutex
	scrapes int
	byWay   map[Options]*cache
}

// keptScrapes is after how many scrapes an unused cache is dropped.
const keptScrapes = 64

// of returns the cache for scrapes with these options, or nil for a format that is not
// text.
func (c *caches) of(opts Options) *cache {
	if opts.ContentType.layout().syntax == nil {
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
