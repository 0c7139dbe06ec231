package remotewrite

import (
	"encoding/binary"
	"slices"

	"google.golang.org/protobuf/encoding/protowire"

	"github.com/multiprom/multiprom/internal/views"
)

// maxTemplates bounds the bytes of all templates. A family that does not fit is encoded each time.
const maxTemplates = 64 << 20

// templates are kept by layout.
type templates struct {
	families map[uint64]*template
	bytes    int
	round    uint64
}

// template is a family as it was sent last. While its layout stays, a round writes new values and
// times over the old ones, since they have a fixed size, and copies the bytes. A family has none in
// its first round: it may be one that changes its layout each time.
//
// The refs of symbols in 2.0 depend on what a request has before the family. So a template is valid
// only after the same bytes as when it was made.
type template struct {
	round    uint64
	loose    bool   // there can be none: samples have more than a value and the round's time
	revision uint32 // of the values
	timeSize int    // of the time of a sample
	rows     int    // series that were recorded
	row      int    // samples of each

	body     []byte   // fields of the request, one for each sample
	values   []uint32 // where in body the value of each sample is
	symbols  []byte   // fields of the request: symbols that it does not have before
	numbers  []uint32 // of these symbols
	segments []segment
}

// segment is the part of a template that is in one batch. It ends where the template's lists have
// these lengths.
type segment struct {
	before, after                  uint64 // prefixes of the batch
	body, values, symbols, numbers int
}

// Prefixes of a batch say what it has. Each segment that is recorded makes a new one.
const (
	empty uint64 = iota
	unknown
	firstPrefix
)

// begin begins a round. Layouts that the round before did not have are forgotten.
func (c *templates) begin() {
	for layout, t := range c.families {
		if t.round != c.round {
			c.drop(t)
			delete(c.families, layout)
		}
	}
	c.round++
}

// of returns the template of a layout, and whether the round before had that.
func (c *templates) of(layout uint64) (t *template, again bool) {
	if c.families == nil {
		c.families = map[uint64]*template{}
	}
	if t, again = c.families[layout]; !again {
		t = &template{}
		c.families[layout] = t
	}
	t.round = c.round
	return t, again
}

// drop empties a template.
func (c *templates) drop(t *template) {
	c.bytes -= t.size()
	*t = template{round: t.round}
}

func (t *template) size() int {
	return len(t.body) + len(t.symbols) + 4*(len(t.values)+len(t.numbers))
}

// fills reports whether a family is as large as a batch. It begins one then, so that it does not
// depend on the families before it.
func (e *encoder) fills(f *views.Family) bool {
	s := &e.read
	if f.Rows == nil {
		s = &f.Series[0]
	} else {
		f.Rows.Read(0, s)
	}
	return f.Len()*(1+len(s.Buckets)+len(s.Quantiles)+len(s.States)) >= e.maxSamples
}

// replay adds a family by its template. If it cannot, nothing was added, and the template is empty.
func (e *encoder) replay(f *views.Family, t *template) bool {
	if len(t.segments) == 0 {
		return false
	}
	e.makeRoom()
	e.time = protowire.AppendVarint(e.time[:0], uint64(e.now))
	if t.segments[0].before != e.prefix || t.timeSize != len(e.time) || !e.updateValues(f, t) {
		e.kept.drop(t)
		return false
	}
	var from segment
	for i, to := range t.segments {
		if i > 0 {
			e.flush()
		}
		for _, value := range t.values[from.values:to.values] {
			copy(t.body[value+valueSize+1:], e.time)
		}
		e.series = append(e.series, t.body[from.body:to.body]...)
		e.symbols.addAll(t.symbols[from.symbols:to.symbols], t.numbers[from.numbers:to.numbers])
		e.samples += to.values - from.values
		e.prefix, from = to.after, to
	}
	e.known.Keep(f.Layout)
	return true
}

