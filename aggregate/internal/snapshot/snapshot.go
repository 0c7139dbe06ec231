package snapshot

import (
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"time"

	"github.com/multiprom/multiprom/internal/mpm"
	"github.com/multiprom/multiprom/internal/pyfile"
)

// Snapshot is a directory as one consistent set of open files and an archive, kept from
// one scrape to the next. It is not safe for concurrent use.
type Snapshot struct {
	dir      string // empty for one store
	trust    []int
	maxBytes int64

	Files    []*File   // by name
	Archive  *Archive  // never nil
	Listed   time.Time // right before the directory was listed, by the system's clock
	Began    int64     // before that, by the reader's clock, in nanoseconds since 1970
	Ended    int64     // when the values had been read, likewise
	Damage   error     // why the archive cannot be read; Archive is then the last good one
	Restored []string  // files that are back although their values are in the archive
	Stray    error     // why a file with the archive's name was left out, if no archive is known

	opened   *mpm.Dir
	read     mpm.ReadOptions
	asListed []mpm.Entry      // the listing that Files and Archive come from; nil if the next one must look again
	Symbols  *mpm.SymbolTable // of all files' series
	Keys     *pyfile.Keys     // of client_python's files
	buf      buffers
}

// New returns a snapshot of dir, which is not read yet. trust and maxBytes are TrustUIDs
// and MaxFileBytes of aggregate.Options.
func New(dir string, trust []int, maxBytes int64, symbols *mpm.SymbolTable) *Snapshot {
	return &Snapshot{
		dir: dir, trust: trust, maxBytes: maxBytes, Symbols: symbols,
		Archive: &Archive{Archive: &mpm.Archive{}}, Keys: &pyfile.Keys{},
	}
}

// Watch has files of client_python say which of their records have changed (File.Moved).
func (s *Snapshot) Watch() { s.buf.watch = true }

// AddStore adds a store of this process to a snapshot without a directory.
func (s *Snapshot) AddStore(store *mpm.Store) *File {
	h := store.Header()
	f := newFile(h.FileName(), store.Reader(s.Symbols), &s.buf)
	s.Files = append(s.Files, f)
	return f
}

// Close releases mappings and descriptors.
func (s *Snapshot) Close() error {
	var errs []error
	if s.opened != nil {
		errs = append(errs, s.opened.Close())
		s.opened = nil
	}
	for _, f := range s.Files {
		errs = append(errs, f.Close())
	}
	s.Files = nil
	return errors.Join(errs...)
}

// Changes are what a list has found.
type Changes struct {
	Gone    []*File // no longer part of the snapshot
	Rekeyed bool    // the records of client_python's files have other keys
}

// List brings the list of files and the archive up to date with each other, so that each
// process is counted once: in its file or in the archive. A compactor may be at work at the
// same time. It renames the new archive first, and then unlinks the files that are in it
// (docs/lifecycle.md, "Reading").
//
// first says that no scrape has ended well yet. The changes hold even if there is an error.
// List reads no values of a living process: File.Read does that.
func (s *Snapshot) List(first bool) (c Changes, err error) {
	s.Listed = time.Now()
	if s.dir == "" {
		return c, nil
	}
	d, err := s.openDir()
	if err != nil {
		return c, err
	}
	if s.isAsListed(d) {
		return c, nil
	}
	s.asListed = nil
	opts, err := ReadOptions(d, s.trust, s.maxBytes)
	if err != nil {
		return c, err
	}
	opts.Symbols = s.Symbols
	c.Rekeyed = s.dropKeys(d)
	o := newOpener(d, opts, s.Files, s.Keys, &s.buf)
	files, arc, damage, err := s.look(o, first)
	stray := o.stray
	if err == nil && damage != nil {
		err = s.canDoWithout(files, damage, first)
		files = uncompacted(files, arc)
	}
	if err != nil {
		closeOthers(o.opened, s.Files)
		return c, err
	}
	c.Gone = closeOthers(s.Files, files)
	closeOthers(o.opened, files)
	s.Files, s.Archive, s.Damage, s.Stray = files, arc, damage, stray
	s.read, s.Restored = opts, o.restored(arc)
	if damage == nil && stray == nil && !slices.ContainsFunc(files, func(f *File) bool { return !f.Known || f.Python != nil }) {
		s.asListed = o.listed
	}
	return c, nil
}

