package main

import (
	"bytes"
	"io"
	"math"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"sync/atomic"
	"unsafe"

	"github.com/edsrzf/mmap-go"
	"github.com/klauspost/compress/gzip"
)

// mappedWords returns n words of a file in dir, mapped as a worker maps its file. The
// least that an update can cost there is the floor.
func mappedWords(dir string, n int) []uint64 {
	f := must(os.Create(filepath.Join(dir, "floor")))
	check(f.Truncate(int64(8 * n)))
	m := must(mmap.MapRegion(f, 8*n, mmap.RDWR, 0, 0))
	check(f.Close()) // the mapping stays
	return unsafe.Slice((*uint64)(unsafe.Pointer(unsafe.SliceData(m))), n)
}

// casAdd is the least work for adding a float.
func casAdd(p *uint64, v float64) {
	for {
		old := atomic.LoadUint64(p)
		if atomic.CompareAndSwapUint64(p, old, math.Float64bits(math.Float64frombits(old)+v)) {
			return
		}
	}
}

// lines are an exposition's lines without values, and the values. Writing them is the work
// that is left if everything else is known.
type lines struct {
	text   []byte // before the values, one after the other
	ends   []int32
	values []float64
	buf    []byte
}

func cutLines(exposed []byte) *lines {
	l := &lines{}
	for line := range bytes.Lines(exposed) {
		value := 0
		if line[0] != '#' {
			value = bytes.LastIndexByte(line, ' ') + 1
			l.values = append(l.values, must(strconv.ParseFloat(string(line[value:len(line)-1]), 64)))
			l.text = append(l.text, line[:value]...)
			l.ends = append(l.ends, int32(len(l.text)))
		} else {
			l.text = append(l.text, line...) // goes with the next line's prefix
		}
	}
	return l
}

func (l *lines) count() int { return len(l.ends) }

// write writes the exposition.
func (l *lines) write() {
	buf, from := l.buf[:0], int32(0)
	for i, to := range l.ends {
		buf = append(buf, l.text[from:to]...)
		buf = strconv.AppendFloat(buf, l.values[i], 'g', -1, 64)
		buf = append(buf, '\n')
		from = to
	}
	l.buf = buf
}

// gzip compresses the exposition at the level that multiprom uses.
func (l *lines) gzip() side {
	l.write()
	z := must(gzip.NewWriterLevel(io.Discard, gzip.BestSpeed))
	return loop("gzip -1 of the text", func(n int) {
		for range n {
			z.Reset(io.Discard)
			must(z.Write(l.buf))
			check(z.Close())
		}
	})
}

// addWords is the least work for merging.
func addWords(words []uint64, n int) {
	total := uint64(0)
	for range n {
		for _, w := range words {
			total += w
		}
	}
	runtime.KeepAlive(total) // so that the compiler does not drop it
}

// copyFiles opens and reads all files of a directory into memory.
func copyFiles(dir string) side {
	paths := must(filepath.Glob(filepath.Join(dir, "*")))
	buf := make([]byte, 1<<20)
	return loop("open, copy, close", func(n int) {
		for range n {
			for _, path := range paths {
				f := must(os.Open(path))
				for {
					if _, err := f.Read(buf); err == io.EOF {
						break
					} else {
						check(err)
					}
				}
				check(f.Close())
			}
		}
	})
}
