package supervisor

import (
	"errors"
	"fmt"
	"syscall"
	"time"
)

// KillMode says which processes a drain ends, and which are ended after a worker
// that died by itself. A worker's process group is the worker and what it has
// started, but for processes that moved to a group or session of their own.
type KillMode int

const (
	// KillMixed sends SIGTERM to the worker alone, which may have children of its own
	// to end in good order, as gunicorn and Celery have. Once it is gone, what it has
	// left of its process group gets SIGTERM too: the server that a shell has started.
	// After DrainTimeout all of them get SIGKILL. The worker counts as drained once
	// none is left. The default. (systemd's mode of that name has no second SIGTERM.)
	KillMixed KillMode = iota
	// KillGroup sends SIGTERM to the whole process group at once, for shells that
	// wait for their children before they obey. Otherwise it is KillMixed.
	KillGroup
	// KillProcess signals the worker alone. What it leaves is logged.
	KillProcess
)

var killModeNames = []string{"mixed", "group", "process"}

// String returns the word that ParseKillMode takes.
func (m KillMode) String() string {
	if m < 0 || int(m) >= len(killModeNames) {
		return fmt.Sprintf("KillMode(%d)", int(m))
	}
	return killModeNames[m]
}

// ParseKillMode returns the KillMode of a word: mixed, group or process.
func ParseKillMode(word string) (KillMode, error) {
	for i, name := range killModeNames {
		if word == name {
			return KillMode(i), nil
		}
	}
	return 0, fmt.Errorf("%w: %q is none of mixed, group and process", ErrOptions, word)
}

// ErrSurvivors says that processes which workers had started live on after Run,
// outside of the workers' process groups. It is reported on Linux only.
var ErrSurvivors = errors.New("supervisor: processes that workers have started live on")

const (
	// killPoll is how often a process group is asked for what is left of it.
	killPoll = 20 * time.Millisecond
	// lastMoments is what a process gets that is on its way out: one that was
	// killed, or whose parent has ended.
	lastMoments = time.Second
)

// terminate asks w to end.
func (s *Supervisor) terminate(w *worker) { s.signal(w, syscall.SIGTERM, s.opt.KillMode == KillGroup) }

// kill ends w.
func (s *Supervisor) kill(w *worker) { s.signal(w, syscall.SIGKILL, s.opt.KillMode != KillProcess) }

// signal can fail only because the processes are gone, which w.done and w.gone tell.
func (s *Supervisor) signal(w *worker, sig syscall.Signal, group bool) {
	if group {
		_ = w.proc.SignalGroup(sig)
	} else {
		_ = w.proc.Signal(sig)
	}
}

// clear ends what w, which is gone, has left of its process group, and reports
// whether SIGKILL cut a drain short.
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
			w.log.Warn("worker has left processes, which live on", "pids", pids)
		}
		return false
	}
	if deadline.IsZero() { // it has died by itself
		deadline = time.Now().Add(s.opt.DrainTimeout)
		w.log.Warn("worker has left processes: ending them", "pids", pids)
		_ = w.proc.SignalGroup(syscall.SIGTERM)
	} else if s.opt.KillMode == KillMixed {
		_ = w.proc.SignalGroup(syscall.SIGTERM)
	}
	if pids, left = s.outlast(w, deadline, true); !left {
		return false
	}
	w.log.Warn("killing what the worker has left", "pids", pids)
	_ = w.proc.SignalGroup(syscall.SIGKILL)
	if pids, left = s.outlast(w, time.Now().Add(lastMoments), false); left {
		w.log.Error("killed processes are still there", "pids", pids)
	}
	return true
}

// outlast waits until nothing is left of w's process group and returns what is at
// the deadline, or, if impatient, when Kill is called.
func (s *Supervisor) outlast(w *worker, deadline time.Time, impatient bool) (pids []int, left bool) {
	var killed <-chan struct{}
	if impatient {
		killed = s.killed
	}
	return poll(deadline, killed, w.proc.Group)
}

// poll asks until nothing is left.
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

// reportSurvivors looks for processes of workers that no process group has led to.
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
	s.opt.Logger.Warn("processes that workers have started live on", "pids", pids)
	if s.opt.KillMode == KillProcess {
		return nil // as asked for
	}
	return fmt.Errorf("%w: pids %v", ErrSurvivors, pids)
}
