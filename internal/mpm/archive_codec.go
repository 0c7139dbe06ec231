package mpm

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"math"
	"time"

	"github.com/multiprom/multiprom/internal/labelkey"
	"github.com/multiprom/multiprom/internal/lifetime"
	"github.com/multiprom/multiprom/metric"
)

const (
	archiveMagic      = "\x89MPA\r\n\x1a\n"
	archiveVersion    = 1
	archiveHeaderSize = 160
)

// Offsets in the archive's header.
const (
	offArcMagic       = 0
	offArcVersion     = 8
	offArcByteOrder   = 12
	offArcID          = 16
	offArcGeneration  = 32
	offArcEpoch       = 40
	offArcSize        = 48
	offArcCompactions = 56
	offArcCompacted   = 64
	offArcCompactTime = 72
	offArcCounts      = 80 // one u64 for each of HeaderCounters
	offArcHeaderCRC   = 156
)

// Compare orders incarnations.
func (i Incarnation) Compare(o Incarnation) int { return bytes.Compare(i[:], o[:]) }

func (a *Archive) encode() ([]byte, error) {
	e := encoder{b: make([]byte, archiveHeaderSize, 4096)}
	e.u32(len(a.Consumed))
	for _, c := range a.Consumed {
		e.b = append(e.b, c.Incarnation[:]...)
		e.u64(c.Generation)
	}
	e.u32(len(a.Processes))
	for i := range a.Processes {
		p := &a.Processes[i]
		e.text(p.Label)
		e.b = append(e.b, p.Incarnation[:]...)
		e.u64(uint64(p.Created))
		e.u64(uint64(p.Compacted))
	}
	e.u32(len(a.Families))
	for i := range a.Families {
		if err := e.storedFamily(&a.Families[i]); err != nil {
			return nil, err
		}
	}
	a.header(e.b[:archiveHeaderSize], len(e.b)+4)
	return le.AppendUint32(e.b, crc32.Checksum(e.b, castagnoli)), nil
}

func (a *Archive) header(b []byte, size int) {
	copy(b[offArcMagic:], archiveMagic)
	le.PutUint32(b[offArcVersion:], archiveVersion)
	le.PutUint32(b[offArcByteOrder:], byteOrderMark)
	copy(b[offArcID:], a.ID[:])
	le.PutUint64(b[offArcGeneration:], a.Generation)
	le.PutUint64(b[offArcEpoch:], a.Epoch)
	le.PutUint64(b[offArcSize:], uint64(size))
	le.PutUint64(b[offArcCompactions:], a.Compactions)
	le.PutUint64(b[offArcCompacted:], a.Compacted)
	le.PutUint64(b[offArcCompactTime:], uint64(a.CompactTime))
	for i, n := range a.Counts {
		le.PutUint64(b[offArcCounts+8*i:], n)
	}
	le.PutUint32(b[offArcHeaderCRC:], crc32.Checksum(b[:offArcHeaderCRC], castagnoli))
}

func (e *encoder) u32(n int)    { e.b = le.AppendUint32(e.b, uint32(n)) }
func (e *encoder) u64(n uint64) { e.b = le.AppendUint64(e.b, n) }

// text appends a string of any length.
func (e *encoder) text(s string) {
	e.b = append(binary.AppendUvarint(e.b, uint64(len(s))), s...)
}

func (e *encoder) labelSet(ls metric.Labels) {
	e.u32(len(ls))
	e.b = labelkey.Append(e.b, ls) // each encoded as by text
}

