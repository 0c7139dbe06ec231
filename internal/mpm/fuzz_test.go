package mpm

import (
	"errors"
	"fmt"
	"math"
	"runtime"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/stretchr/testify/require"

	"github.com/multiprom/multiprom/metric"
)

// draw takes values from fuzzed bytes, and zeros after the last one, so that every input is a
// schema or a series.
type draw struct{ b []byte }

func (d *draw) bytes(n int) []byte {
	out := make([]byte, n)
	d.b = d.b[copy(out, d.b):]
	return out
}

func (d *draw) byte() byte     { return d.bytes(1)[0] }
func (d *draw) uint64() uint64 { return le.Uint64(d.bytes(8)) }

// str returns a string of some of the bytes. One length in 16 asks for a long string, so that
// the bounds are reached.
func (d *draw) str() string {
	n := int(d.byte())
	if n >= 0xf0 {
		return strings.Repeat(string(rune('a'+n&0xf)), (n&0xf)*700)
	}
	return string(d.bytes(n % 16))
}

// count returns the number of elements of a list: a few, or more than the bounds allow.
func (d *draw) count() int {
	n := int(d.byte())
	if n >= 0xf8 {
		return (n & 7) * 300
	}
	return n % 6
}

func (d *draw) strs() []string {
	var out []string
	for range d.count() {
		out = append(out, d.str())
	}
	return out
}

func (d *draw) labels() metric.Labels {
	var out metric.Labels
	for range d.count() {
		out = append(out, metric.Label{Name: d.str(), Value: d.str()})
	}
	return out
}

func (d *draw) schema() *metric.Schema {
	s := &metric.Schema{Type: metric.Type(d.byte() % 9), Mode: metric.Mode(d.byte() % 11)}
	s.Name, s.Help, s.Unit = d.str(), d.str(), d.str()
	s.Labels, s.Const, s.States = d.strs(), d.labels(), d.strs()
	for i := range d.count() {
		// Most are ascending. If no bytes are left, the bounds are 0, 1, 2, …
		s.Bounds = append(s.Bounds, float64(i)+math.Float64frombits(d.uint64()))
	}
	if d.byte()&1 == 1 {
		s.Native = &metric.NativeSchema{
			Schema: int(int8(d.byte())), MaxBuckets: int(le.Uint16(d.bytes(2))), ZeroThreshold: math.Float64frombits(d.uint64()),
			MaxExemplars: int(le.Uint16(d.bytes(2))),
		}
	}
	return s
}

func (d *draw) series() seriesRecord {
	s := seriesRecord{
		seriesHead{family: uint32(d.uint64()), cells: wordOffset(d.uint64()), created: int64(d.uint64())},
		d.strs(), d.labels(),
	}
	s.native = d.byte()&1 == 1
	return s
}

// hostileRecord makes a record of that kind from any bytes, with their length and a matching
// checksum, aligned like a reader's copy.
func hostileRecord(data []byte, kind uint16) []byte {
	n := min(max(align8(len(data)), offFamID), maxRecord)
	rec := wordBytes(make([]uint64, n/8))
	copy(rec, data)
	le.PutUint32(rec[offRecLen:], uint32(n))
	le.PutUint16(rec[offRecKind:], kind)
	le.PutUint32(rec[offRecCRC:], recordCRC(rec))
	return rec
}

// aligned returns a copy of an encoded record, aligned like a reader's.
func aligned(rec []byte) []byte {
	out := wordBytes(make([]uint64, len(rec)/8))
	copy(out, rec)
	return out
}

// requireModest fails if fn allocates out of proportion to the n bytes that it reads. The
// slack is for concurrent allocations. Lists for the 65535 elements that a damaged count
// announces would exceed it.
func requireModest(t *testing.T, n int, fn func()) {
	t.Helper()
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	fn()
	runtime.ReadMemStats(&after)
	require.LessOrEqual(t, after.TotalAlloc-before.TotalAlloc, uint64(64*n+512<<10))
}

