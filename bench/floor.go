package main

import (
	"math"
	"os"
	"path/filepath"
	"sync/atomic"
	"unsafe"

	"github.com/edsrzf/mmap-go"
)

// mappedWords returns n words of a file in dir, mapped as a worker maps its
// own: what an update costs there at least is the floor.
func mappedWords(dir string, n int) []uint64 {
	f := must(os.Create(filepath.Join(dir, "floor")))
	check(f.Truncate(int64(8 * n)))
	m := must(mmap.MapRegion(f, 8*n, mmap.RDWR, 0, 0))
	check(f.Close()) // the mapping stays
	return unsafe.Slice((*uint64)(unsafe.Pointer(unsafe.SliceData(m))), n)
}

// casAdd is the least that adding a float can be.
func casAdd(p *uint64, v float64) {
	for {
		old := atomic.LoadUint64(p)
		if atomic.CompareAndSwapUint64(p, old, math.Float64bits(math.Float64frombits(old)+v)) {
			return
		}
	}
}
