package mpm

import (
	"errors"
	"fmt"
	"math"
	"unsafe"

	"github.com/multiprom/multiprom/internal/histogram"
	"github.com/multiprom/multiprom/internal/lifetime"
	"github.com/multiprom/multiprom/metric"
)

// MaxStringLen is the maximal length in bytes of a string in a record.
const MaxStringLen = math.MaxUint16

// encoder appends to a record; finish pads, seals and returns it.
type encoder struct {
	b       []byte
	tooLong bool // a string does not fit
}

func (e *encoder) str(s string) {
	e.tooLong = e.tooLong || len(s) > MaxStringLen
	e.b = AppendString(e.b, s)
}

func (e *encoder) labels(ls metric.Labels) {
	for _, l := range ls {
		e.str(l.Name)
		e.str(l.Value)
	}
}

// finish pads the record to size bytes, or to its own length if that is more, and seals it
// as live.
func (e *encoder) finish(kind uint16, size int) ([]byte, error) {
	size = max(size, align8(len(e.b)))
	if size > maxRecord || e.tooLong {
		return nil, ErrRecordTooLarge
	}
	e.b = append(e.b, make([]byte, size-len(e.b))...)
	e.seal(kind)
	return e.b, nil
}

func (e *encoder) seal(kind uint16) {
	le.PutUint32(e.b[offRecLen:], uint32(len(e.b)))
	le.PutUint16(e.b[offRecKind:], kind)
	le.PutUint32(e.b[offRecCRC:], recordCRC(e.b))
	le.PutUint32(e.b[offRecState:], stateLive)
}

func encodeFamily(id uint32, s *metric.Schema) ([]byte, error) {
	kind, body := uint16(kindFamily), offFamBody
	if s.Native != nil {
		kind, body = kindNativeFamily, offNatBody
	}
	e := encoder{b: make([]byte, body, 256)}
	if n := s.Native; n != nil {
		e.b[offNatSchema] = byte(int8(n.Schema))
		le.PutUint16(e.b[offNatLimit:], uint16(n.MaxBuckets))
		le.PutUint16(e.b[offNatExemplars:], uint16(n.MaxExemplars))
		le.PutUint64(e.b[offNatThreshold:], math.Float64bits(n.ZeroThreshold))
	}
	le.PutUint32(e.b[offFamID:], id)
	e.b[offFamType] = byte(s.Type)
	e.b[offFamMode] = byte(s.Mode)
	le.PutUint16(e.b[offFamLabels:], uint16(len(s.Labels)))
	le.PutUint16(e.b[offFamConst:], uint16(len(s.Const)))
	le.PutUint16(e.b[offFamBounds:], uint16(len(s.Bounds)))
	le.PutUint16(e.b[offFamStates:], uint16(len(s.States)))
	le.PutUint16(e.b[offFamTTL:], lifetime.Encode(s.TTL))
	for _, b := range s.Bounds {
		e.b = le.AppendUint64(e.b, math.Float64bits(b))
	}
	e.str(s.Name)
	e.str(s.Help)
	e.str(s.Unit)
	for _, l := range s.Labels {
		e.str(l)
	}
	e.labels(s.Const)
	for _, st := range s.States {
		e.str(st)
	}
	return e.finish(kind, 0)
}

// seriesRecord is the content of a series record, without its state.
type seriesRecord struct {
	seriesHead
	values []string
	extra  metric.Labels
}

// seriesHead is the part before the strings.
type seriesHead struct {
	family  uint32
	cells   wordOffset // of its words, 0 for none
	created int64
	removed int64  // 0 while it lives
	active  uint32 // of a series with a TTL, see Store.active
	ttl     bool
	native  bool // of a native family
}

// size returns the size of the record in bytes.
func (s *seriesRecord) size() (int, error) {
	n, longest := offSerBody, 0
	for _, v := range s.values {
		n, longest = n+2+len(v), max(longest, len(v))
	}
	for _, l := range s.extra {
		n, longest = n+4+len(l.Name)+len(l.Value), max(longest, len(l.Name), len(l.Value))
	}
	if n = align8(n); n > maxRecord || longest > MaxStringLen {
		return 0, ErrRecordTooLarge
	}
	return n, nil
}

