package compact

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"time"

	"github.com/multiprom/multiprom/aggregate/internal/snapshot"
	"github.com/multiprom/multiprom/aggregate/internal/sum"
	"github.com/multiprom/multiprom/internal/inspect"
	"github.com/multiprom/multiprom/internal/mpm"
	"github.com/multiprom/multiprom/internal/pyfile"
	"github.com/multiprom/multiprom/metric"
)

// pass is one run of Compact or Wipe over a directory, whose lock it holds.
type pass struct {
	opts    Options
	dir     *mpm.Dir
	unlock  func() error
	read    mpm.ReadOptions
	started time.Time
	result  Result

	// Of one step. There are several if there is no room for all at once.
	old       *mpm.Archive
	sum       *Archiver        // what becomes the new archive
	living    []*snapshot.File // open
	others    []*snapshot.File // open, without liveness: their processes may live
	python    pythonPass
	lives     lives
	dead      []candidate
	stay      []mpm.Incarnation // compacted before, and still there
	back      []mpm.Incarnation // compacted before, removed, and back
	forget    bool              // the new archive does not list what was compacted before
	compacted []mpm.Incarnation // their values are in sum, or discarded
	trash     []string          // files to remove after the commit
	spent     []string          // files of compacted
}

// candidate is a dead process's file that can be compacted.
type candidate struct {
	name    string
	inc     mpm.Incarnation
	file    *snapshot.File // nil: read it again
	python  string         // the process's id in a file of client_python
	forced  bool           // nobody can tell whether its process lives
	ends    bool           // it has removed series that never expire
	expires bool           // it has series with a TTL
}

// maxHeld bounds how many files' values are held in memory at once.
const maxHeld = 1024

// Failpoint is called at every step. Tests stop a compactor there.
var Failpoint = func(step string) {}

// Run compacts dir, as aggregate.Compact says.
func Run(ctx context.Context, dir string, opts Options) (*Result, error) {
	p, err := newPass(dir, opts)
	if err != nil {
		return nil, err
	}
	if err = errors.Join(p.compact(ctx), p.close()); err != nil {
		return nil, err
	}
	return &p.result, nil
}

func newPass(dir string, opts Options) (*pass, error) {
	opts, err := opts.WithDefaults()
	if err != nil {
		return nil, err
	}
	p := &pass{opts: opts, started: time.Now()}
	p.begin()
	if p.dir, p.unlock, err = LockDir(dir); err != nil {
		return nil, err
	}
	if p.read, err = snapshot.ReadOptions(p.dir, opts.TrustUIDs, opts.MaxFileBytes); err != nil {
		return nil, errors.Join(err, p.close())
	}
	p.read.Symbols = &mpm.SymbolTable{}
	Failpoint("locked")
	return p, nil
}

func (p *pass) close() error {
	p.closeFiles()
	return errors.Join(p.dir.Close(), p.unlock())
}

func (p *pass) closeFiles() {
	for _, f := range slices.Concat(p.living, p.others) {
		f.Close()
	}
}

// begin forgets what an earlier step has seen.
func (p *pass) begin() {
	p.closeFiles()
	p.living, p.others, p.dead, p.stay, p.back, p.trash = nil, nil, nil, nil, nil, nil
	p.python = pythonPass{living: map[string]bool{}, compacted: map[string]bool{}, keys: &pyfile.Keys{}}
	p.result.Left = nil
}

// compact compacts all, in one step if there is room for it.
func (p *pass) compact(ctx context.Context) error {
	for {
		more, err := p.step(ctx)
		if err != nil || !more {
			return err
		}
		p.begin()
		p.opts.Threshold = 1 // enough have died
	}
}

// step reports whether it has left some of the dead for the next one.
func (p *pass) step(ctx context.Context) (more bool, err error) {
	// An archive that cannot be read is not an empty one.
	if p.old, err = p.dir.ReadArchive(p.read); err != nil {
		if errors.Is(err, mpm.ErrNotTrusted) {
			err = fmt.Errorf("%w; dead processes are compacted once it is moved away", err)
		}
		return false, err
	}
	if err := p.scan(ctx); err != nil {
		return false, err
	}
	Failpoint("scanned")
	if err := p.setAside(); err != nil {
		return false, err
	}
	if more, err = p.commit(ctx); err != nil || p.opts.DryRun {
		return false, err
	}
	p.restore()
	p.touch()
	p.removeTrash()
	if p.opts.Reserve && !more {
		p.reserve()
	}
	return more, nil
}

