//go:build !linux

package mpm

import (
	"errors"
	"os"
)

// allocate reserves n zero bytes of disk at off by writing them, since there is no
// fallocate(2).
func allocate(f *os.File, off, n int64) error { return writeZeros(f, off, n) }

// punch is supported on Linux only.
func punch(*os.File, int64, int64) error { return errors.ErrUnsupported }

// populate does nothing: pages are mapped as they are touched.
func populate([]byte) {}

// allocatedBytes returns -1: it is not known.
func allocatedBytes(os.FileInfo) int64 { return -1 }
