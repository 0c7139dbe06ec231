package mpm

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
)

// The file that becomes the next archive is next to the one in use, under a name of its own.
// No reader opens it, so its content means nothing until it is renamed. It may be torn, or
// just reserved space (Dir.Reserve). It is never a former archive, which a reader may still
// be reading.

// openStaged opens that file and keeps the space that it has. made says that it did not
// exist. Another program's file with that name is not touched; the error matches
// ErrNotTrusted or ErrForeign.
func (d *Dir) openStaged(opts ReadOptions) (f *os.File, made bool, err error) {
	there, only, err := d.stagedThere(opts)
	if err != nil {
		return nil, false, err
	}
	if only {
		if f, err = d.openWritable(StagedName); err == nil || !errors.Is(err, fs.ErrPermission) {
			return f, false, err
		}
		// Another user's, who is trusted: it may be replaced.
	}
	if there {
		if err := d.Remove(StagedName); err != nil {
			return nil, false, err
		}
	}
	f, err = d.create(StagedName, 0o600)
	return f, true, err
}

// stagedThere reports whether there is such a file, and whether it has this name only.
func (d *Dir) stagedThere(opts ReadOptions) (there, only bool, err error) {
	f, err := d.recognized(StagedName, recognizeArchive)
	if errors.Is(err, fs.ErrNotExist) {
		return false, false, nil
	}
	if err == nil {
		defer f.Close()
		var info os.FileInfo
		if info, err = f.Stat(); err == nil {
			only = links(info) == 1
			err = opts.trusts(f, info, d.Join(StagedName))
		}
	}
	if errors.Is(err, ErrNotTrusted) || errors.Is(err, ErrForeign) {
		err = fmt.Errorf("%w; the next archive is written under this name: move away what stands there", err)
	}
	return true, only, err
}

// Reserve reserves n bytes in the directory for the next archive, or as many as possible, and
// frees what is far more than that. The file has no content until StageArchive writes it. The
// caller holds the directory's lock.
func (d *Dir) Reserve(n int64, opts ReadOptions) (err error) {
	f, made, err := d.openStaged(opts)
	if err != nil {
		return fmt.Errorf("mmapstore: %w", fullError(err))
	}
	size, err := d.reserve(f, n)
	err = errors.Join(err, f.Close())
	if made && size == 0 {
		err = errors.Join(err, d.Remove(StagedName))
	}
	if err != nil {
		return fmt.Errorf("mmapstore: %w", err)
	}
	return nil
}

func (d *Dir) reserve(f *os.File, n int64) (size int64, err error) {
	if err := d.shareLikeDir(f); err != nil {
		return 0, err
	}
	info, err := f.Stat()
	if err != nil {
		return 0, err
	}
	switch size = info.Size(); {
	case size > 2*n:
		return n, f.Truncate(n)
	case size >= n:
		return size, nil
	}
	for ; n > size && n >= BlockSize; n /= 2 {
		err = fullError(allocate(f, 0, n))
		if err == nil {
			_, err = f.WriteAt([]byte(archiveMagic), 0) // whose it is
		}
		if !errors.Is(err, ErrFull) {
			return n, err
		}
	}
	return size, nil // there is no more space
}

// RemoveReserve frees the space that Reserve has kept, and what a killed process has left
// under the same name. Another program's file stays.
func (d *Dir) RemoveReserve(opts ReadOptions) error {
	there, _, err := d.stagedThere(opts)
	if !there || errors.Is(err, ErrNotTrusted) || errors.Is(err, ErrForeign) {
		return nil
	}
	if err == nil {
		err = d.Remove(StagedName)
	}
	if err != nil {
		return fmt.Errorf("mmapstore: %w", err)
	}
	return nil
}

// Trim frees the unused ends of the blocks in a dead process's file, which nobody reads, and
// returns the number of bytes. It does not change the file of a process that may be alive,
// or a file with a structure that this version does not write. If the system cannot do it,
// the error is errors.ErrUnsupported.
func (d *Dir) Trim(name string, opts ReadOptions) (freed int64, err error) {
	f, err := d.openWritable(name)
	if err != nil {
		return 0, err
	}
	defer f.Close()
	r, err := open(f, d.Join(name), opts)
	if err != nil {
		return 0, err
	}
	defer r.Close()
	if held, err := r.Locked(); err != nil || held {
		return 0, err
	}
	err = Guard(name, func() error {
		if err := r.takeBlocks(); err != nil {
			return err
		}
		for i, b := range r.blocks {
			n, err := trimBlock(f, i, b)
			if err != nil {
				return err
			}
			freed += n
		}
		return nil
	})
	return freed, err
}

// trimBlock frees the whole pages after the used part of block i.
func trimBlock(f *os.File, i int, b []byte) (freed int64, err error) {
	header, start := blockStart(i)
	kind, used := le.Uint32(b[header+offBlockKind:]), loadWord(b, header+offBlockUsed)
	if kind != blockMeta && kind != blockCells || used < start || used > BlockSize {
		return 0, nil
	}
	const page = 4096
	begin := (int64(used) + page - 1) &^ (page - 1)
	if begin == BlockSize {
		return 0, nil
	}
	return BlockSize - begin, punch(f, int64(i)<<blockShift+begin, BlockSize-begin)
}