// sameBits compares schemas. NaN bounds are equal to themselves.
func sameBits(t *testing.T, want, got *metric.Schema) {
	t.Helper()
	bits := func(s *metric.Schema) (out []uint64) {
		for _, b := range s.Bounds {
			out = append(out, math.Float64bits(b))
		}
		if s.Native != nil {
			out = append(out, math.Float64bits(s.Native.ZeroThreshold))
		}
		return out
	}
	require.Equal(t, bits(want), bits(got))
	a, b := *want, *got
	a.Bounds, b.Bounds = nil, nil
	for _, s := range []*metric.Schema{&a, &b} {
		if s.Native != nil {
			n := *s.Native
			n.ZeroThreshold, s.Native = 0, &n
		}
	}
	require.True(t, a.Equal(&b), "%+v\n%+v", want, got)
}

// FuzzFamilyRecord uses the same bytes as a schema, which must survive encoding and decoding,
// and as a record, which must be refused or keep its meaning when it is encoded again.
func FuzzFamilyRecord(f *testing.F) {
	for _, s := range append(everyType(), nativeSchemas()...) {
		rec, err := encodeFamily(7, s)
		require.NoError(f, err)
		f.Add(rec)
		short := aligned(rec)
		for _, off := range []int{offFamLabels, offFamConst, offFamBounds, offFamStates} {
			counts := aligned(rec)
			le.PutUint16(counts[off:], math.MaxUint16)
			f.Add(counts)
		}
		bounds := aligned(rec)
		le.PutUint16(bounds[offFamBounds:], uint16((len(rec)-offFamBody)/8+1))
		f.Add(bounds)
		f.Add(short[:len(short)-8])
		f.Add(short[:offFamBody-8])
	}
	f.Add([]byte{})
	f.Add([]byte{3, 0, 1, 'h', 1, 'H', 0, 1, 1, 'a', 1, 1, 'b', 1, 'x', 0, 2})
	f.Add([]byte{3, 0, 1, 'h', 0xff, 0, 0, 0, 0, 0xfc})         // help too long, too many bounds
	f.Add([]byte{1, 0, 1, 'c', 0, 0, 0xff})                     // too many labels
	f.Add([]byte{6, 8, 1, 'e', 0, 0, 0, 0, 2, 1, 'a', 1, 0xfe}) // a state that is not UTF-8
	f.Add([]byte{7, 0, 1, 'g', 0, 0, 0, 0, 0, 1, 1, 0, 0, 0, 0, 0, 0xf8, 0x7f})
	f.Add([]byte{1, 0, 1, 'c', 0, 0, 0, 5, 1, 'a', 0xff, 1, 'b', 0xff, 1, 'c', 0xff, 1, 'd', 0xff, 1, 'e', 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff})
	for _, rec := range damagedNativeFamilies() {
		f.Add(rec)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		d := draw{data}
		in := d.schema()
		rec, err := encodeFamily(uint32(len(data)), in)
		if err != nil {
			require.ErrorIs(t, err, ErrRecordTooLarge)
		} else {
			id, out, err := decodeFamily(aligned(rec))
			require.Equal(t, in.Check(), err)
			require.EqualValues(t, len(data), id)
			sameBits(t, in, out)
			require.Equal(t, recordCRC(rec), le.Uint32(rec[offRecCRC:]))
		}

		kind := uint16(kindFamily)
		if len(data) > offRecKind && data[offRecKind] == kindNativeFamily {
			kind = kindNativeFamily
		}
		hostile := hostileRecord(data, kind)
		requireModest(t, len(hostile), func() {
			id, out, err := decodeFamily(hostile)
			if err != nil {
				return
			}
			rec, err := encodeFamily(id, out)
			require.NoError(t, err)
			require.LessOrEqual(t, len(rec), len(hostile))
			again, same, err := decodeFamily(aligned(rec))
			require.NoError(t, err)
			require.Equal(t, id, again)
			sameBits(t, out, same)
		})
	})
}

// encodeSeries returns the record, at least size bytes long.
func encodeSeries(s seriesRecord, size int) ([]byte, error) {
	n, err := s.size()
	if err != nil || size > maxRecord {
		return nil, ErrRecordTooLarge
	}
	b := make([]byte, max(n, size))
	b[0], b[len(b)-1] = 0xff, 0xff // old content does not matter
	s.encode(b)
	return b, nil
}

