package mpm

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"time"

	"github.com/multiprom/multiprom/metric"
)

// ArchiveVersion tells one written archive from every other: readers compare
// it to learn whether processes were compacted while they looked.
type ArchiveVersion struct {
	ID         Incarnation // random, of the first archive in the directory
	Generation uint64      // raised by every rewrite
}

// Archive holds what dead processes left behind, and which of them it holds.
// The zero value is that of a directory without one. docs/format.md, "The
// archive", specifies the file.
type Archive struct {
	ArchiveVersion
	Epoch       uint64        // raised by every wipe
	Compactions uint64        // how often processes were compacted
	Compacted   uint64        // processes compacted since the last wipe
	CompactTime time.Duration // that compacting took, in all
	Counts      [len(HeaderCounters)]uint64

	// Consumed are the incarnations whose values are in the archive: those whose files
	// may still be there, and the newest others, sorted.
	Consumed []Consumed
	// Processes have gauges or states of their own: one for each label, the newest.
	Processes []StoredProcess
	Families  []StoredFamily

	// Bytes is the size of the file that the archive was read from.
	Bytes int64
}

// HeaderCounters are the counters that every file carries, and the archive for
// the processes in it.
var HeaderCounters = [...]Counter{InvalidUpdates, OverflowSeries, FallbackSeries, DiscardedCalls}

// StoredProcess is a dead process that has series of its own.
type StoredProcess struct {
	Label       string
	Incarnation Incarnation
	Created     int64 // nanoseconds since 1970 when it opened its file
	Compacted   int64 // likewise, when it was compacted
}

// StoredFamily is one definition with its series. Definitions of one name
// that do not merge are families of their own.
type StoredFamily struct {
	Schema *metric.Schema // without label names; the bounds are the union of all
	First  int64          // when the first process that had it opened its file
	Newest int64          // when the newest did, whose help this is
	// PythonFile is the first file of client_python, by name, that had it: as its
	// process named it. Empty if none had.
	PythonFile string
	Series     StoredList
}

// Consumed is a run of a process whose values are in an archive.
type Consumed struct {
	Incarnation Incarnation
	// Generation is that of the last archive that was written while the file was to be
	// removed.
	Generation uint64
}

// KeepConsumed is how many of those whose files are gone stay known.
const KeepConsumed = 1000

func (c Consumed) compare(o Consumed) int { return c.Incarnation.Compare(o.Incarnation) }

// HasConsumed reports whether the values of that run of a process are in the
// archive: its file must not be read beside it.
func (a *Archive) HasConsumed(inc Incarnation) bool {
	_, found := a.consumed(inc)
	return found
}

// Restored reports whether the file of that run, if there is one, was removed since it
// was consumed: somebody has put it back.
func (a *Archive) Restored(inc Incarnation) bool {
	c, found := a.consumed(inc)
	return found && c.Generation < a.Generation
}

func (a *Archive) consumed(inc Incarnation) (c Consumed, found bool) {
	if inc == (Incarnation{}) {
		return c, false // a living process of client_python has none
	}
	i, found := slices.BinarySearchFunc(a.Consumed, Consumed{Incarnation: inc}, Consumed.compare)
	if found {
		c = a.Consumed[i]
	}
	return c, found
}

// Consume sets Consumed: to those whose files are to be removed, now or still; to those
// of old that are back; and to the newest KeepConsumed others of old.
func (a *Archive) Consume(old *Archive, remove, back []Incarnation) {
	all := map[Incarnation]uint64{}
	for _, inc := range back {
		if c, ok := old.consumed(inc); ok {
			all[inc] = c.Generation
		}
	}
	for _, inc := range remove {
		all[inc] = a.Generation
	}
	others := slices.DeleteFunc(slices.Clone(old.Consumed), func(c Consumed) bool {
		_, ok := all[c.Incarnation]
		return ok
	})
	slices.SortStableFunc(others, func(c, o Consumed) int { return cmp.Compare(o.Generation, c.Generation) })
	a.Consumed = others[:min(len(others), KeepConsumed)]
	for inc, generation := range all {
		a.Consumed = append(a.Consumed, Consumed{inc, generation})
	}
	slices.SortFunc(a.Consumed, Consumed.compare)
}

// openArchive returns nil without an error where there is no archive.
func (d *Dir) openArchive(opts ReadOptions) (*os.File, int64, error) {
	f, size, err := d.OpenFile(ArchiveName, opts)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, 0, nil
	}
	return f, size, err
}

