//go:build !linux

package mmapstore

import "os"

func openForWriting(*os.File) (bool, error) { return false, ErrNoLease }
