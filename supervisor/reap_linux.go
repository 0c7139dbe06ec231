package supervisor

import (
	"fmt"
	"os"
	"os/signal"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"
)

// reaper does all waiting of this process. Its loop reaps orphans, which nobody else
// waits for, and tells those who ask when a worker has ended.
type reaper struct {
	chld      chan os.Signal
	quit      chan struct{}
	ended     chan struct{}
	subreaper bool

	// mu is held while a process is started, waited for or signalled. So no worker is
	// reaped before it is known, and none is signalled after it was reaped. The
	// standard library's own waits during a start (a failed exec, its probe for pidfds)
	// find their children.
	mu       sync.Mutex
	children map[int]*reaped
}

func newReaper(subreaper bool) (*reaper, error) {
	if subreaper {
		if err := unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0); err != nil {
			return nil, fmt.Errorf("supervisor: become subreaper: %w", err)
		}
	}
	r := &reaper{
		chld:      make(chan os.Signal, 1),
		quit:      make(chan struct{}),
		ended:     make(chan struct{}),
		subreaper: subreaper,
		children:  make(map[int]*reaped),
	}
	signal.Notify(r.chld, unix.SIGCHLD)
	go r.loop()
	return r, nil
}

func (r *reaper) close() {
	signal.Stop(r.chld)
	close(r.quit)
	<-r.ended
	if r.subreaper {
		_ = unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 0, 0, 0, 0)
	}
}

// loop waits without blocking, so that it can end. One SIGCHLD may stand for several
// deaths. The first round reaps orphans from before Notify.
func (r *reaper) loop() {
	defer close(r.ended)
	for {
		r.collect()
		select {
		case <-r.chld:
		case <-r.quit:
			return
		}
	}
}

func (r *reaper) collect() {
	r.mu.Lock()
	defer r.mu.Unlock()
	for {
		var ws unix.WaitStatus
		pid, err := unix.Wait4(-1, &ws, unix.WNOHANG, nil)
		if err == unix.EINTR {
			continue
		}
		if err != nil || pid <= 0 {
			return
		}
		if c, ok := r.children[pid]; ok {
			delete(r.children, pid)
			c.status = exitStatus(syscall.WaitStatus(ws))
			_ = c.proc.Release()
			close(c.done)
		}
	}
}

func (r *reaper) start(spec processSpec) (process, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	p, err := fork(spec)
	if err != nil {
		return nil, err
	}
	c := &reaped{r: r, pid: p.Pid, proc: p, done: make(chan struct{})}
	r.children[p.Pid] = c
	return c, nil
}

// reaped is a worker that the reaper waits for.
type reaped struct {
	r      *reaper
	pid    int
	proc   *os.Process
	done   chan struct{}
	status ExitStatus // written before done is closed
}

func (c *reaped) PID() int { return c.pid }

func (c *reaped) Signal(sig syscall.Signal) error {
	c.r.mu.Lock()
	defer c.r.mu.Unlock()
	if c.r.children[c.pid] != c {
		return os.ErrProcessDone
	}
	return c.proc.Signal(sig)
}

func (c *reaped) Group() ([]int, bool) { return groupMembers(c.pid) }

func (c *reaped) SignalGroup(sig syscall.Signal) error {
	return os.NewSyscallError("kill", unix.Kill(-c.pid, sig))
}

func (c *reaped) Wait() ExitStatus {
	<-c.done
	return c.status
}
