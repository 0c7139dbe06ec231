package mpm

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"sync"
)

// Dir is an open directory of stores. Every operation uses its descriptor, so that a renamed
// or replaced path cannot separate a sequence of operations. It is safe for concurrent use.
type Dir struct {
	path string
	dir
	opened os.FileInfo // identifies the directory

	mu      sync.Mutex
	names   []string // of the last listing, in system order
	entries []Entry  // the entries of names
}

// OpenDir opens a directory.
func OpenDir(path string) (*Dir, error) {
	d, err := openDir(path)
	if err != nil {
		return nil, err
	}
	info, err := d.Stat()
	if err != nil {
		return nil, errors.Join(err, d.close())
	}
	return &Dir{path: path, dir: d, opened: info}, nil
}

// Current reports whether the path still names the directory that was opened.
func (d *Dir) Current() bool {
	info, err := os.Stat(d.path)
	return err == nil && os.SameFile(info, d.opened) // while it is open, no other directory has its inode number
}

// Path returns the path that was passed to OpenDir.
func (d *Dir) Path() string { return d.path }

// Close closes the descriptor.
func (d *Dir) Close() error { return d.close() }

// Join returns the path of a file in the directory.
func (d *Dir) Join(name string) string { return filepath.Join(d.path, name) }

// Entries lists the directory in bytewise order of the names. It opens no file. The result
// must not be changed, because it is the same slice as long as the names are the same.
func (d *Dir) Entries() ([]Entry, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	names, err := d.list()
	if err != nil {
		return nil, err
	}
	if d.entries != nil && slices.Equal(names, d.names) {
		return d.entries, nil
	}
	d.names = slices.Clone(names)
	slices.Sort(names)
	d.entries = make([]Entry, len(names))
	for i, n := range names {
		d.entries[i] = classify(n)
	}
	return d.entries, nil
}

// Open opens a file of the directory for reading. The error matches
// ErrForeign, ErrUnsupported, ErrCorrupt, ErrNotTrusted, ErrTooBig or one of
// package fs.
func (d *Dir) Open(name string, opts ReadOptions) (*Reader, error) {
	f, err := d.openRegular(name)
	if err != nil {
		return nil, err
	}
	r, err := open(f, d.Join(name), opts)
	if err != nil {
		f.Close()
		return nil, err
	}
	return r, nil
}

// OpenFile opens a file of another format in the directory for reading, if it is a regular
// file that the options accept. The error is one of Open's.
func (d *Dir) OpenFile(name string, opts ReadOptions) (f *os.File, size int64, err error) {
	if f, err = d.openRegular(name); err != nil {
		return nil, 0, err
	}
	if size, err = checkFile(f, d.Join(name), opts); err != nil {
		f.Close()
		return nil, 0, err
	}
	return f, size, nil
}

// Locked reports whether any process holds the system's liveness lock on a file, whatever
// its content. ErrNotTrusted: it is not a regular file.
func (d *Dir) Locked(name string) (bool, error) {
	f, err := d.openRegular(name)
	if err != nil {
		return false, err
	}
	defer f.Close()
	if info, err := f.Stat(); err != nil || !info.Mode().IsRegular() {
		return false, errors.Join(err, ErrNotTrusted)
	}
	return lockHeld(f, systemLiveness)
}

// Exists reports whether the directory has a file of that name.
func (d *Dir) Exists(name string) (bool, error) {
	_, err := d.lstat(name)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	return err == nil, err
}
