//go:build !linux

package mpm

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"time"
)

// dir is a directory. os.Root keeps every name inside it.
type dir struct{ root *os.Root }

func openDir(path string) (dir, error) {
	root, err := os.OpenRoot(path)
	return dir{root}, err
}

func (d *dir) close() error { return d.root.Close() }

func (d *dir) join(name string) string { return filepath.Join(d.root.Name(), name) }

// Stat returns the file info of the directory.
func (d *dir) Stat() (os.FileInfo, error) { return d.root.Stat(".") }

// owner returns the owner of the directory.
func (d *dir) owner(info os.FileInfo) int { return ownerUID(nil, info) }

func (d *dir) list() ([]string, error) {
	f, err := d.root.Open(".")
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return f.Readdirnames(-1)
}

func (d *dir) create(name string, mode os.FileMode) (*os.File, error) {
	return d.root.OpenFile(name, os.O_RDWR|os.O_CREATE|os.O_EXCL, mode)
}

func (d *dir) open(name string) (*os.File, error) { return d.root.Open(name) }

func (d *dir) lstat(name string) (os.FileInfo, error) { return d.root.Lstat(name) }

// has reports whether that name belongs to f.
func (d *dir) has(name string, f *os.File) (bool, error) {
	info, err := d.lstat(name)
	if err != nil {
		return false, err
	}
	opened, err := f.Stat()
	return err == nil && os.SameFile(info, opened), err
}

// Allocated returns the space that a file takes on the filesystem: at least its size.
func (d *dir) Allocated(name string) (int64, error) {
	info, err := d.lstat(name)
	if err != nil {
		return 0, err
	}
	return info.Size(), nil
}

func (d *dir) openRegular(name string) (*os.File, error) { return d.openRegularAs(name, os.O_RDONLY) }

// openWritable is openRegular for reading and writing.
func (d *dir) openWritable(name string) (*os.File, error) { return d.openRegularAs(name, os.O_RDWR) }

func (d *dir) openRegularAs(name string, flags int) (*os.File, error) {
	info, err := d.lstat(name)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("%w: %s is not a regular file", ErrNotTrusted, d.join(name))
	}
	return d.root.OpenFile(name, flags, 0)
}

// rename gives a file its final name. A name with 128 random bits is not taken. Windows does
// not rename an open file, so there a link creates the name.
func (d *dir) rename(from, to string) error {
	if runtime.GOOS == "windows" {
		return d.root.Link(from, to)
	}
	return d.root.Rename(from, to)
}

// replace renames over an existing file.
func (d *dir) replace(from, to string) error { return d.root.Rename(from, to) }

func (d *dir) remove(name string) error { return d.root.Remove(name) }

// sync makes renames durable; Windows does so by itself.
func (d *dir) sync() error {
	f, err := d.root.Open(".")
	if err != nil || runtime.GOOS == "windows" {
		return err
	}
	defer f.Close()
	return f.Sync()
}

func (d *dir) inMemory() bool { return false }

// Touch sets a file's time to now if it is older than an hour. Stores to mapped pages do not
// change it, and cleaners rely on it.
func (d *dir) Touch(name string, now time.Time) error {
	info, err := d.lstat(name)
	if err != nil || now.Sub(info.ModTime()) < time.Hour {
		return err
	}
	return d.root.Chtimes(name, now, now)
}
