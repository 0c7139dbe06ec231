package aggregate

import (
	"cmp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/multiprom/multiprom/aggregate/internal/snapshot"
	"github.com/multiprom/multiprom/internal/mpm"
	"github.com/multiprom/multiprom/internal/pyfile"
)

// State says whether a process lives, as far as its file tells.
type State string

// The states, as the label state of multiprom_processes has them.
const (
	Live   State = "live"
	Closed State = "closed" // lives, but has closed its store
	Marked State = "marked" // lives, but was marked dead by force
	Dead   State = "dead"
	// NoStore: lives, and has no file in the directory; see Options.Workers.
	NoStore State = "nostore"
)

var processStates = []State{Live, Closed, Marked, Dead, NoStore}

// Kind is who wrote a process's files.
type Kind string

// The kinds.
const (
	Native Kind = "native"
	Python Kind = "python" // client_python
	Ruby   Kind = "ruby"   // GitLab's client for Ruby
)

// Process is a process with its file. A process of client_python may have several files. Of
// its ID there may be two: one with the files in use, and one with those that were set
// aside.
type Process struct {
	Kind         Kind
	Files        []string // names in the directory
	PID          int      // in its own PID namespace; 0 if the process ID is no PID
	Label        string   // its process label, made unique among living processes
	State        State
	Liveness     string    // the kind of lock that says whether it lives: ofd, flock, lockfileex or none
	Incarnation  string    // of its store, in hexadecimal; empty for a process of client_python
	Created      time.Time // when it opened its file
	StartTime    uint64    // clock ticks since boot, 0 when unknown
	BootID       [16]byte
	PIDNamespace uint64
	Series       int
	Bytes        int64 // of the file in use
}

// Processes returns the processes of all readable files, in the order of the files' names,
// those of client_python last. It reads the directory as Gather does. Processes of
// client_python count as living until their files are set aside.
func (a *Aggregator) Processes() ([]Process, error) {
	unlock, err := a.refreshed()
	if err != nil {
		return nil, err
	}
	defer unlock()
	snapshot.NameProcesses(a.snapshot.Files, a.snapshot.Archive)
	a.table.RenewSymbols(a.snapshot.Files)
	a.table.Rename()
	var out []Process
	for _, p := range processesOf(a.snapshot.Files) {
		out = append(out, p.Process)
	}
	return out, nil
}

// processFiles is a process with what only this package says of it.
type processFiles struct {
	Process
	key   string           // see keyOf
	id    string           // the label before it was made unique
	files []*snapshot.File // those named in Files
	slot  int              // of a living process, once assigned; -1 otherwise
}

// processesOf returns the processes of all readable files, as Aggregator.Processes has them.
func processesOf(files []*snapshot.File) []*processFiles {
	var native, python []*processFiles
	byKey := map[string]*processFiles{}
	for _, f := range files {
		if !f.Known {
			continue
		}
		key := keyOf(f)
		p := byKey[key]
		if p == nil {
			p = processOf(f, key)
			if byKey[key] = p; f.Python == nil {
				native = append(native, p)
			} else {
				python = append(python, p)
			}
		}
		if f.Python != nil && f.Python.Ruby() {
			p.Kind = Ruby
			p.PID, _ = strconv.Atoi(pyfile.RubyPID(p.id))
		}
		p.files, p.Files = append(p.files, f), append(p.Files, f.Name)
		p.Series += f.Size()
		p.Bytes += f.Bytes
	}
	slices.SortStableFunc(python, func(p, q *processFiles) int { return strings.Compare(p.id, q.id) })
	return append(native, python...)
}

// processOf returns the process of a file, without what all its files add up to.
func processOf(f *snapshot.File, key string) *processFiles {
	h := &f.Header
	p := &processFiles{key: key, id: h.Label, slot: -1}
	p.Kind, p.Label, p.State = Python, cmp.Or(f.Label, h.Label), stateOfProcess(f) // another may have taken the label over
	if f.Python != nil {
		p.PID, _ = strconv.Atoi(h.Label)
		return p
	}
	p.Kind, p.PID, p.Created, p.StartTime, p.BootID, p.PIDNamespace = Native, h.PID, h.Created, h.StartTime, h.BootID, h.PIDNamespace
	p.Liveness, p.Incarnation = h.Liveness.String(), h.Incarnation.String()
	return p
}

// keyOf returns what files of one process have in common, and of no other. A process of
// client_python whose files were set aside is another one than a living one of its ID.
func keyOf(f *snapshot.File) string {
	switch {
	case f.Python == nil:
		return f.Name
	case f.Live:
		return "python " + f.Header.Label
	}
	return deadPython + "python " + f.Header.Label
}

const deadPython = "dead "

func stateOfProcess(f *snapshot.File) State {
	switch {
	case f.Dead, f.Python != nil && !f.Live:
		return Dead
	case f.Marked:
		return Marked
	case f.Closed:
		return Closed
	}
	return Live
}

// storeless returns how many of the workers have no file of their own.
func (a *Aggregator) storeless() (n int) {
	if a.opts.Workers == nil {
		return 0
	}
	namespace := mpm.CurrentIdentity().PIDNamespace
	have := map[int]bool{}
	for _, f := range a.snapshot.Files {
		if f.Known && f.Python == nil && !f.Dead && f.Header.PIDNamespace == namespace {
			have[f.Header.PID] = true
		}
	}
	for _, pid := range a.opts.Workers() {
		if !have[pid] {
			n++
		}
	}
	return n
}