// scan looks at every file. An error of the system ends the pass before anything is changed.
// An error of one file leaves that file alone.
func (p *pass) scan(ctx context.Context) error {
	p.lives = lives{
		listed: time.Now().UnixNano(), // like the clock of the workers
		now:    p.opts.Now().UnixNano(), ttl: p.opts.TTL, offers: map[string][]*sum.Offer{}, series: map[string]*lifeParts{},
	}
	entries, err := p.dir.Entries()
	if err != nil {
		return err
	}
	for i, e := range entries {
		if err := ctx.Err(); err != nil {
			return err
		}
		switch e.Kind {
		case mpm.KindTemp:
			if p.isLeftover(e.Name) {
				p.trash = append(p.trash, e.Name)
			}
		case mpm.KindNative, mpm.KindPython:
			err := p.look(e)
			switch {
			case errors.Is(err, fs.ErrNotExist):
			case snapshot.IsTransient(err):
				return err
			case err != nil:
				p.leave(e.Name, err)
			}
		}
		p.opts.Progress(i+1, len(entries))
	}
	for _, f := range p.living {
		if !f.EverRemoved() {
			continue
		}
		if err := f.Read(); err != nil {
			return err
		}
		if f.Stale {
			p.wait() // nobody knows what it has removed
			return nil
		}
		p.lives.noteRemovals(f)
	}
	// If a series was removed, the dead may have parts of a life that is over, and nobody
	// knows how long the evidence stays. And the live gauges of a process that nobody has
	// marked are shown until it is compacted.
	if len(p.dead) < p.opts.Threshold && !p.lives.removed && !slices.ContainsFunc(p.dead, candidate.unmarkedLive) {
		p.dead = nil // another time
		if !p.muchExpired() {
			return nil
		}
	}
	return p.lookAtLives()
}

// isLeftover reports whether a kill has left that temporary file.
func (p *pass) isLeftover(name string) bool {
	if p.dir.Recognize(name) != nil {
		return false // not ours, or gone
	}
	held, err := p.dir.Locked(name)
	return err == nil && !held
}

// look sorts a file into the living, the dead, those of which nobody can tell, and those
// that were compacted before.
func (p *pass) look(e mpm.Entry) error {
	if p.old.Restored(e.Incarnation) {
		p.back = append(p.back, e.Incarnation)
		return inspect.ErrConsumed
	}
	if p.old.HasConsumed(e.Incarnation) {
		// A compactor was killed before it could remove the file.
		p.stay = append(p.stay, e.Incarnation)
		p.trash = append(p.trash, e.Name) // if it is ours: see removeTrash
		return nil
	}
	if e.Kind == mpm.KindPython {
		return p.lookPython(e)
	}
	f, err := p.open(e.Name)
	if err != nil {
		return err
	}
	if !f.Dead && f.Header.Liveness != mpm.LivenessNone {
		p.living = append(p.living, f)
		return nil
	}
	ends := p.lives.noteRemovals(f)
	if !f.Dead && !(p.opts.Marked && (f.Marked || f.Closed)) {
		p.others = append(p.others, f)
		return ErrNoLiveness
	}
	defer f.Close()
	switch {
	case f.Damaged > 0:
		return fmt.Errorf("%w: %d damaged records", ErrNotUnderstood, f.Damaged)
	case f.Unknown > 0:
		return fmt.Errorf("%w: %d records of unknown kinds", ErrNotUnderstood, f.Unknown)
	}
	c := candidate{name: e.Name, inc: e.Incarnation, ends: ends, expires: slices.ContainsFunc(f.Families, expires)}
	if len(p.dead) < maxHeld {
		c.file = f
	}
	p.dead = append(p.dead, c)
	return nil
}

// expires reports whether series of a schema have a TTL.
func expires(s *metric.Schema) bool { return s.TTL > 0 }

// open opens a file, and reads it if its lock is free. The lock is tested first, so what is
// read is final.
func (p *pass) open(name string) (*snapshot.File, error) {
	f, err := snapshot.OpenFile(p.dir, name, p.read)
	if err != nil {
		return nil, err
	}
	if f.Err == nil && !f.Dead && f.Header.Liveness == mpm.LivenessNone {
		err = f.Read() // whether it was marked
	}
	if err = errors.Join(err, f.Err); err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}