// decodedSeries returns the content of a record.
func decodedSeries(rec []byte) (s seriesRecord, err error) {
	head, values, extra, text, err := decodeSeries(rec)
	if err != nil {
		return s, err
	}
	info := SeriesInfo{Schema: &metric.Schema{Labels: make([]string, values)}, encoded: string(text)}
	s = seriesRecord{head, info.Values(), info.Extra()}
	if values == 0 {
		s.values = nil
	}
	if len(s.extra) != extra {
		return s, fmt.Errorf("%d further labels, not %d", len(s.extra), extra)
	}
	return s, nil
}

// FuzzSeriesRecord is FuzzFamilyRecord for series. size is the length of a reused record.
func FuzzSeriesRecord(f *testing.F) {
	for _, s := range []seriesRecord{
		{},
		{seriesHead{family: 3, cells: 9, created: -1}, []string{"GET", "", "\x00\xff"}, nil},
		{seriesHead{family: 3, cells: 9, created: 5, native: true}, []string{"GET"}, nil},
		{seriesHead{family: math.MaxUint32, cells: math.MaxUint32, created: 1}, nil, metric.MakeLabels("version", "1", "x", "")},
	} {
		rec, err := encodeSeries(s, 64)
		require.NoError(f, err)
		f.Add(rec, uint16(0))
		f.Add(rec[:offSerBody-8], uint16(0))
		for _, off := range []int{offSerValues, offSerExtra} {
			counts := aligned(rec)
			le.PutUint16(counts[off:], math.MaxUint16)
			f.Add(counts, uint16(400))
			cut := aligned(rec)
			le.PutUint16(cut[off:], 5)
			f.Add(cut, uint16(400))
		}
	}
	f.Add([]byte{}, uint16(0))
	f.Add([]byte{23: 1, 24: 3, 1, 'a', 0xf1, 0, 2, 1, 'k', 1, 'v', 1, 'l', 0xff}, uint16(400))
	f.Add([]byte{24: 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff}, uint16(maxRecord))
	f.Fuzz(func(t *testing.T, data []byte, size uint16) {
		d := draw{data}
		in := d.series()
		rec, err := encodeSeries(in, align8(int(size)))
		if err != nil {
			require.ErrorIs(t, err, ErrRecordTooLarge)
		} else {
			require.GreaterOrEqual(t, len(rec), int(size))
			out, err := decodedSeries(aligned(rec))
			require.NoError(t, err)
			require.Equal(t, in, out)
			require.Equal(t, recordCRC(rec), le.Uint32(rec[offRecCRC:]))
		}

		kind := uint16(kindSeries)
		if len(data) > offRecKind && data[offRecKind] == kindNativeSeries {
			kind = kindNativeSeries
		}
		hostile := hostileRecord(data, kind)
		requireModest(t, len(hostile), func() {
			out, err := decodedSeries(hostile)
			if err != nil {
				return
			}
			rec, err := encodeSeries(out, 0)
			require.NoError(t, err)
			require.LessOrEqual(t, len(rec), len(hostile))
			same, err := decodedSeries(aligned(rec))
			require.NoError(t, err)
			require.Equal(t, out, same)
		})
	})
}

// FuzzHeader uses any bytes as a header, and as the fields of a header with right constants
// and checksum.
func FuzzHeader(f *testing.F) {
	good := make([]byte, headerSize)
	h := Header{
		Version: formatVersion, Incarnation: Incarnation{1, 2}, Created: time.Unix(5, 6), PID: 42, StartTime: 7,
		BootID: [16]byte{8}, PIDNamespace: 9, Liveness: LivenessOFD, Label: "wörker",
	}
	h.encode(good)
	fields := func(edit func(b []byte)) []byte {
		b := append([]byte(nil), good...)
		edit(b)
		return b[offIncarnation:offHeaderCRC]
	}
	f.Add([]byte{})
	f.Add([]byte("# HELP x\nx 1\n"))
	f.Add(good)
	f.Add(good[:300])
	f.Add(put32(offVersion, 2)(append([]byte(nil), good...)))
	f.Add(put32(offVersion, 0)(append([]byte(nil), good...)))
	f.Add(put32(offByteOrder, 0x0D0C0B0A)(append([]byte(nil), good...)))
	f.Add(fields(func([]byte) {}))
	f.Add(fields(func(b []byte) { le.PutUint64(b[offPID:], 1<<63+5) }))
	f.Add(fields(func(b []byte) { le.PutUint64(b[offPID:], 1<<32+5) }))
	f.Add(fields(func(b []byte) { le.PutUint64(b[offCreated:], math.MaxUint64) }))
	f.Add(fields(func(b []byte) { le.PutUint32(b[offLiveness:], 77) }))
	f.Add(fields(func(b []byte) { le.PutUint32(b[offLabelLen:], 0) }))
	f.Add(fields(func(b []byte) { le.PutUint32(b[offLabelLen:], maxLabelLen) }))
	f.Add(fields(func(b []byte) { le.PutUint32(b[offLabelLen:], maxLabelLen+1) }))
	f.Add(fields(func(b []byte) { b[offLabel] = 0xff }))
	f.Fuzz(func(t *testing.T, data []byte) {
		checkHeader(t, data)
		if len(data) >= headerSize {
			checkHeader(t, sealHeader(append([]byte(nil), data...)))
		}
		b := append([]byte(nil), good...)
		copy(b[offIncarnation:offHeaderCRC], data)
		checkHeader(t, sealHeader(b))
	})
}

