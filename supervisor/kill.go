package supervisor

import (
	"errors"
	"fmt"
	"syscall"
	"time"
)

// KillMode says which processes a drain ends, and which are ended after a worker died
// by itself. A worker's process group is the worker and what it started, except
// processes that moved to another group or session.
type KillMode int

const (
	// KillMixed sends SIGTERM to the worker alone, because it may have children of its
	// own to end in order, like gunicorn and Celery. Once the worker is gone, the rest
	// of its process group gets SIGTERM too, such as the server that a shell started.
	// After DrainTimeout all of them get SIGKILL. The worker counts as drained once
	// none is left. The default. (systemd's mode of that name has no second SIGTERM.)
	KillMixed KillMode = iota
	// KillGroup sends SIGTERM to the whole process group at once, for shells that wait
	// for their children before they obey. Otherwise it is like KillMixed.
	KillGroup
	// KillProcess signals the worker alone. Processes that it leaves are logged.
	KillProcess
)

var killModeNames = []string{"mixed", "group", "process"}

// String returns the word that UnmarshalText accepts.
func (m KillMode) String() string {
	if m < 0 || int(m) >= len(killModeNames) {
		return fmt.Sprintf("KillMode(%d)", int(m))
	}
	return killModeNames[m]
}

// UnmarshalText sets m to the KillMode for mixed, group or process.
func (m *KillMode) UnmarshalText(word []byte) error {
	for i, name := range killModeNames {
		if string(word) == name {
			*m = KillMode(i)
			return nil
		}
	}
	return fmt.Errorf("%w: %q is not one of mixed, group, process", errOptions, word)
}

// ErrSurvivors says that processes started by workers still run after Run, outside the
// workers' process groups. It is reported on Linux only.
var ErrSurvivors = errors.New("supervisor: processes started by workers are still running")

const (
	// killPoll is how often to check what is left of a process group.
	killPoll = 20 * time.Millisecond
	// lastMoments is the time for a process that is on its way out: it was killed, or
	// its parent has ended.
	lastMoments = time.Second
)

// terminate asks w to end.
func (s *Supervisor) terminate(w *worker) { s.signal(w, syscall.SIGTERM, s.opt.KillMode == KillGroup) }

// kill ends w.
func (s *Supervisor) kill(w *worker) { s.signal(w, syscall.SIGKILL, s.opt.KillMode != KillProcess) }

// signal ignores errors. It fails only if the processes are gone, and w.done and w.gone
// report that.
func (s *Supervisor) signal(w *worker, sig syscall.Signal, group bool) {
	if group {
		_ = w.proc.SignalGroup(sig)
	} else {
		_ = w.proc.Signal(sig)
	}
}

// clear ends what w left of its process group, after w is gone. It reports whether
// SIGKILL cut a drain short.
func (s *Supervisor) clear(w *worker) (forced bool) {
	pids, left := w.proc.Group()
	if !left {
		return false
	}
	w.mu.Lock()
	deadline := w.drainBy
	w.mu.Unlock()
	if s.opt.KillMode == KillProcess {
		if pids, left = s.outlast(w, time.Now().Add(lastMoments), false); left {
			w.log.Warn("the worker's processes are still running", "pids", pids)
		}
		return false
	}
	if deadline.IsZero() { // it died by itself
		deadline = time.Now().Add(s.opt.DrainTimeout)
		w.log.Warn("ending the worker's remaining processes", "pids", pids)
		_ = w.proc.SignalGroup(syscall.SIGTERM)
	} else if s.opt.KillMode == KillMixed {
		_ = w.proc.SignalGroup(syscall.SIGTERM)
	}
	if pids, left = s.outlast(w, deadline, true); !left {
		return false
	}
	w.log.Warn("killing the worker's remaining processes", "pids", pids)
	_ = w.proc.SignalGroup(syscall.SIGKILL)
	if pids, left = s.outlast(w, time.Now().Add(lastMoments), false); left {
		w.log.Error("killed processes are still there", "pids", pids)
	}
	return true
}

// outlast waits until nothing is left of w's process group. It returns what is left at
// the deadline or, if impatient, when Kill is called.
func (s *Supervisor) outlast(w *worker, deadline time.Time, impatient bool) (pids []int, left bool) {
	var killed <-chan struct{}
	if impatient {
		killed = s.killed
	}
	return poll(deadline, killed, w.proc.Group)
}

// poll calls ask until nothing is left.
func poll(deadline time.Time, stop <-chan struct{}, ask func() ([]int, bool)) (pids []int, left bool) {
	end := time.NewTimer(time.Until(deadline))
	defer end.Stop()
	tick := time.NewTicker(killPoll)
	defer tick.Stop()
	for {
		if pids, left = ask(); !left {
			return nil, false
		}
		select {
		case <-tick.C:
		case <-stop:
			return pids, true
		case <-end.C:
			return pids, true
		}
	}
}

// reportSurvivors looks for workers' processes outside the process groups.
func (s *Supervisor) reportSurvivors() error {
	moments := lastMoments
	if s.opt.KillMode == KillProcess {
		moments = 0 // clear has waited
	}
	pids, left := poll(time.Now().Add(moments), nil, func() ([]int, bool) {
		pids := processesWith(envSupervisor + "=" + s.id)
		return pids, len(pids) > 0
	})
	if !left {
		return nil
	}
	s.opt.Logger.Warn("processes started by workers are still running", "pids", pids)
	if s.opt.KillMode == KillProcess {
		return nil // the option asks for that
	}
	return fmt.Errorf("%w: pids %v", ErrSurvivors, pids)
}
