package mpm

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"unsafe"
)

// Create makes this process's file in dir and returns its store. The file
// appears under its final name locked and with a complete header
// (docs/format.md, "A file appears complete").
//
// It wraps the system's errors: fs.ErrNotExist for a missing dir, fs.ErrPermission, and
// ErrFull if there is no space.
func Create(dir string, opts Options) (*Store, error) {
	opts, err := opts.withDefaults()
	if err != nil {
		return nil, fmt.Errorf("mmapstore: create file in %s: %w", dir, err)
	}
	if !littleEndian {
		return nil, fmt.Errorf("mmapstore: mapped files need a little-endian machine: %w", errors.ErrUnsupported)
	}
	d, err := OpenDir(dir)
	if err != nil {
		return nil, fmt.Errorf("mmapstore: open directory: %w", err)
	}
	defer d.Close()
	// If the temporary name is taken or swept, try again with a new incarnation. More than a
	// few failures mean that something else is wrong.
	for range 8 {
		s, err := create(d, opts)
		if err == nil {
			return s, nil
		}
		if !errors.Is(err, fs.ErrExist) && !errors.Is(err, errSwept) && !errors.Is(err, ErrLocked) {
			return nil, fmt.Errorf("mmapstore: create file in %s: %w", dir, err)
		}
	}
	return nil, fmt.Errorf("mmapstore: create file in %s: temporary files vanish as soon as they are made", dir)
}

// errSwept: a sweeper took the temporary file before it was locked or renamed.
var errSwept = errors.New("temporary file was swept")

func create(d *Dir, opts Options) (_ *Store, err error) {
	h := opts.header()
	f, err := d.create(h.tempName(), 0o600)
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			d.remove(h.tempName())
			f.Close()
		}
	}()
	unlocked := lockFile(f)
	if unlocked != nil && !errors.Is(unlocked, errNoLocks) {
		return nil, unlocked
	}
	if err := setMode(f, opts.Mode); err != nil {
		return nil, err
	}
	b := newFileBacking(f, d.Join(h.FileName()), opts.MaxBytes)
	s := &Store{backing: b, path: b.path, opts: opts}
	first, err := b.extend()
	if err != nil {
		return nil, err
	}
	if unlocked == nil {
		h.Liveness, err = probeOwnLock(f, func() (*os.File, error) { return d.open(h.tempName()) })
		if err != nil {
			return nil, sweptIfMissing(err)
		}
	}
	s.format(h, first)
	if err := seesStores(d, h.tempName(), first[:headerSize]); err != nil {
		return nil, err
	}
	if err := d.rename(h.tempName(), h.FileName()); err != nil {
		return nil, sweptIfMissing(err)
	}
	pin(f)
	s.watchLink(f, h.Created)
	return s, nil
}

// errNoLocks: the system has no liveness lock. The header then says that there is none.
var errNoLocks = errors.New("no lock that tells whether a process lives")

// seesStores checks that a process that opens the file by its name sees what was stored
// through the mapping. On some filesystems it does not.
func seesStores(d *Dir, name string, want []byte) error {
	f, err := d.open(name)
	if err != nil {
		return sweptIfMissing(err)
	}
	defer f.Close()
	got, err := readAll(f, int64(len(want)))
	if err != nil {
		return err
	}
	if !bytes.Equal(got, want) {
		return fmt.Errorf("%w: %s", ErrNotShared, d.Join(name))
	}
	return nil
}

func sweptIfMissing(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("%w: %w", errSwept, err)
	}
	return err
}

// NewHeap returns a store without a file, for a process without a directory. It panics if
// the options are invalid, because they are constants of the program.
func NewHeap(opts Options) *Store {
	opts, err := opts.withDefaults()
	if err != nil {
		panic(fmt.Errorf("mmapstore: %w", err))
	}
	b := &heapBacking{max: int(opts.MaxBytes >> blockShift)}
	s := &Store{backing: b, opts: opts}
	first, _ := b.extend()
	s.format(opts.header(), first)
	return s
}

var littleEndian = func() bool {
	one := uint16(1)
	return *(*byte)(unsafe.Pointer(&one)) == 1
}()
