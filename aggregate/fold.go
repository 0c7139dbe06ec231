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
	p, err := newPass(dir, opts)
	if err != nil {
		return nil, fmt.Errorf("aggregate: fold: %w", err)
	}
	err = errors.Join(p.fold(ctx), p.close())
	if err != nil {
		return nil, fmt.Errorf("aggregate: fold %s: %w", dir, err)
	}
	return &p.result, nil
}

// pass is one run of Fold or Wipe. It holds the directory's lock.
type pass struct {
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

func newPass(dir string, opts FoldOptions) (*pass, error) {
	p := &pass{opts: opts.withDefaults(), started: time.Now()}
	var err error
	if p.dir, p.unlock, err = lockDir(dir); err != nil {
		return nil, err
	}
	if p.read, err = readOptions(p.dir, opts.TrustUIDs, opts.MaxFileBytes); err != nil {
		return nil, errors.Join(err, p.close())
	}
	failpoint("locked")
	return p, nil
}

func (p *pass) close() error { return errors.Join(p.dir.Close(), p.unlock()) }

func (p *pass) fold(ctx context.Context) (err error) {
	if !p.opts.DryRun {
		if err := p.dir.RemoveStaged(); err != nil {
			return err
		}
		failpoint("swept")
	}
	// An archive that cannot be read is not an empty one.
	if p.old, err = p.dir.ReadArchive(p.read); err != nil {
		return err
	}
	if p.sum, err = newArchiver(p.old); err != nil {
		return err
	}
	if err := p.scan(ctx); err != nil {
		return err
	}
	failpoint("scanned")
	if len(p.dead) < p.opts.Threshold {
		p.postpone()
	}
	p.result.Living, p.result.Series, p.result.Bytes = len(p.living), p.sum.size(), p.old.Bytes
	if p.opts.DryRun {
		return nil
	}
	if len(p.dead) > 0 {
		a := p.sum.archive(p.opts.Now(), p.opts.KeepDead, p.opts.KeepDeadFor)
		a.Folds++
		a.Folded += uint64(len(p.dead))
		a.FoldTime += time.Since(p.started)
		if err := p.write(a); err != nil {
			return err
		}
	}
	p.touch()
	p.removeTrash()
	return nil
}

// scan looks at every file. An error of the system ends it before anything is
// changed; one of a file leaves that file alone.
func (p *pass) scan(ctx context.Context) error {
	entries, err := p.dir.Entries()
	if err != nil {
		return err
	}
	for i, e := range entries {
		if err := ctx.Err(); err != nil {
			return err
		}
		switch e.Kind {
		case mmapstore.KindTemp:
			if held, err := p.dir.Locked(e.Name); err == nil && !held {
				p.trash = append(p.trash, e.Name)
			}
		case mmapstore.KindNative:
			err := p.look(e)
			switch {
			case errors.Is(err, fs.ErrNotExist):
			case isTransient(err):
				return err
			case err != nil:
				p.leave(e.Name, err)
			}
		}
		p.opts.Progress(i+1, len(entries))
	}
	return nil
}

// look adds a dead process's file to the sum.
func (p *pass) look(e mmapstore.Entry) error {
	if p.old.HasConsumed(e.Incarnation) {
		// A folder was killed before it could remove the file.
		p.stay = append(p.stay, e.Incarnation)
		p.trash = append(p.trash, e.Name)
		return nil
	}
	file, err := p.readDead(e.Name)
	if file == nil || err != nil {
		return err
	}
	if err := p.sum.add(file, p.opts.Now()); err != nil {
		return err
	}
	p.dead = append(p.dead, e.Incarnation)
	p.result.Folded = append(p.result.Folded, e.Name)
	return nil
}

// readDead reads the file of a dead process; nil where it lives. The lock is
// asked for first: what is read behind a free one is final.
func (p *pass) readDead(name string) (*file, error) {
	file, err := openFile(p.dir, name, p.read)
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
		if !p.opts.Marked || !file.marked && !file.closed {
			return nil, ErrNoLiveness
		}
	} else if !file.dead {
		p.living = append(p.living, name)
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

func (p *pass) leave(name string, reason error) {
	p.result.Left = append(p.result.Left, LeftFile{name, reason})
}

// postpone leaves the dead for another time.
func (p *pass) postpone() { p.dead, p.result.Folded = nil, nil }

// write puts the new archive in the place of the old one: the commit.
func (p *pass) write(a *mmapstore.Archive) error {
	a.Generation = p.old.Generation + 1
	if a.ID = p.old.ID; a.ID == (mmapstore.Incarnation{}) {
		rand.Read(a.ID[:]) // never fails, see its documentation
	}
	a.Consume(p.stay, p.dead)
	if err := p.dir.StageArchive(a); err != nil {
		return err
	}
	p.result.Bytes = a.Bytes
	failpoint("staged")
	if err := p.dir.CommitArchive(); err != nil {
		return err
	}
	failpoint("committed")
	if err := p.dir.SyncDir(); err != nil {
		return err
	}
	failpoint("synced")
	p.result.Took = time.Since(p.started)
	p.trash = append(p.trash, p.result.Folded...)
	return nil
}

// touch keeps cleaners that go by a file's age from taking it away.
func (p *pass) touch() {
	now := time.Now() // of the system, as the cleaners'
	for _, name := range append([]string{mmapstore.ArchiveName}, p.living...) {
		_ = p.dir.Touch(name, now) // another user's file: its owner's business
	}
}

// removeTrash unlinks what is in the archive or never was anything. What
// cannot be removed stays listed in the archive.
func (p *pass) removeTrash() {
	folded := make(map[string]bool, len(p.result.Folded))
	for _, name := range p.result.Folded {
		folded[name] = true
	}
	for _, name := range p.trash {
		failpoint("removing")
		if err := p.dir.Remove(name); err != nil {
			p.leave(name, err)
		} else if !folded[name] {
			p.result.Removed = append(p.result.Removed, name)
		}
	}
	failpoint("removed")
}
