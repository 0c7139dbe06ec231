package mpm

import (
	"os"

	"github.com/edsrzf/mmap-go"
)

// extents are the mappings of one file: 64 KiB, 64 KiB, 128 KiB, 256 KiB, … Each is mapped
// once and never moves, so that pointers into it stay valid. A single large reservation would
// fail under `ulimit -v` and on 32-bit systems.
type extents struct {
	f    *os.File
	prot int
	maps []mmap.MMap
	size uint64 // bytes mapped
}

// cover maps more extents until n bytes are mapped. Bytes after the end of the file must not
// be touched.
func (e *extents) cover(n uint64) error {
	for e.size < n {
		length := max(e.size, BlockSize)
		m, err := mmap.MapRegion(e.f, int(length), e.prot, 0, int64(e.size))
		if err != nil {
			return os.NewSyscallError("mmap", err)
		}
		e.maps = append(e.maps, m)
		e.size += length
	}
	return nil
}

// block returns block n, which must be covered.
func (e *extents) block(n int) []byte {
	off, start := uint64(n)<<blockShift, uint64(0)
	for _, m := range e.maps {
		if off < start+uint64(len(m)) {
			return m[off-start:][:BlockSize:BlockSize]
		}
		start += uint64(len(m))
	}
	panic("mmapstore: block is not mapped")
}

func (e *extents) unmap() error {
	var first error
	for i := range e.maps {
		if err := e.maps[i].Unmap(); err != nil && first == nil {
			first = os.NewSyscallError("munmap", err)
		}
	}
	e.maps, e.size = nil, 0
	return first
}