// ArchiveVersion returns the version of the archive that is there now, without
// reading its values; the zero value where there is none. The error is that of
// ReadArchive.
func (d *Dir) ArchiveVersion(opts ReadOptions) (v ArchiveVersion, err error) {
	f, _, err := d.openArchive(opts)
	if f == nil {
		return v, err
	}
	defer f.Close()
	b, err := readAll(f, archiveHeaderSize)
	if err != nil {
		return v, fmt.Errorf("mmapstore: read %s: %w", d.Join(ArchiveName), err)
	}
	h, err := decodeArchiveHeader(b)
	return h.ArchiveVersion, d.archiveError(err)
}

// ReadArchive reads and checks the whole archive; where there is none it
// returns an empty one. The error matches ErrForeign, ErrUnsupported,
// ErrCorrupt, ErrNotTrusted, ErrTooBig or one of package fs. An archive that
// cannot be read must not be taken for an empty one: every counter would fall.
func (d *Dir) ReadArchive(opts ReadOptions) (*Archive, error) {
	f, size, err := d.openArchive(opts)
	if err != nil {
		return nil, err
	}
	if f == nil {
		return &Archive{}, nil
	}
	defer f.Close()
	b, err := readAll(f, size)
	if err != nil {
		return nil, fmt.Errorf("mmapstore: read %s: %w", d.Join(ArchiveName), err)
	}
	a, err := decodeArchive(b)
	if err != nil {
		return nil, d.archiveError(err)
	}
	return a, nil
}

// archiveError adds the path to an error of the codec.
func (d *Dir) archiveError(err error) error {
	var c *CorruptionError
	switch {
	case err == nil:
		return nil
	case errors.As(err, &c):
		c.Path = d.Join(ArchiveName)
		return c
	}
	return fmt.Errorf("%s: %w", d.Join(ArchiveName), err)
}

// StageArchive writes the archive beside the one in use, where no reader looks,
// and makes it durable. It needs no space where Reserve has kept enough. The error
// matches ErrFull where there is no space, ErrTooBig or ErrCorrupt where a reader
// with these options would not take the archive, and ErrNotTrusted where something
// else stands in its place. The caller holds the directory's lock.
func (d *Dir) StageArchive(a *Archive, opts ReadOptions) (err error) {
	limit, err := opts.limit()
	if err != nil {
		return fmt.Errorf("mmapstore: %w", err)
	}
	b, err := a.encode()
	if err == nil {
		_, err = decodeArchive(b)
	}
	if err == nil && int64(len(b)) > limit {
		err = fmt.Errorf("%w: %d bytes, the cap is %d", ErrTooBig, len(b), limit)
	}
	if err != nil {
		return fmt.Errorf("mmapstore: encode %s: %w", d.Join(ArchiveName), err)
	}
	f, made, err := d.openStaged(opts)
	if err != nil {
		return fmt.Errorf("mmapstore: %w", fullError(err))
	}
	defer func() {
		err = errors.Join(err, f.Close())
		if err != nil && made { // one that was there is room for the next try
			err = errors.Join(err, d.Remove(StagedName))
		}
	}()
	if err := d.shareLikeDir(f); err != nil {
		return fmt.Errorf("mmapstore: %w", err)
	}
	a.Bytes = int64(len(b))
	_, err = f.WriteAt(b, 0)
	if err == nil {
		err = f.Truncate(a.Bytes)
	}
	if err != nil {
		return fmt.Errorf("mmapstore: write %s, %d bytes: %w", d.Join(StagedName), len(b), fullError(err))
	}
	if d.inMemory() {
		return nil
	}
	if err := f.Sync(); err != nil {
		return fmt.Errorf("mmapstore: write %s: %w", d.Join(StagedName), fullError(err))
	}
	return nil
}

// CommitArchive puts the staged archive in the place of the one in use: from
// here on its processes are compacted. What is not an archive by its content is not replaced:
// the error then matches ErrForeign, or ErrNotTrusted if it is no regular file.
func (d *Dir) CommitArchive() error {
	if err := d.Recognize(ArchiveName); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("mmapstore: %w", err)
	}
	if err := d.replace(StagedName, ArchiveName); err != nil {
		return fmt.Errorf("mmapstore: %w", err)
	}
	return nil
}

// SyncDir makes the renames so far durable.
func (d *Dir) SyncDir() error {
	if err := d.sync(); err != nil {
		return fmt.Errorf("mmapstore: sync %s: %w", d.path, err)
	}
	return nil
}

// shareLikeDir lets those who may read the directory read the archive: it is
// written by whoever compacts, for workers that may be other users.
func (d *Dir) shareLikeDir(f *os.File) error {
	info, err := d.Stat()
	if err != nil {
		return err
	}
	if err := f.Chmod(0o600 | info.Mode().Perm()&0o044); err != nil {
		return err
	}
	return d.giveToOwner(f, info)
}