// encode writes the record to b. The length of b, which becomes the record's length, is its
// size or more.
func (s *seriesRecord) encode(b []byte) {
	e := encoder{b: b[:offSerBody]}
	clear(e.b)
	le.PutUint64(e.b[offSerCreated:], uint64(s.created))
	le.PutUint64(e.b[offSerRemoved:], uint64(s.removed))
	le.PutUint32(e.b[offSerActive:], s.active)
	le.PutUint32(e.b[offSerFamily:], s.family)
	le.PutUint32(e.b[offSerCells:], uint32(s.cells))
	le.PutUint16(e.b[offSerValues:], uint16(len(s.values)))
	le.PutUint16(e.b[offSerExtra:], uint16(len(s.extra)))
	for _, v := range s.values {
		e.str(v)
	}
	e.labels(s.extra)
	clear(b[len(e.b):])
	e.b = b
	if s.native {
		e.seal(kindNativeSeries)
	} else {
		e.seal(kindSeries)
	}
}

// regionRecord is the content of the record of a region.
type regionRecord struct {
	series   wordOffset // of the record of its series
	cells    wordOffset // of its words, a cache line
	schema   int8
	negative bool
	number   int32
}

// encode returns the record.
func (r *regionRecord) encode() []byte {
	e := encoder{b: make([]byte, regionSize)}
	le.PutUint32(e.b[offRegSeries:], uint32(r.series))
	le.PutUint32(e.b[offRegCells:], uint32(r.cells))
	e.b[offRegSchema] = byte(r.schema)
	if r.negative {
		e.b[offRegNegative] = 1
	}
	le.PutUint32(e.b[offRegNumber:], uint32(r.number))
	e.seal(kindRegion)
	return e.b
}

// decodeRegion reads a record whose length and checksum were verified. Whether the schema is
// one of the family's, and where series and words are, is not checked.
func decodeRegion(rec []byte) (r regionRecord, err error) {
	if len(rec) < regionSize {
		return r, errShortRecord
	}
	r = regionRecord{
		series: wordOffset(le.Uint32(rec[offRegSeries:])), cells: wordOffset(le.Uint32(rec[offRegCells:])),
		schema: int8(rec[offRegSchema]), negative: rec[offRegNegative] == 1, number: int32(le.Uint32(rec[offRegNumber:])),
	}
	switch {
	case r.schema < histogram.MinSchema || r.schema > histogram.MaxSchema:
		return r, fmt.Errorf("a region of schema %d", r.schema)
	case rec[offRegNegative] > 1:
		return r, fmt.Errorf("a region with the sign %d", rec[offRegNegative])
	case r.cells%lineWords != 0:
		return r, fmt.Errorf("a region whose words begin at %d, in the middle of a cache line", r.cells)
	}
	if first, last := histogram.Range(int(r.schema)); r.number < histogram.RegionOf(first) || r.number > histogram.RegionOf(last) {
		return r, fmt.Errorf("a region number %d of schema %d", r.number, r.schema)
	}
	return r, nil
}

var errShortRecord = errors.New("its strings run past its end")

// decoder reads strings from a record. After a missing string, bad stays true.
type decoder struct {
	b   []byte
	bad bool
}

// str returns a copy, because the writer may reuse the record's bytes.
func (d *decoder) str() string {
	if len(d.b) < 2 || len(d.b)-2 < int(le.Uint16(d.b)) {
		d.bad = true
		return ""
	}
	n := int(le.Uint16(d.b))
	s := string(d.b[2 : 2+n])
	d.b = d.b[2+n:]
	return s
}

func (d *decoder) strs(n uint16) []string {
	if n == 0 || 2*int(n) > len(d.b) {
		d.bad = d.bad || n > 0
		return nil
	}
	out := make([]string, n)
	for i := range out {
		out[i] = d.str()
	}
	return out
}

func (d *decoder) labels(n uint16) metric.Labels {
	if n == 0 || 4*int(n) > len(d.b) {
		d.bad = d.bad || n > 0
		return nil
	}
	out := make(metric.Labels, n)
	for i := range out {
		out[i].Name = d.str()
		out[i].Value = d.str()
	}
	return out
}

