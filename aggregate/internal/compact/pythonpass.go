package compact

import (
	"errors"
	"fmt"
	"slices"

	"github.com/multiprom/multiprom/aggregate/internal/snapshot"
	"github.com/multiprom/multiprom/internal/mpm"
	"github.com/multiprom/multiprom/internal/pyfile"
	"github.com/multiprom/multiprom/metric"
)

// pythonPass is what a pass knows of client_python's files (docs/lifecycle.md, "Files of
// client_python").
type pythonPass struct {
	open      []string        // files that count as of living processes
	living    map[string]bool // ids of processes that have files open
	compacted map[string]bool // ids of processes some of whose files were compacted
	keys      *pyfile.Keys
	revived   []string // files that were set aside although they are open for writing
}

// lookPython is look for a file of client_python.
func (p *pass) lookPython(e mpm.Entry) error {
	name, err := pyfile.ParseName(e.Name)
	if err != nil {
		return nil // none of theirs
	}
	content, err := pyfile.Look(p.dir, e.Name, p.read) // is it one that may be read?
	switch {
	case err != nil && p.opts.Python:
		return err
	case err != nil, content == pyfile.Foreign:
		return nil // somebody else's is no process's file
	case !name.Dead:
		p.python.open = append(p.python.open, e.Name)
	}
	if !p.opts.Python {
		return nil
	}
	written, err := p.dir.OpenForWriting(e.Name)
	switch {
	case errors.Is(err, mpm.ErrNoLease) && name.Dead:
		// The mark decides.
	case err != nil:
		return err
	case written:
		p.python.living[name.ID] = true
		if name.Dead {
			p.python.revived = append(p.python.revived, e.Name)
		}
		return nil
	}
	p.dead = append(p.dead, candidate{name: e.Name, inc: e.Incarnation, python: name.ID})
	return nil
}

// unmarkedLive reports whether c is a file of client_python with live gauges whose process
// nobody has marked.
func (c candidate) unmarkedLive() bool {
	if c.python == "" || c.inc != (mpm.Incarnation{}) {
		return false
	}
	n, err := pyfile.ParseName(c.name)
	return err == nil && n.Type == metric.Gauge && n.Mode.Live()
}

// setAside renames client_python's files of dead processes, so that no process opens them
// any more. Then it asks again whether one has them open: it may have opened them before.
func (p *pass) setAside() error {
	if p.opts.DryRun {
		return nil
	}
	dead := p.dead
	p.dead = nil
	for _, c := range dead {
		if c.python != "" && c.inc == (mpm.Incarnation{}) {
			e, err := pyfile.SetAside(p.dir, c.name)
			if errors.Is(err, mpm.ErrForeign) {
				continue // it has taken the file's place
			}
			if err != nil {
				p.leave(c.name, err)
				continue
			}
			Failpoint("renamed")
			written, err := p.dir.OpenForWriting(e.Name)
			if c.forced && errors.Is(err, mpm.ErrNoLease) {
				written, err = false, nil
			}
			if err != nil || written {
				p.python.living[c.python] = true
				p.python.revived = append(p.python.revived, e.Name)
				continue
			}
			c.name, c.inc = e.Name, e.Incarnation
		}
		p.dead = append(p.dead, c)
	}
	return nil
}

// restore gives files that were set aside too early their names back. It comes after a
// commit, which tells a reader whose listing missed both names to list again.
func (p *pass) restore() {
	for _, name := range p.python.revived {
		if err := pyfile.Restore(p.dir, name); err != nil {
			p.leave(name, err)
		}
		Failpoint("restored")
	}
}

// isEmpty reports whether a file of client_python has no record: its process was killed
// before the first one, perhaps before it gave the file its size.
func (p *pass) isEmpty(c candidate) bool {
	if c.python == "" {
		return false
	}
	content, err := pyfile.Look(p.dir, c.name, p.read)
	return err == nil && content == pyfile.Nothing
}

// openPython reads a file of client_python whose process is dead.
func (p *pass) openPython(name string) (*snapshot.File, error) {
	f, err := snapshot.OpenPython(p.dir, name, p.read, p.python.keys)
	if err != nil {
		return nil, err
	}
	if f.Err == nil {
		err = f.ReadPython()
	}
	if err = errors.Join(err, f.Err); err != nil {
		f.Close()
		return nil, fmt.Errorf("%w: %w", ErrNotUnderstood, err)
	}
	return f, nil
}

// eachLivingPython calls fn with every readable file of client_python whose process counts
// as living.
func (p *pass) eachLivingPython(fn func(*snapshot.File)) error {
	for _, name := range slices.Concat(p.python.open, p.python.revived) {
		f, err := snapshot.OpenPython(p.dir, name, p.read, p.python.keys)
		if snapshot.IsTransient(err) {
			return err
		}
		if err != nil || f.Python == nil {
			continue
		}
		if f.Err == nil {
			err = f.ReadPython()
		}
		fn(f)
		if err := errors.Join(err, f.Close()); err != nil {
			return err
		}
	}
	return nil
}
