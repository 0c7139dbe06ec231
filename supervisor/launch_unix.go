//go:build unix

package supervisor

import (
	"os"
	"runtime"
	"sync"
	"syscall"
)

// launcher starts all processes from one locked OS thread. On Linux the death signal
// belongs to the thread that forked, not to the process, and Go may end any other
// thread.
type launcher struct {
	work chan func()
	reap *reaper // nil if every child has its own wait
}

func newLauncher(reap, subreaper bool) (*launcher, error) {
	l := &launcher{work: make(chan func())}
	if reap {
		var err error
		if l.reap, err = newReaper(subreaper); err != nil {
			return nil, err
		}
	}
	go func() {
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		for f := range l.work {
			f()
		}
	}()
	return l, nil
}

// close ends the thread. All workers have been reaped by then.
func (l *launcher) close() {
	close(l.work)
	if l.reap != nil {
		l.reap.close()
	}
}

func (l *launcher) start(spec processSpec) (process, error) {
	type result struct {
		proc process
		err  error
	}
	c := make(chan result)
	l.work <- func() {
		var r result
		if l.reap != nil {
			r.proc, r.err = l.reap.start(spec)
		} else {
			r.proc, r.err = startChild(spec)
		}
		c <- r
	}
	r := <-c
	return r.proc, r.err
}

// fork starts spec. It calls syscall.StartProcess, because os.StartProcess may make the
// sockets blocking for all workers that share them.
func fork(spec processSpec) (*os.Process, error) {
	if err := sealDescriptors(); err != nil {
		return nil, err
	}
	pid, _, err := syscall.StartProcess(spec.path, spec.argv, &syscall.ProcAttr{
		Env:   spec.env,
		Files: spec.fds,
		Sys:   processAttributes(spec.deathSignal),
	})
	if err != nil {
		return nil, os.NewSyscallError("fork/exec", err)
	}
	return os.FindProcess(pid) // not reaped yet, so this PID is ours
}

// child is a process with its own wait. The standard library makes sure that a signal
// never reaches another process with the same PID.
type child struct {
	proc *os.Process
	wait func() ExitStatus
}

func startChild(spec processSpec) (process, error) {
	p, err := fork(spec)
	if err != nil {
		return nil, err
	}
	return &child{proc: p, wait: sync.OnceValue(func() ExitStatus {
		state, err := p.Wait()
		if err != nil { // other code waited for it
			return ExitStatus{Code: -1}
		}
		return exitStatus(state.Sys().(syscall.WaitStatus))
	})}, nil
}

func (c *child) PID() int                        { return c.proc.Pid }
func (c *child) Signal(sig syscall.Signal) error { return c.proc.Signal(sig) }
func (c *child) Wait() ExitStatus                { return c.wait() }
func (c *child) Group() ([]int, bool)            { return groupMembers(c.proc.Pid) }
func (c *child) SignalGroup(sig syscall.Signal) error {
	return os.NewSyscallError("kill", syscall.Kill(-c.proc.Pid, sig))
}

func exitStatus(ws syscall.WaitStatus) ExitStatus {
	if ws.Signaled() {
		return ExitStatus{Code: -1, Signal: ws.Signal()}
	}
	return ExitStatus{Code: ws.ExitStatus()}
}
