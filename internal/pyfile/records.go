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
	strideSimple = 8  // the value alone
)

var native = binary.NativeEndian

// used returns how many bytes of the file are in use, header included; 0 where
// nothing was written yet. The load is atomic, since its writer moves it on
// meanwhile: half of a number would lead into the middle of a record.
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

// recordAt returns the key of the record at off, where its value lies and where
// the next record begins, if values have that stride. end is the end of the
// used part.
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
		return nil, 0, 0, fmt.Errorf("the record ends at %d, behind the used part's end at %d", next, end)
	}
	return b[off+4 : off+4+n], value, next, nil
}

// recordSize returns how many bytes of a record with a key of n bytes stand
// before its value: the key's length, the key, and 1 to 8 spaces.
func recordSize(n int) int { return 4 + n + 8 - (n+4)%8 }

// reach returns how far records of that stride lead, and whether that is
// exactly the end.
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

// strideOf finds the stride by the content of the whole file: the one that leads
// from key to key up to the end, or, in a damaged file, further.
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
