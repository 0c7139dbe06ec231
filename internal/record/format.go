package record

import (
	"encoding/binary"
	"errors"
	"hash/crc32"
	"math"
	"math/bits"

	"github.com/multiprom/multiprom/metric"
)

// A file is a header and frames:
//
//	header   8 bytes magic, 8 bytes number of the file (little endian)
//	frame    4 bytes length of the payload, 4 bytes CRC-32C of kind and payload, 1 byte kind, payload
//	block    the payload of kind 1, compressed with zstd: ticks, each after its length as a uvarint
//	tick     the payload of kind 2, in tail.rec
//
// A tick is made of uvarints, of strings, each after its length, and of float64s:
//
//	number, milliseconds since 1970, 1 if nothing before it is needed and else 0
//	families   count; each: name, type, 1 if it is what processes have counted, count of bounds, bounds
//	series     count; each: number of the family, labels in one string
//	gone       count; each: number of the series, as a difference
//	changes    count; all positions of values, as differences; then all values
//	deaths     count; each: process ID, count of samples; each: name with labels, value
//
// Families, series and values are numbered from 0 on, in the order in which they come.
// A value is a uvarint: an even one is twice the zigzag of the difference from the last
// value, if both are whole numbers; 1 is followed by the exclusive or of their bits,
// reversed.
const (
	magic      = "MPREC\x00\x001"
	headerSize = len(magic) + 8
	frameHead  = 9

	kindBlock = 1
	kindTick  = 2

	// maxFrame bounds what a reader believes of a length.
	maxFrame = 1 << 30
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

var errFormat = errors.New("record: the bytes are not those of a recording")

func header(number uint64) []byte {
	return binary.LittleEndian.AppendUint64([]byte(magic), number)
}

// appendFrame appends a frame.
func appendFrame(dst []byte, kind byte, payload []byte) []byte {
	sum := crc32.Update(crc32.Checksum([]byte{kind}, castagnoli), castagnoli, payload)
	dst = binary.LittleEndian.AppendUint32(dst, uint32(len(payload)))
	dst = binary.LittleEndian.AppendUint32(dst, sum)
	return append(append(dst, kind), payload...)
}

// cutFrame returns the first frame of b. ok is false at the end and at bytes that are not a
// whole frame.
func cutFrame(b []byte) (kind byte, payload, rest []byte, ok bool) {
	if len(b) < frameHead {
		return 0, nil, nil, false
	}
	n := int(binary.LittleEndian.Uint32(b))
	if n > maxFrame || len(b)-frameHead < n {
		return 0, nil, nil, false
	}
	if crc32.Checksum(b[8:frameHead+n], castagnoli) != binary.LittleEndian.Uint32(b[4:]) {
		return 0, nil, nil, false
	}
	return b[8], b[frameHead : frameHead+n], b[frameHead+n:], true
}

func appendString(dst []byte, s string) []byte {
	return append(binary.AppendUvarint(dst, uint64(len(s))), s...)
}

func appendLabels(dst []byte, ls metric.Labels) []byte {
	for _, l := range ls {
		dst = appendString(appendString(dst, l.Name), l.Value)
	}
	return dst
}

// appendChange appends a value by its difference from the last one.
func appendChange(dst []byte, last, now uint64) []byte {
	a, b := math.Float64frombits(last), math.Float64frombits(now)
	if isWhole(a) && isWhole(b) && !isNegativeZero(last) && !isNegativeZero(now) {
		d := int64(b) - int64(a)
		return binary.AppendUvarint(dst, uint64(d<<1^d>>63)<<1)
	}
	return binary.AppendUvarint(append(dst, 1), bits.Reverse64(last^now))
}

// isWhole reports whether v is a whole number whose differences are exact.
func isWhole(v float64) bool { return v == math.Trunc(v) && math.Abs(v) < 1<<52 }

func isNegativeZero(v uint64) bool { return v == 1<<63 }

// valuesOf returns how many values a series of the family has.
func (f *Family) valuesOf() int {
	switch f.Type {
	case metric.Histogram:
		return len(f.Bounds) + 2
	case metric.Summary:
		return 2
	}
	return 1
}

// decoder reads a tick. After bytes that are missing, bad stays true.
type decoder struct {
	b   []byte
	bad bool
}

func (d *decoder) uvarint() uint64 {
	v, n := binary.Uvarint(d.b)
	if n <= 0 {
		d.bad, d.b = true, nil
		return 0
	}
	d.b = d.b[n:]
	return v
}

// count reads how many elements follow, each of which has at least one byte.
func (d *decoder) count() int {
	n := d.uvarint()
	if n > uint64(len(d.b)) {
		d.bad, d.b = true, nil
		return 0
	}
	return int(n)
}

func (d *decoder) string() string {
	n := d.count()
	s := string(d.b[:n])
	d.b = d.b[n:]
	return s
}

func (d *decoder) float() float64 {
	if len(d.b) < 8 {
		d.bad, d.b = true, nil
		return 0
	}
	v := math.Float64frombits(binary.LittleEndian.Uint64(d.b))
	d.b = d.b[8:]
	return v
}

func (d *decoder) labels() (out metric.Labels) {
	in := decoder{b: []byte(d.string())}
	for len(in.b) > 0 {
		out = append(out, metric.Label{Name: in.string(), Value: in.string()})
	}
	d.bad = d.bad || in.bad
	return out
}

// change reads a value by its difference from the last one.
func (d *decoder) change(last uint64) uint64 {
	v := d.uvarint()
	switch {
	case v == 1:
		return last ^ bits.Reverse64(d.uvarint())
	case v&1 == 1:
		d.bad = true
		return last
	}
	v >>= 1
	return math.Float64bits(float64(int64(math.Float64frombits(last)) + (int64(v>>1) ^ -int64(v&1))))
}
