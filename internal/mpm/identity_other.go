//go:build !linux

package mpm

import "os"

// CurrentIdentity returns the pid. The rest is known on Linux only.
func CurrentIdentity() Identity { return Identity{PID: os.Getpid()} }

func currentBootID() (id [16]byte) { return id }

// bootTime is known on Linux only.
func bootTime() (nanos int64, ok bool) { return 0, false }
