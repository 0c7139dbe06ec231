package aggregate

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"time"

	"github.com/multiprom/multiprom/mmapstore"
)

// FoldOptions of Fold. The zero value is useful.
type FoldOptions struct {
	// Threshold is how many dead processes there must be for the archive to be
	// written; with fewer only what killed processes left behind is removed.
	// Default 1.
	Threshold int
	// KeepDead is how many dead processes keep their series in gauges and
	// states of mode all, the newest. Default 1,000; negative keeps all.
	KeepDead int
	// KeepDeadFor is how long they keep them after they were folded. Default 0:
	// for ever.
	KeepDeadFor time.Duration
	// Marked folds the files of processes without a lock once they are marked
	// dead, on filesystems whose locks cannot be trusted. Whoever sets it
	// vouches that a process that was marked is gone, and that nobody else
	// folds the directory from another machine: else updates are lost.
	Marked bool
	// DryRun finds out what would be folded and changes nothing.
	DryRun bool
	// Progress is told after each file how many of all were looked at.
	Progress func(done, total int)

	// TrustUIDs and MaxFileBytes are those of Options: what is not read is not
	// folded either.
	TrustUIDs    []int
	MaxFileBytes int64
	// Now is the clock. Default time.Now.
	Now func() time.Time
}

func (o FoldOptions) withDefaults() FoldOptions {
	if o.Threshold <= 0 {
		o.Threshold = 1
	}
	if o.KeepDead == 0 {
		o.KeepDead = 1000
	}
	if o.Progress == nil {
		o.Progress = func(int, int) {}
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	return o
}

// FoldResult is what Fold did, or with DryRun would have done.
type FoldResult struct {
	Folded  []string // files whose values are in the archive now
	Removed []string // files that a killed process or folder had left behind
	Living  int      // processes that live, as far as one can tell
	Left    []LeftFile
	Series  int           // in the archive
	Bytes   int64         // of the archive
	Took    time.Duration // until the new archive was in place
}

// LeftFile is a file that was not folded although no process holds its lock,
// or was not removed although it was folded.
type LeftFile struct {
	Name   string
	Reason error
}

// Errors of folding a file.
var (
	// ErrNoLiveness: no lock tells whether the file's process lives.
	ErrNoLiveness = errors.New("no lock tells whether its process lives")
	// ErrNotUnderstood: the file has damaged records, or some of a kind that a
	// newer version writes: what is not wholly understood is not folded.
	ErrNotUnderstood = errors.New("not wholly understood")
)

// Fold moves the values of dead processes from their files into the archive,
// and removes the files: each process exactly once, whatever is killed at
// whatever moment. No value of the merged view changes by it, but that the sum
// of a histogram or summary that held an infinity or NaN becomes finite again.
//
// It needs the right to write the directory, and is safe beside readers,
// workers and other folders, who get ErrBusy while one is at work. The error of
// an archive that cannot be read is that of mmapstore.Dir.ReadArchive; then
// nothing is folded. Where there is no space, the error matches
// mmapstore.ErrFull, and all stays as it was. docs/lifecycle.md has the steps.
func Fold(ctx context.Context, dir string, opts FoldOptions) (*FoldResult, error) {
	f, err := newFolder(dir, opts)
	if err != nil {
		return nil, fmt.Errorf("aggregate: fold: %w", err)
	}
	err = errors.Join(f.fold(ctx), f.close())
	if err != nil {
		return nil, fmt.Errorf("aggregate: fold %s: %w", dir, err)
	}
	return &f.result, nil
}

// folder is one run of Fold or Wipe. It holds the directory's lock.
type folder struct {
	opts    FoldOptions
	dir     *mmapstore.Dir
	unlock  func() error
	read    mmapstore.ReadOptions
	started time.Time
	result  FoldResult

	old    *mmapstore.Archive
	sum    *archiver // what becomes the new archive
	living []string
	stay   []mmapstore.Incarnation // folded before, and still there
	dead   []mmapstore.Incarnation // whose files are in sum
	trash  []string                // what is removed behind the commit
}

// failpoint is called at every step. Tests stop a folder there.
var failpoint = func(step string) {}

func newFolder(dir string, opts FoldOptions) (*folder, error) {
	f := &folder{opts: opts.withDefaults(), started: time.Now()}
	var err error
	if f.dir, f.unlock, err = lockDir(dir); err != nil {
		return nil, err
	}
	if f.read, err = readOptions(f.dir, opts.TrustUIDs, opts.MaxFileBytes); err != nil {
		return nil, errors.Join(err, f.close())
	}
	failpoint("locked")
	return f, nil
}

func (f *folder) close() error { return errors.Join(f.dir.Close(), f.unlock()) }

func (f *folder) fold(ctx context.Context) (err error) {
	if !f.opts.DryRun {
		if err := f.dir.RemoveStaged(); err != nil {
			return err
		}
		failpoint("swept")
	}
	// An archive that cannot be read is not an empty one.
	if f.old, err = f.dir.ReadArchive(f.read); err != nil {
		return err
	}
	if f.sum, err = newArchiver(f.old); err != nil {
		return err
	}
	if err := f.scan(ctx); err != nil {
		return err
	}
	failpoint("scanned")
	if len(f.dead) < f.opts.Threshold {
		f.postpone()
	}
	f.result.Living, f.result.Series, f.result.Bytes = len(f.living), f.sum.size(), f.old.Bytes
	if f.opts.DryRun {
		return nil
	}
	if len(f.dead) > 0 {
		a := f.sum.archive(f.opts.Now(), f.opts.KeepDead, f.opts.KeepDeadFor)
		a.Folds++
		a.Folded += uint64(len(f.dead))
		a.FoldTime += time.Since(f.started)
		if err := f.write(a); err != nil {
			return err
		}
	}
	f.touch()
	f.removeTrash()
	return nil
}

// scan looks at every file. An error of the system ends it before anything is
// changed; one of a file leaves that file alone.
func (f *folder) scan(ctx context.Context) error {
	entries, err := f.dir.Entries()
	if err != nil {
		return err
	}
	for i, e := range entries {
		if err := ctx.Err(); err != nil {
			return err
		}
		switch e.Kind {
		case mmapstore.KindTemp:
			if held, err := f.dir.Locked(e.Name); err == nil && !held {
				f.trash = append(f.trash, e.Name)
			}
		case mmapstore.KindNative:
			err := f.look(e)
			switch {
			case errors.Is(err, fs.ErrNotExist):
			case isTransient(err):
				return err
			case err != nil:
				f.leave(e.Name, err)
			}
		}
		f.opts.Progress(i+1, len(entries))
	}
	return nil
}

// look adds a dead process's file to the sum.
func (f *folder) look(e mmapstore.Entry) error {
	if f.old.HasConsumed(e.Incarnation) {
		// A folder was killed before it could remove the file.
		f.stay = append(f.stay, e.Incarnation)
		f.trash = append(f.trash, e.Name)
		return nil
	}
	file, err := f.readDead(e.Name)
	if file == nil || err != nil {
		return err
	}
	if err := f.sum.add(file, f.opts.Now()); err != nil {
		return err
	}
	f.dead = append(f.dead, e.Incarnation)
	f.result.Folded = append(f.result.Folded, e.Name)
	return nil
}

// readDead reads the file of a dead process; nil where it lives. The lock is
// asked for first: what is read behind a free one is final.
func (f *folder) readDead(name string) (*file, error) {
	file, err := openFile(f.dir, name, f.read)
	if err != nil {
		return nil, err
	}
	if file.err != nil {
		return nil, file.err
	}
	defer file.close()
	if !file.dead && file.header.Liveness == mmapstore.LivenessNone {
		if err := file.read(); err != nil {
			return nil, err
		}
		if !f.opts.Marked || !file.marked && !file.closed {
			return nil, ErrNoLiveness
		}
	} else if !file.dead {
		f.living = append(f.living, name)
		return nil, nil
	}
	switch {
	case file.err != nil:
		return nil, file.err
	case file.damaged > 0:
		return nil, fmt.Errorf("%w: %d damaged records", ErrNotUnderstood, file.damaged)
	case file.unknown > 0:
		return nil, fmt.Errorf("%w: %d records of unknown kinds", ErrNotUnderstood, file.unknown)
	}
	return file, nil
}

func (f *folder) leave(name string, reason error) {
	f.result.Left = append(f.result.Left, LeftFile{name, reason})
}

// postpone leaves the dead for another time.
func (f *folder) postpone() { f.dead, f.result.Folded = nil, nil }

// write puts the new archive in the place of the old one: the commit.
func (f *folder) write(a *mmapstore.Archive) error {
	a.Generation = f.old.Generation + 1
	if a.ID = f.old.ID; a.ID == (mmapstore.Incarnation{}) {
		rand.Read(a.ID[:]) // never fails, see its documentation
	}
	a.Consume(f.stay, f.dead)
	if err := f.dir.StageArchive(a); err != nil {
		return err
	}
	f.result.Bytes = a.Bytes
	failpoint("staged")
	if err := f.dir.CommitArchive(); err != nil {
		return err
	}
	failpoint("committed")
	if err := f.dir.SyncDir(); err != nil {
		return err
	}
	failpoint("synced")
	f.result.Took = time.Since(f.started)
	f.trash = append(f.trash, f.result.Folded...)
	return nil
}

// touch keeps cleaners that go by a file's age from taking it away.
func (f *folder) touch() {
	now := time.Now() // of the system, as the cleaners'
	for _, name := range append([]string{mmapstore.ArchiveName}, f.living...) {
		_ = f.dir.Touch(name, now) // another user's file: its owner's business
	}
}

// removeTrash unlinks what is in the archive or never was anything. What
// cannot be removed stays listed in the archive.
func (f *folder) removeTrash() {
	folded := make(map[string]bool, len(f.result.Folded))
	for _, name := range f.result.Folded {
		folded[name] = true
	}
	for _, name := range f.trash {
		failpoint("removing")
		if err := f.dir.Remove(name); err != nil {
			f.leave(name, err)
		} else if !folded[name] {
			f.result.Removed = append(f.result.Removed, name)
		}
	}
	failpoint("removed")
}