// decodeFamily reads a record whose length and checksum were verified, of a native family too.
func decodeFamily(rec []byte) (id uint32, s *metric.Schema, err error) {
	body, native := offFamBody, le.Uint16(rec[offRecKind:]) == kindNativeFamily
	if native {
		body = offNatBody
	}
	if len(rec) < body {
		return 0, nil, errShortRecord
	}
	s = &metric.Schema{Type: metric.Type(rec[offFamType]), Mode: metric.Mode(rec[offFamMode])}
	if native {
		s.Native = &metric.NativeSchema{
			Schema: int(int8(rec[offNatSchema])), MaxBuckets: int(le.Uint16(rec[offNatLimit:])),
			ZeroThreshold: math.Float64frombits(le.Uint64(rec[offNatThreshold:])), MaxExemplars: int(le.Uint16(rec[offNatExemplars:])),
		}
	}
	bounds := int(le.Uint16(rec[offFamBounds:]))
	d := decoder{b: rec[body:]}
	if 8*bounds > len(d.b) {
		return 0, nil, errShortRecord
	}
	for i := range bounds {
		s.Bounds = append(s.Bounds, math.Float64frombits(le.Uint64(d.b[8*i:])))
	}
	d.b = d.b[8*bounds:]
	s.Name, s.Help, s.Unit = d.str(), d.str(), d.str()
	s.Labels = d.strs(le.Uint16(rec[offFamLabels:]))
	s.Const = d.labels(le.Uint16(rec[offFamConst:]))
	s.States = d.strs(le.Uint16(rec[offFamStates:]))
	if d.bad {
		return 0, nil, errShortRecord
	}
	if len(s.Labels) > 0 && s.Type != metric.Info {
		s.TTL = lifetime.Decode(le.Uint16(rec[offFamTTL:]))
	}
	return le.Uint32(rec[offFamID:]), s, s.Check()
}

// decodeSeries reads a record whose length and checksum were verified. text is the part of
// rec with the strings: the values, then pairs of name and value.
func decodeSeries(rec []byte) (s seriesHead, values, extra int, text []byte, err error) {
	if len(rec) < offSerBody {
		return s, 0, 0, nil, errShortRecord
	}
	s.native = le.Uint16(rec[offRecKind:]) == kindNativeSeries
	s.family = le.Uint32(rec[offSerFamily:])
	s.cells = wordOffset(le.Uint32(rec[offSerCells:]))
	s.created = int64(loadWord(rec, offSerCreated))
	s.removed = int64(loadWord(rec, offSerRemoved))
	values, extra = int(le.Uint16(rec[offSerValues:])), int(le.Uint16(rec[offSerExtra:]))
	body := rec[offSerBody:]
	n := 0
	for range values + 2*extra {
		if len(body)-n < 2 || len(body)-n-2 < int(le.Uint16(body[n:])) {
			return s, 0, 0, nil, errShortRecord
		}
		n += 2 + int(le.Uint16(body[n:]))
	}
	return s, values, extra, body[:n], nil
}

// WordsPerSeries returns the number of words of a series with that schema (docs/format.md,
// "Cells").
func WordsPerSeries(s *metric.Schema) int {
	switch s.Type {
	case metric.Counter, metric.Summary:
		return 2
	case metric.Histogram, metric.GaugeHistogram:
		if s.Native != nil {
			return CellNativeBuckets + len(s.Bounds)
		}
		return 2 + len(s.Bounds)
	case metric.Info:
		return 0
	}
	switch {
	case s.Mode.Base() == metric.ModeMostRecent:
		return recentWords
	case s.TTL > 0:
		return countedWords
	}
	return 1
}

// words returns the n words at byte offset off of b, which must be aligned.
func words(b []byte, off uint64, n int) []uint64 {
	if n == 0 {
		return nil
	}
	b = b[off : off+uint64(8*n)]
	return unsafe.Slice((*uint64)(unsafe.Pointer(unsafe.SliceData(b))), n)
}