// checkHeader decodes b. If the header is accepted, it names its file, keeps its meaning when
// it is encoded again, and could have been written by a writer.
func checkHeader(t *testing.T, b []byte) {
	t.Helper()
	h, err := decodeHeader(b)
	if err != nil {
		require.True(t, errors.Is(err, ErrForeign) || errors.Is(err, ErrUnsupported) || errors.Is(err, ErrCorrupt), "%v", err)
		return
	}
	again := make([]byte, headerSize)
	h.encode(again)
	same, err := decodeHeader(again)
	require.NoError(t, err)
	require.Equal(t, h, same)
	require.Equal(t, le.Uint64(b[offPID:]), uint64(h.PID))
	require.Equal(t, int64(le.Uint64(b[offCreated:])), h.Created.UnixNano())
	pid, inc, ok := ParseFileName(h.FileName())
	require.True(t, ok, h.FileName())
	require.Equal(t, h.PID, pid)
	require.Equal(t, h.Incarnation, inc)
	require.NotEmpty(t, h.Label)
	require.True(t, utf8.ValidString(h.Label))
	require.LessOrEqual(t, h.Liveness, LivenessWin, "an unknown liveness is none")
}

// FuzzScan parses a name, formats the result, and expects the same name.
func FuzzScan(f *testing.F) {
	hex := strings.Repeat("0a", 16)
	for _, name := range []string{
		"", ".", "-", "1-" + hex + ".mpm", ".1-" + hex + ".tmp", "0-" + hex + ".mpm", "-0-" + hex + ".mpm", "+1-" + hex + ".mpm",
		"01-" + hex + ".mpm", "1-" + strings.ToUpper(hex) + ".mpm", "1-" + hex + ".tmp", ".1-" + hex + ".mpm", "1-" + hex[:31] + "g.mpm",
		"9223372036854775807-" + hex + ".mpm", "9223372036854775808-" + hex + ".mpm", "2147483648-" + hex + ".mpm",
		"1-" + hex[:30] + "\u212a.mpm", ArchiveName, StagedName, "counter_1.db", "counter_.db", "gauge_all_1.db", "a.db",
	} {
		f.Add(name, uint32(len(name)))
	}
	f.Fuzz(func(t *testing.T, name string, pid uint32) {
		e := classify(name)
		require.Equal(t, name, e.Name)
		require.NotEmpty(t, e.Kind.String())
		h := Header{PID: e.PID, Incarnation: e.Incarnation}
		_, _, native := ParseFileName(name)
		require.Equal(t, native, e.Kind == KindNative)
		switch e.Kind {
		case KindNative:
			require.Equal(t, name, h.FileName())
		case KindTemp:
			require.Equal(t, name, h.tempName())
		default:
			require.Equal(t, Entry{Name: name, Kind: e.Kind}, e)
		}

		h = Header{PID: int(pid >> 1)} // fits a 32-bit int
		copy(h.Incarnation[:], name)
		require.Equal(t, Entry{h.FileName(), KindNative, h.PID, h.Incarnation}, classify(h.FileName()))
		require.Equal(t, Entry{h.tempName(), KindTemp, h.PID, h.Incarnation}, classify(h.tempName()))
	})
}
