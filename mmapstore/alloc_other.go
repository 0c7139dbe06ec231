//go:build !linux

package mmapstore

import "os"

// allocate reserves n zero bytes of disk at off: without fallocate(2), by
// writing them.
func allocate(f *os.File, off, n int64) error { return writeZeros(f, off, n) }

// populate does nothing: pages are mapped as they are touched.
func populate([]byte) {}
