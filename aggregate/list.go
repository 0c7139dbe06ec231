package aggregate

import (
	"errors"
	"fmt"
	"io/fs"
	"slices"

	"github.com/multiprom/multiprom/mmapstore"
)

// list brings the list of files and the archive up to date with each other, so
// that each process is counted once: in its file or in the archive. A folder may
// be at work all the while: it renames the new archive first and unlinks the
// files that are in it afterwards (docs/lifecycle.md, "Reading").
func (a *Aggregator) list() error {
	d, err := mmapstore.OpenDir(a.dir)
	if err != nil {
		return err
	}
	defer d.Close()
	opts, err := readOptions(d, a.opts.TrustUIDs, a.opts.MaxFileBytes)
	if err != nil {
		return err
	}
	before, damage := d.ArchiveVersion(opts)
	listed, err := a.open(d, opts)
	if err != nil {
		closeOthers(listed, a.files)
		return err
	}
	files, arc := listed, a.archive
	if damage == nil {
		files, arc, damage, err = settle(d, opts, files, arc, before)
	}
	if err == nil && damage != nil {
		err = a.canDoWithout(files, damage)
		files = unfolded(files, arc)
	}
	if err != nil {
		closeOthers(listed, a.files)
		return err
	}
	for _, f := range closeOthers(a.files, files) {
		a.table.forget(f)
	}
	closeOthers(listed, files)
	a.files, a.archive, a.damage = files, arc, damage
	return nil
}

// closeOthers closes the files that are not among those to keep, and returns
// them.
func closeOthers(files, keep []*file) (closed []*file) {
	kept := make(map[*file]bool, len(keep))
	for _, f := range keep {
		kept[f] = true
	}
	for _, f := range files {
		if !kept[f] {
			f.close()
			closed = append(closed, f)
		}
	}
	return closed
}

func readOptions(d *mmapstore.Dir, trust []int, maxBytes int64) (mmapstore.ReadOptions, error) {
	trusted, err := d.Trust(trust)
	return mmapstore.ReadOptions{Trusted: trusted, MaxBytes: maxBytes}, err
}

// open lists the directory and opens what is not open yet. Beside an error it
// returns what it opened before.
func (a *Aggregator) open(d *mmapstore.Dir, opts mmapstore.ReadOptions) ([]*file, error) {
	entries, err := d.Entries()
	if err != nil {
		return nil, err
	}
	known := make(map[string]*file, len(a.files))
	for _, f := range a.files {
		known[f.name] = f
	}
	files := make([]*file, 0, len(entries))
	for _, e := range entries {
		f, err := known[e.Name], error(nil)
		switch {
		case isPython(e):
			f, err = openPython(d, e, f, opts)
		case e.Kind != mmapstore.KindNative:
			continue
		case f == nil || !f.known:
			// A file that could not be read is tried again: it may have been mended.
			f, err = openFile(d, e.Name, opts)
		}
		if errors.Is(err, fs.ErrNotExist) {
			continue // vanished since it was listed
		}
		if err != nil {
			return files, err
		}
		files = append(files, f)
	}
	return files, nil
}

// settle reads the archive, and leaves out the files of the processes in it.
// Where the archive changed since before the listing, a file that has vanished
// meanwhile may be in a newer one still.
func settle(d *mmapstore.Dir, opts mmapstore.ReadOptions, files []*file, arc *archived, before mmapstore.ArchiveVersion) (_ []*file, _ *archived, damage, err error) {
	for {
		arc, damage = loadArchive(d, opts, arc)
		if damage != nil {
			return files, arc, damage, nil
		}
		files = unfolded(files, arc)
		if arc.ArchiveVersion == before {
			return files, arc, nil, nil
		}
		rest, err := present(d, files)
		if err != nil || len(rest) == len(files) {
			return files, arc, nil, err
		}
		files = rest
	}
}

// unfolded returns the files whose processes are not in the archive.
func unfolded(files []*file, arc *archived) []*file {
	return slices.DeleteFunc(slices.Clone(files), func(f *file) bool {
		return f.known && f.python == nil && arc.HasConsumed(f.header.Incarnation)
	})
}

// loadArchive reads the archive unless old is it.
func loadArchive(d *mmapstore.Dir, opts mmapstore.ReadOptions, old *archived) (*archived, error) {
	version, err := d.ArchiveVersion(opts)
	if err != nil || version == old.ArchiveVersion {
		return old, err
	}
	a, err := d.ReadArchive(opts)
	if err != nil {
		return old, err
	}
	arc, err := newArchived(a)
	if err != nil {
		return old, err
	}
	return arc, nil
}

// present returns the files that still have their names.
func present(d *mmapstore.Dir, files []*file) (out []*file, err error) {
	for _, f := range files {
		there, err := d.Exists(f.name)
		if err != nil {
			return nil, err
		}
		if there {
			out = append(out, f)
		}
	}
	return out, nil
}

// canDoWithout decides whether the last good archive can stand in for one that
// cannot be read: while all files that were there are there, nobody has folded
// since. Otherwise counters would fall, and the scrape has to fail.
func (a *Aggregator) canDoWithout(files []*file, damage error) error {
	err := fmt.Errorf("%w: what dead processes counted is in it; see `mpctl check`, and `mpctl wipe` to begin anew", damage)
	if a.finished == 0 {
		return err
	}
	names := make(map[string]bool, len(files))
	for _, f := range files {
		names[f.name] = true
	}
	for _, f := range a.files {
		if !names[f.name] {
			return err
		}
	}
	return nil
}
