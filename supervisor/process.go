package supervisor

import (
	"cmp"
	"log/slog"
	"os"
	"strconv"
	"sync"
	"syscall"
	"time"
)

// WorkerState is the state of a worker.
type WorkerState int

// The states, in the order in which a worker passes through them.
const (
	Starting WorkerState = iota // started, not ready yet
	Serving                     // ready
	Draining                    // told to end
	Exited                      // ended and reaped
)

// String returns the state's name in lower case.
func (s WorkerState) String() string {
	switch s {
	case Starting:
		return "starting"
	case Serving:
		return "serving"
	case Draining:
		return "draining"
	case Exited:
		return "exited"
	}
	return "WorkerState(" + strconv.Itoa(int(s)) + ")"
}

// ExitStatus says how a process ended: by itself with Code, or by Signal.
type ExitStatus struct {
	Code   int            // -1 when a signal ended it
	Signal syscall.Signal // 0 when it exited by itself
}

// String is "exit status 1" or "signal: killed".
func (e ExitStatus) String() string {
	if e.Signal != 0 {
		return "signal: " + e.Signal.String()
	}
	return "exit status " + strconv.Itoa(e.Code)
}

// WorkerInfo describes one worker process.
type WorkerInfo struct {
	Slot     int
	PID      int
	State    WorkerState
	Started  time.Time
	Restarts int // how many workers the slot had before this one
	// ExitStatus is how it ended. It is the zero value until State is Exited.
	ExitStatus ExitStatus
}

func compareInfo(a, b WorkerInfo) int {
	return cmp.Or(cmp.Compare(a.Slot, b.Slot), cmp.Compare(a.Restarts, b.Restarts))
}

// processSpec is what the operating system needs to start a worker.
type processSpec struct {
	path string
	argv []string
	env  []string
	fds  []uintptr // the child's descriptors 0, 1, 2, and so on
	// deathSignal is sent by the kernel when this process dies.
	deathSignal syscall.Signal
}

// process is a started child. The interface separates slots from the system.
type process interface {
	PID() int
	// Signal fails with os.ErrProcessDone once the process was reaped. It never reaches
	// another process with the same PID.
	Signal(syscall.Signal) error
	// SignalGroup signals the process and its process group. It also works after the
	// process is gone, if Group reported that others are left: the kernel does not
	// reuse a group's number while the group has a member.
	SignalGroup(syscall.Signal) error
	// Group returns what is left of the process group after the process was reaped, and
	// whether anything is. Not every system tells the PIDs.
	Group() (pids []int, left bool)
	// Wait blocks until the process was reaped. It may be called more than once.
	Wait() ExitStatus
}

// worker is a process in a slot.
type worker struct {
	proc process
	link *os.File     // our end of the link; nil without one
	log  *slog.Logger // with slot and PID

	ready   chan struct{} // closed by becomeReady
	done    chan struct{} // closed after the exit hook returned
	gone    chan struct{} // closed after done, when its process group has ended too
	onReady sync.Once

	age    time.Duration // at its death; written before done is closed
	forced bool          // SIGKILL has ended its process group; written before gone is closed

	mu      sync.Mutex // guards what follows
	info    WorkerInfo
	drainBy time.Time // when its drain becomes SIGKILL; zero before one
}

func (w *worker) snapshot() WorkerInfo {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.info
}

// advance moves w on to state. A worker never goes back.
func (w *worker) advance(state WorkerState) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.info.State = max(w.info.State, state)
}

func (w *worker) becomeReady() {
	w.onReady.Do(func() {
		w.advance(Serving)
		w.log.Info("worker ready")
		close(w.ready)
	})
}

// readLink waits for the byte that Ready writes.
func (w *worker) readLink() {
	var b [1]byte
	if n, _ := w.link.Read(b[:]); n == 1 {
		w.becomeReady()
	}
}