func (e *encoder) storedFamily(f *StoredFamily) error {
	s := f.Schema
	e.b = append(e.b, byte(s.Type), byte(s.Mode))
	if n := s.Native; n == nil {
		e.b = append(e.b, 0)
	} else {
		e.b = append(e.b, 1, byte(int8(n.Schema)))
		e.b = le.AppendUint16(e.b, uint16(n.MaxBuckets))
		e.b = le.AppendUint16(e.b, uint16(n.MaxExemplars))
		e.u64(math.Float64bits(n.ZeroThreshold))
	}
	e.u32(len(s.Bounds))
	for _, b := range s.Bounds {
		e.u64(math.Float64bits(b))
	}
	e.u32(len(s.States))
	for _, st := range s.States {
		e.text(st)
	}
	e.text(s.Name)
	e.text(s.Help)
	e.text(s.Unit)
	e.u64(uint64(f.First))
	e.u64(uint64(f.Newest))
	e.text(f.PythonFile)
	e.u64(uint64(s.TTL))
	e.b = append(e.b, byte(0))
	if f.Series.Timed {
		e.b[len(e.b)-1] = 1
	}
	e.u32(f.Series.Len())
	e.b = append(e.b, f.Series.raw...)
	if f.Series.tooLarge {
		return fmt.Errorf("%s: its series have more than %d bytes: %w", s.Name, int64(maxStoredList), ErrTooBig)
	}
	return nil
}

// decodeArchiveHeader reads the header. Its errors carry no path.
func decodeArchiveHeader(b []byte) (a Archive, err error) {
	if len(b) < len(archiveMagic) || string(b[:len(archiveMagic)]) != archiveMagic {
		return a, ErrForeign
	}
	if len(b) < archiveHeaderSize {
		return a, &CorruptionError{Offset: int64(len(b)), Reason: "the archive ends within its header"}
	}
	if v := le.Uint32(b[offArcVersion:]); v > archiveVersion && le.Uint32(b[offArcByteOrder:]) == byteOrderMark {
		return a, fmt.Errorf("%w: archive version %d, this program reads up to %d", ErrUnsupported, v, archiveVersion)
	}
	if crc32.Checksum(b[:offArcHeaderCRC], castagnoli) != le.Uint32(b[offArcHeaderCRC:]) {
		return a, &CorruptionError{Offset: offArcHeaderCRC, Reason: "header checksum does not match"}
	}
	if v := le.Uint32(b[offArcVersion:]); v != archiveVersion || le.Uint32(b[offArcByteOrder:]) != byteOrderMark {
		return a, &CorruptionError{Offset: offArcVersion, Reason: "version or byte order mark is not possible"}
	}
	copy(a.ID[:], b[offArcID:])
	a.Generation = le.Uint64(b[offArcGeneration:])
	a.Epoch = le.Uint64(b[offArcEpoch:])
	a.Bytes = int64(le.Uint64(b[offArcSize:]))
	a.Compactions = le.Uint64(b[offArcCompactions:])
	a.Compacted = le.Uint64(b[offArcCompacted:])
	a.CompactTime = time.Duration(le.Uint64(b[offArcCompactTime:]))
	for i := range a.Counts {
		a.Counts[i] = le.Uint64(b[offArcCounts+8*i:])
	}
	return a, nil
}

// decodeArchive reads a whole archive, or returns an error.
func decodeArchive(b []byte) (*Archive, error) {
	a, err := decodeArchiveHeader(b)
	if err != nil {
		return nil, err
	}
	corrupt := func(off int, format string, args ...any) (*Archive, error) {
		return nil, &CorruptionError{Offset: int64(off), Reason: fmt.Sprintf(format, args...)}
	}
	body := len(b) - 4
	if a.Bytes != int64(len(b)) || body < archiveHeaderSize {
		return corrupt(offArcSize, "the archive has %d bytes and says %d", len(b), a.Bytes)
	}
	if crc32.Checksum(b[:body], castagnoli) != le.Uint32(b[body:]) {
		return corrupt(body, "checksum does not match")
	}
	d := archiveDecoder{decoder: decoder{b: b[archiveHeaderSize:body]}}
	if err := d.archive(&a); err != nil {
		return corrupt(body-len(d.b), "%v", err)
	}
	return &a, nil
}

// archiveDecoder decodes the output of encode. The checksum, verified before, detects
// accidents. The decoder's bounds checks protect against everything else.
type archiveDecoder struct{ decoder }

// count reads a number of items of at least size bytes each.
func (d *archiveDecoder) count(size int) int {
	n := int(d.u32())
	if n < 0 || n > len(d.b)/size {
		d.bad = true
		return 0
	}
	return n
}

func (d *archiveDecoder) take(n int) []byte {
	if n < 0 || n > len(d.b) {
		d.bad = true
		return make([]byte, 16) // as long as any fixed field
	}
	b := d.b[:n:n]
	d.b = d.b[n:]
	return b
}

