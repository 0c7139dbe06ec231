package exposition

import (
	"math"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/multiprom/multiprom/metric"
)

// cache keeps the text of families from one scrape to the next, by their layout
// (metric.Family.Layout), in chunks of some kilobytes. A chunk in which no number
// has changed is sent again as it is, compressed too; in another one only the
// numbers that have changed are formatted. Which these may be, the family's
// Revisions say; without them all of its numbers are looked at.
//
// While some client is being sent a chunk, the chunk does not change: another takes
// its place. A client that is slow for ever holds only those chunks.
type cache struct {
	asked int // number of the handler's scrape that used it last; guarded by caches.mu

	mu       sync.Mutex
	round    uint64 // number of the scrape
	pieces   int    // of the last page
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
	// Read by those who send a page that has the chunk.
	text       []byte
	gzip, zstd compressed
	senders    atomic.Int32 // pages that have it and are not sent yet; grows under cache.mu only

	// Guarded by cache.mu.
	revision uint32   // of the family, when its numbers were looked at
	numbers  []uint64 // the bits of all numbers that may change, in their order
	places   []place  // where they stand in the text
	shape    []shape  // of each series; chunks that have the same share it
	omitted  int      // counters that are left out
}

// shape tells which numbers a series has, since some are left out while they are
// negative or not known.
type shape struct {
	end   int    // number of its last one in the chunk
	kinds uint64 // of the last ones, two bits each
}

// place is where a number stands.
type place struct {
	from   uint32
	length uint16
	kind   numberKind
}

func (p place) end() int { return int(p.from) + int(p.length) }

// numberChange is a number that is another one than before.
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
// enough that a change costs little.
const chunkLines = 256

func newCache() *cache { return &cache{sections: map[sectionID]*section{}} }

// section returns what is kept of the section, which has n series of about as many
// lines.
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
	changes   []numberChange
	digits    []byte // the texts of changes, one behind the other
	patched   []byte
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
	return metric.AppendFloat(dst, math.Float64frombits(bits))
}

// each writes the lines of all series, or takes from the cache what is there.
func (e *encoder) each(f *metric.Family, number int, series seriesList, write func(*metric.Series)) {
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
	if len(f.Revisions) == n && e.writable { // else series are others than the family's
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

// textIsKept reports whether families of that type may be many and have nothing
// but numbers to change.
func textIsKept(t metric.Type) bool {
	switch t {
	case metric.Counter, metric.Gauge, metric.Unknown, metric.Histogram, metric.Summary:
		return true
	}
	return false
}

// part is the series of a chunk, and what writes the lines of one.
type part struct {
	series   seriesList
	from, to int
	write    func(*metric.Series)
}

// readAll takes the numbers of all series, and their shape.
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
	e.omitted = omitted // they are counted by chunk
}

// update finds out which numbers of the chunk have changed, of those series that
// have. It reports false where that is not all that has.
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

// compare adds to changes what differs from the chunk's numbers, beginning with
// number from.
func (e *encoder) compare(c *chunk, from int, numbers []uint64) {
	old := c.numbers[from:][:len(numbers)]
	for i, bits := range numbers {
		if bits != old[i] {
			e.changes = append(e.changes, numberChange{number: from + i, bits: bits})
		}
	}
}

// record writes the lines of these series, whose numbers and shape were read.
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

// patch writes the changes into the chunk, or, while it is being sent, into another
// one, which it returns.
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

// move returns the chunk's text with changes of other lengths than the numbers had,
// and corrects the places. The text is valid until the next call.
func (e *encoder) move(c *chunk) []byte {
	text, digits, copied := e.patched[:0], e.digits, 0
	next := 0 // the first change that is not made yet
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