// updateValues writes the values that have changed into a template. It returns false if a sample
// does not have its size any more.
func (e *encoder) updateValues(f *views.Family, t *template) bool {
	if f.Len()*t.row != len(t.values) {
		return false
	}
	revisions := f.Revisions
	if len(revisions) != f.Len() || t.revision == 0 {
		revisions = nil
	}
	u := &e.updated
	*u = update{body: t.body}
	e.update = u
	defer func() { e.update, u.body = nil, nil }()
	for i := range f.Len() {
		if revisions != nil && revisions[i] <= t.revision {
			continue
		}
		s := &e.read
		if f.Rows == nil {
			s = &f.Series[i]
		} else {
			f.Rows.Read(i, s)
		}
		u.values = t.values[i*t.row : (i+1)*t.row]
		e.encodeSeries(s, nil, false, false)
		if u.failed || len(u.values) > 0 {
			return false
		}
	}
	t.revision = f.Revision
	return true
}

// update writes the values of a series into a template.
type update struct {
	body   []byte
	values []uint32 // of the samples that are left
	failed bool
}

const valueSize = 8

// sample sets the next sample. times are its fields after the value.
func (u *update) sample(bits uint64, times []byte, fixed bool) {
	if !fixed || len(u.values) == 0 {
		u.failed = true
		return
	}
	value := u.values[0]
	u.values = u.values[1:]
	if size := u.body[value-2]; int(size) != 1+valueSize+len(times) {
		u.failed = true
		return
	}
	binary.LittleEndian.PutUint64(u.body[value:], bits)
	copy(u.body[value+valueSize:], times)
}

// record begins to make a template of the family that is encoded next, if it can have one.
func (e *encoder) record(f *views.Family, t *template) {
	if e.makeRoom(); e.prefix != unknown && !t.loose {
		t.revision, t.timeSize = f.Revision, protowire.SizeVarint(uint64(e.now))
		e.recording = t
		e.beginSegment()
	}
}

// beginSegment notes where in the batch a segment begins.
func (e *encoder) beginSegment() {
	e.from = segment{body: len(e.series), symbols: len(e.symbols.fields), numbers: len(e.symbols.order)}
}

// recordSample notes a sample, whose field value is at that place of the batch. One that is not
// fixed has more than a value and the round's time, maybe only in this round.
func (e *encoder) recordSample(place int, fixed, once bool) {
	t := e.recording
	switch {
	case t == nil:
	case fixed && len(t.body)+len(e.series)+e.kept.bytes <= maxTemplates:
		t.values = append(t.values, uint32(len(t.body)+place+1-e.from.body))
	default:
		e.abandon(!once)
	}
}

// endRow notes that the samples of a series have ended.
func (e *encoder) endRow() {
	t := e.recording
	if t == nil {
		return
	}
	t.rows++
	if t.rows == 1 {
		t.row = len(t.values)
	}
	if t.rows*t.row != len(t.values) {
		e.abandon(true)
	}
}

// abandon ends a recording. If it is loose, the family has no template while its layout stays.
func (e *encoder) abandon(loose bool) {
	*e.recording = template{round: e.recording.round, loose: loose}
	e.recording = nil
}

// endSegment adds what the batch has of the family to its template.
func (e *encoder) endSegment() {
	t := e.recording
	if t == nil || len(e.series) == e.from.body {
		return
	}
	t.body = append(t.body, e.series[e.from.body:]...)
	t.symbols = append(t.symbols, e.symbols.fields[e.from.symbols:]...)
	t.numbers = append(t.numbers, e.symbols.order[e.from.numbers:]...)
	after := firstPrefix + e.prefixes
	e.prefixes++
	t.segments = append(t.segments, segment{e.prefix, after, len(t.body), len(t.values), len(t.symbols), len(t.numbers)})
	e.prefix = after
}

// endRecord ends what record has begun. The template has no room to grow.
func (e *encoder) endRecord() {
	t := e.recording
	if t == nil {
		if e.samples > 0 {
			e.prefix = unknown
		}
		return
	}
	e.endSegment()
	t.body, t.values = slices.Clone(t.body), slices.Clone(t.values)
	t.symbols, t.numbers = slices.Clone(t.symbols), slices.Clone(t.numbers)
	e.kept.bytes += t.size()
	e.recording = nil
}
