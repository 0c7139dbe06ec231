package mpm

import (
	"fmt"
	"os"
	"syscall"
)

// DirWarning is a problem with a directory that an operator should know. Everything works
// nevertheless.
type DirWarning struct {
	Kind DirWarningKind
	Text string // a sentence with the path, and what to do
}

// DirWarningKind is the kind of a warning.
type DirWarningKind uint8

const (
	WarnWritable DirWarningKind = iota + 1 // everyone may write there
	WarnNoLocks                            // locks do not tell who has died
	WarnDisk                               // it is not in memory
)

// CheckDir returns warnings about a directory, the worst first. It does not check what the
// system does not tell: the kind of the filesystem outside of Linux, and who may write on
// Windows. The error is one of package fs.
func CheckDir(path string) ([]DirWarning, error) {
	info, err := os.Stat(path) // before opening: opening a FIFO would block
	if err != nil {
		return nil, err
	}
	if !info.IsDir() {
		return nil, &os.PathError{Op: "check", Path: path, Err: syscall.ENOTDIR}
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return dirWarnings(path, permissions(info), filesystemOf(f)), nil
}

// filesystem describes the filesystem of a directory.
type filesystem struct {
	name   string
	memory bool // nothing is written to a disk
	locks  bool // every process that shares it sees them
}

func dirWarnings(path string, mode os.FileMode, fs filesystem) (warnings []DirWarning) {
	warn := func(kind DirWarningKind, format string, args ...any) {
		warnings = append(warnings, DirWarning{kind, path + " " + fmt.Sprintf(format, args...)})
	}
	switch writable, sticky := mode.Perm()&0o002 != 0, mode&os.ModeSticky != 0; {
	case writable && sticky:
		warn(WarnWritable, "is writable by everybody (mode %s): files of users who are not trusted are left out, but they fill it and cost time; "+
			"use a directory below it of mode 0700, or 2770 with a group", octal(mode))
	case writable:
		// fsGroup gives an emptyDir a group, and leaves it writable for everyone.
		warn(WarnWritable, "is writable by everybody (mode %s): anybody can delete and replace the metrics files; "+
			"chmod 0770 it (Kubernetes' emptyDir is 0777: set fsGroup and chmod it in an init container, or use a directory below it)", octal(mode))
	}
	if !fs.locks {
		warn(WarnNoLocks, "is on %s, whose locks are not trusted: a process counts as alive until `mpctl mark-dead`; use a tmpfs", fs.name)
	}
	if !fs.memory {
		warn(WarnDisk, "is on %s, not on a tmpfs: updates cause disk writes and can wait for them; "+
			"use a directory in /dev/shm or /run, in Kubernetes an emptyDir with medium: Memory", fs.name)
	}
	return warnings
}

// octal returns permissions as chmod takes them.
func octal(mode os.FileMode) string {
	bits := uint32(mode.Perm())
	for _, b := range []struct {
		mode os.FileMode
		bit  uint32
	}{{os.ModeSetuid, 0o4000}, {os.ModeSetgid, 0o2000}, {os.ModeSticky, 0o1000}} {
		if mode&b.mode != 0 {
			bits |= b.bit
		}
	}
	return fmt.Sprintf("%04o", bits)
}
