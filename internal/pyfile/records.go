package pyfile

import (
	"encoding/binary"
	"fmt"
	"sync/atomic"
	"unsafe"
)

const (
	headerSize   = 8
	strideTimed  = 16 // value and time, since client_python 0.18
	strideSimple = 8  // value only
)

var native = binary.NativeEndian

// used returns the number of bytes in use, including the header, or 0 if nothing has been
// written. The load is atomic because the writer changes the number meanwhile: half of a
// number would lead into the middle of a record.
func used(b []byte) int {
	if len(b) < headerSize {
		return 0
	}
	n := int(int32(atomic.LoadUint32((*uint32)(unsafe.Pointer(&b[0])))))
	if n < headerSize {
		return 0
	}
	return n
}

// recordAt returns the key of the record at off, the offset of its value and the offset of
// the next record, if values have that stride. end is the end of the used part.
func recordAt(b []byte, off, end, stride int) (k []byte, value, next int, err error) {
	if end-off < 4 {
		return nil, 0, 0, fmt.Errorf("a record begins %d bytes before the end", end-off)
	}
	n := int(int32(native.Uint32(b[off:])))
	if n <= 0 || n > end-off-4 {
		return nil, 0, 0, fmt.Errorf("a key of %d bytes, %d are left", n, end-off-4)
	}
	value = off + recordSize(n)
	next = value + stride
	if next > end {
		return nil, 0, 0, fmt.Errorf("the record ends at %d, after the end of the used part at %d", next, end)
	}
	return b[off+4 : off+4+n], value, next, nil
}

// recordSize returns the number of bytes before the value in a record with a key of n
// bytes: the key's length, the key, and 1 to 8 spaces.
func recordSize(n int) int { return 4 + n + 8 - (n+4)%8 }

// reach returns how far records of that stride lead, and whether they lead exactly to the
// end.
func reach(b []byte, end, stride int) (off int, whole bool) {
	for off = headerSize; off < end; {
		k, _, next, err := recordAt(b, off, end, stride)
		if err != nil || k[0] != '[' {
			return off, false
		}
		off = next
	}
	return off, true
}

// strideOf finds the stride from the content of the whole file: the one that leads from key
// to key up to the end or, in a damaged file, further than the other.
func strideOf(b []byte, end int) int {
	timed, whole := reach(b, end, strideTimed)
	if whole {
		return strideTimed
	}
	if simple, whole := reach(b, end, strideSimple); whole || simple > timed {
		return strideSimple
	}
	return strideTimed
}
