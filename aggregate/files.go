package aggregate

import (
	"cmp"
	"errors"
	"slices"
	"strings"

	"github.com/multiprom/multiprom/internal/inspect"
	"github.com/multiprom/multiprom/internal/mpm"
)

// files returns what became of each native file and of the archive at the last
// Gather, in the order of their names.
func (a *Aggregator) files() []inspect.File {
	a.mu.Lock()
	defer a.mu.Unlock()
	out := make([]inspect.File, 0, len(a.snapshot.Files)+1)
	for _, f := range a.snapshot.Files {
		out = append(out, inspect.File{Name: f.Name, State: stateOf(f.Err), Err: f.Err})
	}
	for _, name := range a.snapshot.Restored {
		out = append(out, inspect.File{Name: name, State: inspect.Consumed, Err: inspect.ErrConsumed})
	}
	if there, damage := a.archiveStatus(); there {
		out = append(out, inspect.File{Name: mpm.ArchiveName, State: stateOf(damage), Err: damage})
	}
	slices.SortFunc(out, func(f, g inspect.File) int { return strings.Compare(f.Name, g.Name) })
	return out
}

// archiveStatus reports whether there is an archive, and why it cannot be read.
func (a *Aggregator) archiveStatus() (there bool, damage error) {
	left := cmp.Or(a.snapshot.Damage, a.snapshot.Stray)
	return left != nil || a.snapshot.Archive.Bytes > 0, left
}

func stateOf(err error) inspect.FileState {
	for _, s := range []struct {
		err   error
		state inspect.FileState
	}{
		{nil, inspect.OK}, {mpm.ErrForeign, inspect.Foreign}, {mpm.ErrUnsupported, inspect.Unsupported},
		{mpm.ErrNotTrusted, inspect.Untrusted}, {mpm.ErrTooBig, inspect.TooBig}, {mpm.ErrCorrupt, inspect.Corrupt}, {inspect.ErrConsumed, inspect.Consumed},
		{mpm.ErrStale, inspect.Stale},
	} {
		if errors.Is(err, s.err) {
			return s.state
		}
	}
	return inspect.Unreadable
}
