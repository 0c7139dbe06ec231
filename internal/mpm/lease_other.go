//go:build !linux

package mpm

import "os"

func openForWriting(*os.File) (bool, error) { return false, ErrNoLease }