// openDir returns the directory that the path names now. It stays open between scrapes.
func (s *Snapshot) openDir() (*mpm.Dir, error) {
	if s.opened != nil && s.opened.Current() {
		return s.opened, nil
	}
	d, err := mpm.OpenDir(s.dir)
	if err != nil {
		return nil, err
	}
	if s.opened != nil {
		s.opened.Close()
	}
	s.opened, s.asListed = d, nil
	return d, nil
}

// isAsListed reports whether looking again would find the same: the names are the same, and
// the archive is, which is read after the names. It was not exchanged and put back
// meanwhile, because no version comes twice.
func (s *Snapshot) isAsListed(d *mpm.Dir) bool {
	if s.asListed == nil {
		return false
	}
	entries, err := d.Entries()
	if err != nil || len(entries) != len(s.asListed) || len(entries) > 0 && &entries[0] != &s.asListed[0] { // see Dir.Entries
		return false
	}
	v, err := d.ArchiveVersion(s.read)
	return err == nil && v == s.Archive.ArchiveVersion
}

// maxLooks bounds how often the directory is listed again because it has changed.
const maxLooks = 16

// look lists the directory, opens its files and reads the archive that belongs to them.
// damage says why the archive cannot be read; arc is then the old one.
func (s *Snapshot) look(o *opener, first bool) (files []*File, arc *Archive, damage, err error) {
	arc = s.Archive
	for range maxLooks {
		before, bad := o.archiveVersion(arc)
		if files, err = o.files(first); err != nil || bad != nil {
			return files, arc, bad, err
		}
		listed := files
		files, arc, damage, err = o.settle(files, arc, before)
		// Files of client_python have no incarnation before they are set aside. Only a
		// new list says what has become of one.
		if err != nil || damage != nil || arc.ArchiveVersion == before || !slices.ContainsFunc(listed, isPythonFile) {
			return files, arc, damage, err
		}
	}
	return nil, nil, nil, errors.New("the directory is compacted faster than it can be read")
}

// closeOthers closes those of the files that are not to be kept, and returns them.
func closeOthers(files, keep []*File) (closed []*File) {
	kept := make(map[*File]bool, len(keep))
	for _, f := range keep {
		kept[f] = true
	}
	for _, f := range files {
		if !kept[f] {
			f.Close()
			closed = append(closed, f)
		}
	}
	return closed
}

// OpenFile opens a file without a snapshot, for a caller that reads it once or twice.
func OpenFile(d *mpm.Dir, name string, opts mpm.ReadOptions) (*File, error) {
	return openFile(d, name, opts, &buffers{})
}

// OpenPython is OpenFile for a file of client_python. Files with the same keys share what
// the keys say.
func OpenPython(d *mpm.Dir, name string, opts mpm.ReadOptions, keys *pyfile.Keys) (*File, error) {
	return newOpener(d, opts, nil, keys, &buffers{}).openPython(mpm.Entry{Name: name})
}

// opener opens the files of a directory that are not open yet.
type opener struct {
	dir    *mpm.Dir
	opts   mpm.ReadOptions
	keys   *pyfile.Keys // of client_python's files
	buf    *buffers
	known  map[string]*File   // by name
	python map[string][]*File // of client_python, by the names that its processes know
	opened []*File            // all that it has opened
	listed []mpm.Entry        // what the directory had when its native files were opened
	stray  error              // why a file with the archive's name is none
	mapped int                // how many of client_python's files it has looked at
}

func newOpener(d *mpm.Dir, opts mpm.ReadOptions, open []*File, keys *pyfile.Keys, buf *buffers) *opener {
	o := &opener{dir: d, opts: opts, keys: keys, buf: buf, known: make(map[string]*File, len(open)), python: map[string][]*File{}}
	for _, f := range open {
		o.learn(f)
	}
	return o
}

func (o *opener) learn(f *File) {
	o.known[f.Name] = f
	if f.Python != nil {
		original := OriginalName(f.Name)
		o.python[original] = append(o.python[original], f)
	}
}

// files lists the directory and opens what is there. With an error it returns what it has
// opened before.
//
// A file of client_python may be renamed meanwhile, and be in the list under neither name.
// So the directory is listed until nothing new turns up: a file that was renamed during one
// listing is in the next. first says that no file is known yet, so even the only file of
// client_python may be missing from the list.
func (o *opener) files(first bool) (files []*File, err error) {
	seen := map[string]bool{} // names of client_python's files
	held := map[*File]bool{}
	for look := range maxLooks {
		entries, err := o.dir.Entries()
		if err != nil {
			return files, err
		}
		if look == 0 {
			o.listed = entries // whose native files are opened
		}
		again := look == 0 && (first || len(o.python) > 0)
		for _, e := range entries {
			switch {
			case isPython(e) && !seen[e.Name]:
				seen[e.Name], again = true, true
			case isPython(e), look > 0:
				continue
			}
			f, err := o.open(e)
			if err != nil {
				return files, err
			}
			if f != nil && !held[f] {
				held[f] = true
				files = append(files, f)
			}
		}
		if !again {
			break
		}
	}
	slices.SortFunc(files, func(f, g *File) int { return strings.Compare(f.Name, g.Name) })
	return files, nil
}

