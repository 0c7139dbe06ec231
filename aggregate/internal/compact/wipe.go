package compact

import (
	"errors"
	"fmt"
	"io/fs"
	"strings"

	"github.com/multiprom/multiprom/aggregate/internal/snapshot"
	"github.com/multiprom/multiprom/internal/mpm"
	"github.com/multiprom/multiprom/internal/pyfile"
)

// ErrInUse is aggregate.ErrInUse.
var ErrInUse = errors.New("living processes use the directory")

// InUseError names the files of living processes. It matches ErrInUse.
type InUseError struct {
	Dir    string
	Family string // that was to be dropped; empty for the directory as a whole
	Files  []string
}

// Error names the directory or the family, and the files.
func (e *InUseError) Error() string {
	files := strings.Join(e.Files, ", ")
	if e.Family != "" {
		return fmt.Sprintf("living processes in %s have the family %s: %s", e.Dir, e.Family, files)
	}
	return fmt.Sprintf("living processes use %s: %s", e.Dir, files)
}

// Is reports whether target is ErrInUse.
func (e *InUseError) Is(target error) bool { return target == ErrInUse }

// Wipe discards what dead processes have counted, as aggregate.Wipe says.
func Wipe(dir string, force bool) (removed []string, err error) {
	p, err := newPass(dir, Options{})
	if err != nil {
		return nil, err
	}
	err = errors.Join(p.wipe(force), p.close())
	return append(p.result.Compacted, p.result.Removed...), err
}

func (p *pass) wipe(force bool) error {
	// A new archive would take its place.
	if err := p.dir.Recognize(mpm.ArchiveName); errors.Is(err, mpm.ErrForeign) || errors.Is(err, mpm.ErrNotTrusted) {
		return fmt.Errorf("%w; move it away", err)
	}
	entries, err := p.dir.Entries()
	if err != nil {
		return err
	}
	for _, e := range entries {
		if err := p.condemn(e, force); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	if len(p.living) > 0 && !force {
		e := &InUseError{Dir: p.dir.Path()}
		for _, f := range p.living {
			e.Files = append(e.Files, f.Name)
		}
		return e
	}
	if err := p.setAside(); err != nil {
		return err
	}
	for _, c := range p.dead {
		p.discount(c)
	}
	// A new archive, with an id of its own, takes the place of one that cannot
	// be read.
	empty := false
	p.old = &mpm.Archive{}
	if old, err := p.dir.ReadArchive(p.read); err == nil {
		p.old, empty = old, len(old.Families) == 0
	}
	p.forget = true // nothing of what they counted is left
	if len(p.compacted)+len(p.python.revived) > 0 || !empty {
		if err := p.discard(&mpm.Archive{Epoch: p.old.Epoch + 1}); err != nil {
			return err
		}
	}
	if err := p.dir.RemoveReserve(p.read); err != nil {
		return err
	}
	if !empty {
		p.result.Removed = append(p.result.Removed, mpm.ArchiveName)
	}
	p.restore()
	p.removeTrash()
	for _, left := range p.result.Left {
		err = errors.Join(err, left.Reason)
	}
	return err
}

// condemn sorts a file into the living, the dead, and leftovers.
func (p *pass) condemn(e mpm.Entry, force bool) error {
	switch e.Kind {
	case mpm.KindOther, mpm.KindArchive:
		return nil
	case mpm.KindPython:
		return p.condemnPython(e, force)
	}
	switch err := p.dir.Recognize(e.Name); {
	case errors.Is(err, mpm.ErrNotTrusted), errors.Is(err, mpm.ErrForeign):
		return nil // not a regular file, or not ours
	case err != nil:
		return err
	}
	held, err := p.dir.Locked(e.Name)
	switch {
	case err != nil:
		return err
	case held:
		p.living = append(p.living, &snapshot.File{Name: e.Name})
		return nil
	case e.Kind != mpm.KindNative:
		p.trash = append(p.trash, e.Name)
		return nil
	}
	f, err := snapshot.OpenFile(p.dir, e.Name, p.read)
	if err != nil {
		return err
	}
	defer f.Close()
	if err := f.Read(); err != nil {
		return err
	}
	if f.Known && !f.Dead && f.Err == nil && !f.Marked && !f.Closed {
		p.living = append(p.living, &snapshot.File{Name: e.Name})
		return nil
	}
	// A file that cannot be read is discarded too.
	p.dead = append(p.dead, candidate{name: e.Name, inc: e.Incarnation})
	return nil
}

// condemnPython is condemn for a file of client_python. A dead one is set aside before it is
// discarded, like one that is compacted.
func (p *pass) condemnPython(e mpm.Entry, force bool) error {
	content, err := pyfile.Look(p.dir, e.Name, mpm.ReadOptions{MaxBytes: mpm.NoLimit})
	switch {
	case errors.Is(err, mpm.ErrNotTrusted):
		return nil // not a regular file
	case err != nil:
		return err
	case content == pyfile.Foreign:
		return nil
	}
	setAside := e.Incarnation != (mpm.Incarnation{})
	written, err := p.dir.OpenForWriting(e.Name)
	untold := errors.Is(err, mpm.ErrNoLease)
	switch {
	case untold && content == pyfile.Nothing && force:
		return nil // nobody can tell whose it is or who writes it, and it counts nothing
	case untold:
		written = !force && !setAside
	case err != nil:
		return err
	}
	if written {
		p.living = append(p.living, &snapshot.File{Name: e.Name})
		return nil
	}
	id := snapshot.OriginalName(e.Name) // it is enough that there is one
	p.dead = append(p.dead, candidate{name: e.Name, inc: e.Incarnation, python: id, forced: untold})
	return nil
}
