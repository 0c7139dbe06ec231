package aggregate

import (
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
	for _, f := range a.snapshot.Files {
		if !f.Known || f.Python != nil {
			continue
		}
		h := &f.Header
		p := Process{
			Kind: Native, Files: []string{f.Name}, PID: h.PID, Label: f.Label, State: stateOfProcess(f), Liveness: h.Liveness.String(), Incarnation: h.Incarnation.String(),
			Created: h.Created, StartTime: h.StartTime, BootID: h.BootID, PIDNamespace: h.PIDNamespace,
			Series: f.Series.Count(), Bytes: f.Bytes,
		}
		if p.Label == "" {
			p.Label = h.Label // another process has taken it over
		}
		out = append(out, p)
	}
	return append(out, pythonProcesses(a.snapshot.Files)...), nil
}

func stateOfProcess(f *snapshot.File) State {
	switch {
	case f.Dead:
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

// pythonProcesses returns the processes of client_python's files, in the order of their IDs.
func pythonProcesses(files []*snapshot.File) (out []Process) {
	type id struct {
		label string
		live  bool
	}
	byID := map[id]int{}
	for _, f := range files {
		if f.Python == nil || !f.Known {
			continue
		}
		key := id{f.Header.Label, f.Live}
		n, known := byID[key]
		if !known {
			n = len(out)
			byID[key] = n
			p := Process{Kind: Python, Label: key.label, State: Dead}
			if p.PID, _ = strconv.Atoi(key.label); f.Live {
				p.State = Live
			}
			out = append(out, p)
		}
		p := &out[n]
		if f.Python.Ruby() {
			p.Kind = Ruby
			p.PID, _ = strconv.Atoi(pyfile.RubyPID(key.label))
		}
		p.Files = append(p.Files, f.Name)
		p.Series += f.Size()
		p.Bytes += f.Bytes
	}
	slices.SortStableFunc(out, func(p, q Process) int { return strings.Compare(p.Label, q.Label) })
	return out
}