// fileOf returns the file of a candidate, with its final values.
func (p *pass) fileOf(c candidate) (*snapshot.File, error) {
	switch {
	case c.python != "":
		return p.openPython(c.name)
	case c.file != nil:
		return c.file, nil
	}
	return p.open(c.name)
}

// add sums up the archive and the dead.
func (p *pass) add(ctx context.Context, dead []candidate) (err error) {
	p.compacted, p.spent, p.python.compacted = nil, nil, map[string]bool{}
	if p.sum, err = NewArchiver(p.old, &p.lives, p.opts.Now().UnixNano()); err != nil {
		return err
	}
	for _, c := range dead {
		if err := ctx.Err(); err != nil {
			return err
		}
		if p.isEmpty(c) {
			p.discount(c)
			continue
		}
		f, err := p.fileOf(c)
		if err == nil {
			err = errors.Join(p.sum.Add(f, p.opts.Now()), f.Close())
		}
		if snapshot.IsTransient(err) {
			return err
		}
		if err != nil {
			p.leave(c.name, err)
			continue
		}
		p.discount(c)
	}
	return nil
}

// discount notes that the candidate's file no longer counts: its values are in the new
// archive, or are discarded.
func (p *pass) discount(c candidate) {
	p.compacted = append(p.compacted, c.inc)
	p.spent = append(p.spent, c.name)
	p.result.Compacted = append(p.result.Compacted, snapshot.OriginalName(c.name))
	if c.python == "" || !p.python.compacted[c.python] {
		p.result.Processes++
	}
	p.python.compacted[c.python] = true
}

func (p *pass) leave(name string, reason error) {
	p.result.Left = append(p.result.Left, Left{name, reason})
}

// write replaces the old archive by the new one. The rename in it is the commit.
func (p *pass) write(a *mpm.Archive) error {
	a.Generation = p.old.Generation + 1
	if a.ID = p.old.ID; a.ID == (mpm.Incarnation{}) {
		rand.Read(a.ID[:]) // never fails, see its documentation
	}
	remembered := p.old // the archive whose consumed processes stay known
	if p.forget {
		remembered = &mpm.Archive{}
	}
	a.Consume(remembered, slices.Concat(p.stay, p.compacted), p.back)
	if _, err := snapshot.NewArchive(a); err != nil {
		return err // an archive that no reader would accept must not replace the old one
	}
	if err := p.dir.StageArchive(a, p.read); err != nil {
		return err
	}
	p.result.Bytes = a.Bytes
	Failpoint("staged")
	if err := p.dir.CommitArchive(); err != nil {
		return err
	}
	Failpoint("committed")
	if err := p.dir.SyncDir(); err != nil {
		return err
	}
	Failpoint("synced")
	p.result.Took = time.Since(p.started)
	p.trash = append(p.trash, p.spent...)
	return nil
}

// touch keeps cleaners that go by a file's age from removing files that are in use.
func (p *pass) touch() {
	now := time.Now() // of the system, as the cleaners'
	_ = p.dir.Touch(mpm.ArchiveName, now)
	for _, f := range p.living {
		_ = p.dir.Touch(f.Name, now) // another user's file: its owner's business
	}
	for _, name := range p.python.open {
		_ = p.dir.Touch(name, now)
	}
}

// removeTrash unlinks files whose values are in the archive, and leftovers. The archive
// continues to list a file that cannot be removed.
func (p *pass) removeTrash() {
	compacted := make(map[string]bool, len(p.spent))
	for _, name := range p.spent {
		compacted[name] = true
	}
	for _, name := range p.trash {
		Failpoint("removing")
		switch err := p.remove(name); {
		case errors.Is(err, mpm.ErrForeign): // somebody else's
		case err != nil:
			p.leave(name, err)
		case !compacted[name]:
			p.result.Removed = append(p.result.Removed, name)
		}
	}
	Failpoint("removed")
}

// remove unlinks a file that is ours or client_python's.
func (p *pass) remove(name string) error {
	if strings.HasSuffix(name, ".db") {
		return pyfile.Remove(p.dir, name)
	}
	return p.dir.Remove(name)
}