// open opens a file unless it is open. It returns nil if the file has vanished since it was
// listed, or is not a process's.
func (o *opener) open(e mpm.Entry) (f *File, err error) {
	switch {
	case isPython(e):
		f, err = o.openPython(e)
	case e.Kind != mpm.KindNative:
		return nil, nil
	default:
		// A file that could not be read is tried again: it may have been mended.
		if f = o.known[e.Name]; f == nil || !f.Known {
			if f, err = openFile(o.dir, e.Name, o.opts, o.buf); err == nil {
				o.opened = append(o.opened, f)
				o.learn(f)
			}
		}
	}
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	return f, err
}

// settle reads the archive, and leaves out the files of the processes in it. before is the
// version from before the listing. If the archive has changed since, a file that has
// vanished meanwhile may be in one that is newer still.
func (o *opener) settle(files []*File, arc *Archive, before mpm.ArchiveVersion) (_ []*File, _ *Archive, damage, err error) {
	for {
		arc, damage = o.loadArchive(arc)
		if damage != nil {
			return files, arc, damage, nil
		}
		files = uncompacted(files, arc)
		if arc.ArchiveVersion == before {
			return files, arc, nil, nil
		}
		rest, err := present(o.dir, files)
		if err != nil || len(rest) == len(files) {
			return files, arc, nil, err
		}
		files = rest
	}
}

// uncompacted returns the files whose processes are not in the archive.
func uncompacted(files []*File, arc *Archive) []*File {
	return slices.DeleteFunc(slices.Clone(files), func(f *File) bool {
		return f.Known && arc.HasConsumed(f.Header.Incarnation)
	})
}

// archiveVersion returns the version of the archive that is there now. If no archive is
// known, a file of an untrusted user under its name is not one: nobody has compacted. Once
// there was an archive, the same is damage, because counters would fall.
func (o *opener) archiveVersion(known *Archive) (mpm.ArchiveVersion, error) {
	v, err := o.dir.ArchiveVersion(o.opts)
	if o.stray = nil; errors.Is(err, mpm.ErrNotTrusted) && known.ArchiveVersion == (mpm.ArchiveVersion{}) {
		o.stray = err
		return mpm.ArchiveVersion{}, nil
	}
	return v, err
}

// restored returns the names of files that were compacted and removed, and are back.
func (o *opener) restored(arc *Archive) (names []string) {
	for _, e := range o.listed {
		if !arc.Restored(e.Incarnation) {
			continue
		}
		// One that was listed may have been compacted and removed since.
		if there, err := o.dir.Exists(e.Name); there || err != nil {
			names = append(names, e.Name)
		}
	}
	return names
}

// loadArchive reads the archive unless old is it.
func (o *opener) loadArchive(old *Archive) (*Archive, error) {
	version, err := o.archiveVersion(old)
	if err != nil || version == old.ArchiveVersion {
		return old, err
	}
	a, err := o.dir.ReadArchive(o.opts)
	if err != nil {
		return old, err
	}
	arc, err := NewArchive(a)
	if err != nil {
		return old, err
	}
	return arc, nil
}

// present returns the files that still have their names.
func present(d *mpm.Dir, files []*File) (out []*File, err error) {
	for _, f := range files {
		there, err := d.Exists(f.Name)
		if err != nil {
			return nil, err
		}
		if there {
			out = append(out, f)
		}
	}
	return out, nil
}

// canDoWithout returns nil if the last good archive can stand in for one that cannot be
// read. It can while all files that were there are still there, because then nobody has
// compacted since. Otherwise counters would fall, so the scrape has to fail.
func (s *Snapshot) canDoWithout(files []*File, damage error, first bool) error {
	err := fmt.Errorf("%w: what dead processes counted is in it; see `mpctl check`, and `mpctl wipe` to begin again", damage)
	gone := func(f *File) bool {
		_, there := slices.BinarySearchFunc(files, f.Name, func(g *File, name string) int { return strings.Compare(g.Name, name) })
		return !there
	}
	if first || slices.ContainsFunc(s.Files, gone) {
		return err
	}
	return nil
}
