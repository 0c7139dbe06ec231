package aggregate

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/multiprom/multiprom/internal/mpm"
	"github.com/multiprom/multiprom/internal/options"
	"github.com/multiprom/multiprom/internal/pyfile"
	"github.com/multiprom/multiprom/metric"
)

// Errors of MarkProcessDead.
var (
	// ErrNoSuchProcess: no file in the directory belongs to that process.
	ErrNoSuchProcess = errors.New("no file of that process")
	// ErrAmbiguous: the incarnations of several processes begin with that ID.
	ErrAmbiguous = errors.New("several processes have that ID")
)

// MarkOptions of MarkProcessDead. The zero value is useful.
type MarkOptions struct {
	// Force marks a process that still holds its lock. Its live gauges leave the merged
	// view although it runs. Its file is not compacted because of that.
	Force bool
	// Wait is how long to wait for a held lock to be released. The kernel releases it
	// only once a killed process's memory is gone. Default 2 s.
	Wait time.Duration
}

// MarkProcessDead makes sure that readers of dir treat a process as dead, and returns
// the names of its files. On a filesystem with trusted locks it only checks that the
// process is gone. If a file says that it has no liveness, its readers go by the mark.
//
// For a process of client_python it removes the files with live gauges and sets the
// others aside. Those count as before, in client_python's own
// collector too, and can be compacted. A file that is still open for writing is
// refused, like a locked one. The content decides whether a file is client_python's,
// not its name. All others stay as they are.
//
// id is a PID in the caller's PID namespace, a process ID (client_python's process
// identifier), a file name, or the first eight or more digits of an incarnation. The
// error is ErrNoSuchProcess, which names the files of that PID in other PID namespaces;
// ErrAmbiguous; or it matches mmapstore.ErrLocked if the process still holds its lock and
// Force is not set. Files handled before the error stay marked.
func MarkProcessDead(ctx context.Context, dir, id string, opts MarkOptions) ([]string, error) {
	var c options.Checker
	options.Number(&c, "Wait", &opts.Wait, 2*time.Second)
	if id == "" {
		c.Failf("id", "is empty: name a process by its PID, its process ID or a file")
	}
	if err := c.Err(); err != nil {
		return nil, fmt.Errorf("aggregate: mark a process dead: %w", err)
	}
	names, err := markProcess(ctx, dir, id, opts)
	if err != nil {
		return names, fmt.Errorf("aggregate: mark %s dead: %w", id, err)
	}
	return names, nil
}

// markProcess is MarkProcessDead with options that are complete.
func markProcess(ctx context.Context, dir, id string, opts MarkOptions) (names []string, err error) {
	d, err := mpm.OpenDir(dir)
	if err != nil {
		return nil, err
	}
	defer d.Close()
	entries, err := d.Entries()
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, opts.Wait)
	defer cancel()
	native, err := findNative(d, entries, id)
	if err != nil {
		return nil, err
	}
	for _, e := range entries {
		marked := native.its[e.Name]
		switch {
		case e.Kind == mpm.KindPython:
			marked, err = markPython(ctx, d, e.Name, id, opts.Force)
			marked = marked && err == nil
		case marked:
			path := filepath.Join(dir, e.Name)
			if marked, err = markFile(ctx, path, opts.Force); err != nil {
				err = fmt.Errorf("%s: %w", path, err)
			}
		}
		if marked {
			names = append(names, e.Name)
		}
		if err != nil {
			return names, err
		}
	}
	if len(names) == 0 {
		return nil, fmt.Errorf("%w in %s%s", ErrNoSuchProcess, dir, native.elsewhere())
	}
	return names, nil
}

// found holds the native files that an ID may mean.
type found struct {
	its     map[string]bool
	foreign []string // of that PID in other PID namespaces, with their process IDs
}

// elsewhere says how to name a process that the ID does not reach.
func (f *found) elsewhere() string {
	const most = 4
	names, more := f.foreign, ""
	if n := len(names) - most; n > 0 {
		names, more = names[:most], fmt.Sprintf(", and %d more", n)
	}
	switch len(f.foreign) {
	case 0:
		return ""
	case 1:
		return "; a process of that pid in another PID namespace has " + names[0] + ": name that file"
	}
	return "; processes of that pid in other PID namespaces have " + strings.Join(names, ", ") + more + ": name one of these files"
}

// findNative finds the files of an ID. It marks nothing, so an ambiguous ID changes
// nothing.
func findNative(d *mpm.Dir, entries []mpm.Entry, id string) (*found, error) {
	f := &found{its: map[string]bool{}}
	namespace := mpm.CurrentIdentity().PIDNamespace
	var begun []string // whose incarnation begins with id
	for _, e := range entries {
		if e.Kind != mpm.KindNative {
			continue
		}
		r, err := d.Open(e.Name, mpm.ReadOptions{})
		if err != nil {
			continue // not readable as a process's file
		}
		h := r.Header()
		r.Close()
		switch inc := h.Incarnation.String(); {
		case belongs(h, e.Name, id, namespace):
			f.its[e.Name] = true
		case id == strconv.Itoa(h.PID):
			f.foreign = append(f.foreign, fmt.Sprintf("%s (label %q)", e.Name, h.Label))
		case len(id) >= minIncarnation && strings.HasPrefix(inc, id):
			begun = append(begun, e.Name)
		}
	}
	one, err := chooseBegun(begun)
	if one != "" {
		f.its[one] = true
	}
	return f, err
}