func (d *archiveDecoder) u32() uint32 { return le.Uint32(d.take(4)) }
func (d *archiveDecoder) u64() uint64 { return le.Uint64(d.take(8)) }

// bytes reads a string. The result shares the memory of the input.
func (d *archiveDecoder) bytes() []byte {
	n, size := binary.Uvarint(d.b)
	if size <= 0 || n > uint64(len(d.b)-size) {
		d.bad = true
		return nil
	}
	d.b = d.b[size:]
	return d.take(int(n))
}

func (d *archiveDecoder) text() string { return string(d.bytes()) }

func (d *archiveDecoder) archive(a *Archive) error {
	a.Consumed = make([]Consumed, d.count(24))
	for i := range a.Consumed {
		copy(a.Consumed[i].Incarnation[:], d.take(16))
		a.Consumed[i].Generation = d.u64()
		if i > 0 && a.Consumed[i-1].compare(a.Consumed[i]) >= 0 {
			return errors.New("its incarnations are not sorted")
		}
	}
	a.Processes = make([]StoredProcess, d.count(33))
	for i := range a.Processes {
		p := &a.Processes[i]
		p.Label = d.text()
		copy(p.Incarnation[:], d.take(16))
		p.Created, p.Compacted = int64(d.u64()), int64(d.u64())
	}
	a.Families = make([]StoredFamily, d.count(minStoredFamily))
	for i := range a.Families {
		if err := d.family(&a.Families[i], len(a.Processes)); err != nil {
			return err
		}
	}
	switch {
	case d.bad:
		return errShortRecord
	case len(d.b) > 0:
		return fmt.Errorf("%d bytes follow its last family", len(d.b))
	}
	return nil
}

// minStoredFamily is the size of a family without a name, bounds, states and series.
const minStoredFamily = 44

func (d *archiveDecoder) family(f *StoredFamily, processes int) (err error) {
	kind := d.take(3)
	s := &metric.Schema{Type: metric.Type(kind[0]), Mode: metric.Mode(kind[1])}
	switch kind[2] {
	case 0:
	case 1:
		s.Native = &metric.NativeSchema{
			Schema: int(int8(d.take(1)[0])), MaxBuckets: int(le.Uint16(d.take(2))), MaxExemplars: int(le.Uint16(d.take(2))),
			ZeroThreshold: math.Float64frombits(d.u64()),
		}
	default:
		return fmt.Errorf("whether a family has native buckets is %d", kind[2])
	}
	if n := d.count(8); n > 0 {
		s.Bounds = make([]float64, n)
	}
	for i := range s.Bounds {
		s.Bounds[i] = math.Float64frombits(d.u64())
	}
	if n := d.count(1); n > 0 {
		s.States = make([]string, n)
	}
	for i := range s.States {
		s.States[i] = d.text()
	}
	s.Name, s.Help, s.Unit = d.text(), d.text(), d.text()
	f.First, f.Newest, f.PythonFile = int64(d.u64()), int64(d.u64()), d.text()
	s.TTL = time.Duration(d.u64())
	timed := d.take(1)[0]
	n := d.count(20)
	if d.bad {
		return errShortRecord
	}
	if s.TTL > lifetime.Max {
		return fmt.Errorf("the TTL of %s is %v", s.Name, s.TTL)
	}
	if timed > 1 {
		return fmt.Errorf("whether series of %s are timed is %d", s.Name, timed)
	}
	if err := s.CheckForm(); err != nil {
		return err
	}
	f.Schema = s
	f.Series, err = d.list(n, timed == 1, s, processes)
	return err
}

func (d *archiveDecoder) labelSet() metric.Labels {
	n := d.count(2)
	if n == 0 {
		return nil
	}
	out := make(metric.Labels, n)
	for i := range out {
		out[i] = metric.Label{Name: d.text(), Value: d.text()}
	}
	return out
}

// ascending reports whether the names are strictly ascending.
func ascending(ls metric.Labels) bool {
	for i := 1; i < len(ls); i++ {
		if ls[i-1].Name >= ls[i].Name {
			return false
		}
	}
	return true
}
