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

// ArchiveVersion identifies one written archive. Readers compare it to find out whether
// processes were compacted while they were reading.
type ArchiveVersion struct {
	ID         Incarnation // random, chosen for the first archive in the directory
	Generation uint64      // incremented by every rewrite
}

// Archive has the values of dead processes, and says which processes these are. The zero
// value is that of a directory without an archive. docs/format.md, "The archive", specifies
// the file.
type Archive struct {
	ArchiveVersion
	Epoch       uint64        // incremented by every wipe
	Compactions uint64        // number of compactions
	Compacted   uint64        // processes compacted since the last wipe
	CompactTime time.Duration // total time of all compactions
	Counts      [len(HeaderCounters)]uint64

	// Consumed are the incarnations whose values are in the archive, sorted: those whose
	// files may still exist, and the newest others.
	Consumed []Consumed
	// Processes are those with gauges or states of their own: for each process ID, the newest.
	Processes []StoredProcess
	Families  []StoredFamily

	// Bytes is the size of the file that the archive was read from.
	Bytes int64
}

// HeaderCounters are the counters in the header of every file. The archive has their sums.
var HeaderCounters = [...]Counter{
	InvalidUpdates, OverflowSeries, FallbackSeries, DiscardedCalls, ExpiredSeries, RevivedSeries, ReusedSeries,
}

// StoredProcess is a dead process with series of its own.
type StoredProcess struct {
	Label       string
	Incarnation Incarnation
	Created     int64 // nanoseconds since 1970 when it opened its file
	Compacted   int64 // likewise, when it was compacted
}

// StoredFamily is a schema with its series. Schemas of one name that cannot be merged are
// separate families.
type StoredFamily struct {
	Schema *metric.Schema // without label names; the bounds are the union of all
	First  int64          // when the first process that had it opened its file
	Newest int64          // when the newest did, whose help this is
	// PythonFile is the first file of client_python, by name, that had the schema, under
	// the name that its process gave it. It is empty if there is none.
	PythonFile string
	Series     StoredList
}

// Consumed is a process's run whose values are in an archive.
type Consumed struct {
	Incarnation Incarnation
	// Generation is that of the last archive that was written while the file still had to
	// be removed.
	Generation uint64
}

// KeepConsumed is how many incarnations whose files are gone stay in the list.
const KeepConsumed = 1000

func (c Consumed) compare(o Consumed) int { return c.Incarnation.Compare(o.Incarnation) }

// HasConsumed reports whether the values of that run of a process are in the archive. If
// so, its file must not be read too.
func (a *Archive) HasConsumed(inc Incarnation) bool {
	_, found := a.consumed(inc)
	return found
}

// Restored reports whether the file of that run was removed after it was consumed. If it
// exists, it was restored from a copy.
func (a *Archive) Restored(inc Incarnation) bool {
	c, found := a.consumed(inc)
	return found && c.Generation < a.Generation
}

func (a *Archive) consumed(inc Incarnation) (c Consumed, found bool) {
	if inc == (Incarnation{}) {
		return c, false // a living process of client_python has no incarnation
	}
	i, found := slices.BinarySearchFunc(a.Consumed, Consumed{Incarnation: inc}, Consumed.compare)
	if found {
		c = a.Consumed[i]
	}
	return c, found
}

// Consume sets Consumed: the incarnations whose files are to be removed, now or still;
// those in the old list whose files are back; and the newest KeepConsumed others in it.
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

// openArchive returns nil without an error if there is no archive.
func (d *Dir) openArchive(opts ReadOptions) (*os.File, int64, error) {
	f, size, err := d.OpenFile(ArchiveName, opts)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, 0, nil
	}
	return f, size, err
}

// ArchiveVersion returns the version of the current archive without reading its values, or
// the zero value if there is no archive. The error is that of ReadArchive.
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

// ReadArchive reads and checks the whole archive. If there is none, it returns an empty one.
// The error matches ErrForeign, ErrUnsupported, ErrCorrupt, ErrNotTrusted, ErrTooBig or one
// of package fs. An archive that cannot be read must not be treated as empty, because every
// counter would fall.
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

// StageArchive writes the archive to a file next to the one in use, which no reader opens,
// and makes it durable. It needs no space if Reserve has kept enough. The error matches
// ErrFull if there is no space, ErrTooBig or ErrCorrupt if a reader with these options would
// not accept the archive, and ErrNotTrusted if the name is taken by something else. The
// caller holds the directory's lock.
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
		if err != nil && made { // an existing file reserves space for the next try
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

// CommitArchive replaces the archive in use by the staged one. From then on its processes
// are compacted. A file that is not an archive by its content is not replaced; the error
// matches ErrForeign, or ErrNotTrusted if it is not a regular file.
func (d *Dir) CommitArchive() error {
	if err := d.Recognize(ArchiveName); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("mmapstore: %w", err)
	}
	if err := d.replace(StagedName, ArchiveName); err != nil {
		return fmt.Errorf("mmapstore: %w", err)
	}
	return nil
}

// SyncDir makes all previous renames durable.
func (d *Dir) SyncDir() error {
	if err := d.sync(); err != nil {
		return fmt.Errorf("mmapstore: sync %s: %w", d.path, err)
	}
	return nil
}

// shareLikeDir makes the archive readable for everyone who may read the directory, because
// the process that compacts may run as another user than the workers.
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