// chooseBegun returns the one file whose incarnation begins with the ID, if any.
func chooseBegun(names []string) (string, error) {
	switch len(names) {
	case 0:
		return "", nil
	case 1:
		return names[0], nil
	}
	return "", fmt.Errorf("%w: %s", ErrAmbiguous, strings.Join(names, ", "))
}

// minIncarnation is the fewest digits of an incarnation that name a process.
const minIncarnation = 8

// markPython removes a client_python file with live gauges of that process, like
// mark_process_dead there. But it compares identifiers, while mark_process_dead takes
// them for patterns of file names. Any other file is set aside, so that a later process
// with that ID starts a new one.
func markPython(ctx context.Context, d *mpm.Dir, name, id string, force bool) (marked bool, err error) {
	n, err := pyfile.ParseName(name)
	if err != nil || n.ID != id && name != id && !(pyfile.RubyPID(n.ID) == id && isRuby(d, name)) {
		return false, nil // not a file of that process
	}
	content, err := pyfile.Look(d, name, mpm.ReadOptions{MaxBytes: mpm.NoLimit})
	switch {
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, mpm.ErrNotTrusted):
		return false, nil
	case err != nil:
		return false, err
	case content == pyfile.Foreign && name == id:
		return false, fmt.Errorf("%w: %w: %s is not client_python's", ErrNoSuchProcess, mpm.ErrForeign, d.Join(name))
	case content == pyfile.Foreign:
		return false, nil
	}
	live := n.Type == metric.Gauge && n.Mode.Live()
	err = released(ctx, func() (bool, error) { return d.OpenForWriting(name) })
	switch {
	case errors.Is(err, mpm.ErrNoLease) && content == pyfile.Nothing:
		return false, nil // it cannot be attributed, and there is nothing to mark
	case errors.Is(err, mpm.ErrNoLease):
		// Nobody can tell whether the process lives. The caller knows.
	case errors.Is(err, mpm.ErrLocked) && force && live:
	case errors.Is(err, mpm.ErrLocked) && force:
		return true, nil // it keeps counting
	case errors.Is(err, fs.ErrNotExist):
		return true, nil
	case err != nil:
		return false, err
	}
	// No process opens it by its new name, so the file that is removed is the one that
	// was checked.
	e, err := pyfile.SetAside(d, name)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return true, nil // a compactor was faster
	case errors.Is(err, mpm.ErrForeign):
		return false, nil // another file has its name now
	case err == nil && live:
		err = pyfile.Remove(d, e.Name)
	}
	return true, err
}

// isRuby reports whether GitLab's client for Ruby wrote the file.
func isRuby(d *mpm.Dir, name string) bool {
	r, err := pyfile.Open(d, name, &pyfile.Keys{}, mpm.ReadOptions{})
	if err != nil {
		return false
	}
	defer r.Close()
	return r.Refresh(d) == nil && r.Ruby()
}

// belongs reports whether the file is of the process that id names. A PID means nothing
// in another PID namespace.
func belongs(h mpm.Header, name, id string, namespace uint64) bool {
	switch pid := strconv.Itoa(h.PID); id {
	case name:
		return true
	case pid:
		return h.PIDNamespace == namespace
	case h.Label + "-" + h.Incarnation.String()[:4]:
		return true // the suffix it has next to an older process with that ID
	case h.Label:
		return true
	}
	return false
}

// markPoll is how often to test a held lock again.
const markPoll = 10 * time.Millisecond

// released waits until a lock is not held any more, or says that it is.
func released(ctx context.Context, isHeld func() (bool, error)) error {
	for {
		held, err := isHeld()
		if err != nil || !held {
			return err
		}
		select {
		case <-ctx.Done():
			return mpm.ErrLocked
		case <-time.After(markPoll):
		}
	}
}

// markFile makes sure that readers treat the process of a file as dead. It reports whether the
// file is there; if not, it was compacted.
func markFile(ctx context.Context, path string, force bool) (there bool, err error) {
	r, err := mpm.Open(path, mpm.ReadOptions{})
	if err != nil {
		return false, nil
	}
	defer r.Close()
	if r.Header().Liveness != mpm.LivenessNone {
		if err = released(ctx, r.Locked); !force || !errors.Is(err, mpm.ErrLocked) {
			return true, err
		}
	}
	return true, mpm.MarkDead(path)
}
