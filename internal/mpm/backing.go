package mpm

import (
	"errors"
	"fmt"
	"os"
	"sync"
	"unsafe"

	"github.com/edsrzf/mmap-go"
)

// backing gives a store its blocks: zeroed, 8-aligned, never moving.
type backing interface {
	// extend returns the next block. ErrFull: there is no space now.
	extend() ([]byte, error)
}

// heapBacking is for processes without a directory, and for the race detector.
type heapBacking struct{ blocks, max int }

func (h *heapBacking) extend() ([]byte, error) {
	if h.blocks == h.max {
		return nil, ErrFull
	}
	h.blocks++
	return wordBytes(make([]uint64, BlockSize/8)), nil
}

// fileBacking grows a file. It allocates each block before touching it, so that a full disk
// is an error here and not a SIGBUS later.
type fileBacking struct {
	ext  extents
	n    int // blocks allocated
	max  int
	path string
}

func newFileBacking(f *os.File, path string, maxBytes int64) *fileBacking {
	return &fileBacking{ext: extents{f: f, prot: mmap.RDWR}, max: int(maxBytes >> blockShift), path: path}
}

func (b *fileBacking) extend() ([]byte, error) {
	if b.n == b.max {
		return nil, fmt.Errorf("%w: %s has reached its limit of %d bytes", ErrFull, b.path, b.max<<blockShift)
	}
	off := int64(b.n) << blockShift
	if err := allocate(b.ext.f, off, BlockSize); err != nil {
		// ext4 keeps the blocks of a failed allocation: free them.
		if terr := b.ext.f.Truncate(off); terr != nil {
			err = errors.Join(err, terr)
		}
		return nil, fmt.Errorf("%w: %s: %w", ErrFull, b.path, err)
	}
	if err := b.ext.cover(uint64(b.n+1) << blockShift); err != nil {
		return nil, fmt.Errorf("%w: %s: %w", ErrFull, b.path, err)
	}
	block := b.ext.block(b.n)
	if b.n >= smallFile {
		populate(block)
	}
	b.n++
	return block, nil
}

// smallFile is the number of blocks that suffice for a small process. Their pages are not
// touched in advance, since many stay empty. A process that fills them will fill more.
const smallFile = 2

// pinned keeps the descriptors of all mapped stores reachable until the process ends. The
// garbage collector closes an unreferenced *os.File, and that would release the lock that
// says that this process is alive.
var pinned struct {
	sync.Mutex
	files []*os.File
}

func pin(f *os.File) {
	pinned.Lock()
	defer pinned.Unlock()
	pinned.files = append(pinned.files, f)
}

// writeZeros allocates by writing.
func writeZeros(f *os.File, off, n int64) error {
	zeros := make([]byte, 64<<10)
	for n > 0 {
		w, err := f.WriteAt(zeros[:min(n, int64(len(zeros)))], off)
		if err != nil {
			return err
		}
		off, n = off+int64(w), n-int64(w)
	}
	return nil
}

// wordBytes returns the bytes of w. They are aligned to 8.
func wordBytes(w []uint64) []byte {
	return unsafe.Slice((*byte)(unsafe.Pointer(unsafe.SliceData(w))), 8*len(w))
}
