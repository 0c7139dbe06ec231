package supervisor

import (
	"errors"
	"fmt"
	"net"
	"os"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
)

// IsWorker reports whether a supervisor started this process. It reads
// MULTIPROM_WORKER_SLOT. A worker that runs other programs which supervise on their own
// must remove that variable from their environment.
func IsWorker() bool {
	_, ok := Slot()
	return ok
}

// Slot returns the worker's slot. Its successors have the same.
func Slot() (int, bool) {
	n, err := strconv.Atoi(os.Getenv(envSlot))
	return n, err == nil && n >= 0
}

// inherited is what this process got from its parent. It is process-wide, like
// descriptors and the environment.
var inherited struct {
	mu        sync.Mutex
	taken     bool
	listeners []net.Listener
	err       error
	names     []string // of listeners
	namesErr  error
	link      *os.File // kept reachable, because closing it would look like our death
	ready     bool
}

// Listeners returns the listeners that this process inherited, in the order of
// Options.Listeners. If there are none, it returns none and no error. It also accepts
// systemd's socket activation. The first call removes the protocol's variables from the
// environment and marks the descriptors close-on-exec, so that nothing that the worker
// starts holds them. Later calls return the same listeners.
func Listeners() ([]net.Listener, error) {
	inherited.mu.Lock()
	defer inherited.mu.Unlock()
	take()
	return inherited.listeners, inherited.err
}

// NamedListeners returns the same listeners with their names in LISTEN_FDNAMES, as
// Options.Listeners takes them. The names come from Options.Listeners of the supervisor
// that started this worker, or from FileDescriptorName= of systemd's socket units. A
// name is empty if the parent gave none. The error also reports a different number of
// names.
func NamedListeners() ([]Listener, error) {
	inherited.mu.Lock()
	defer inherited.mu.Unlock()
	take()
	if err := errors.Join(inherited.err, inherited.namesErr); err != nil {
		return nil, err
	}
	named := make([]Listener, len(inherited.listeners))
	for i, l := range inherited.listeners {
		named[i].Listener = l
		if inherited.names != nil {
			named[i].Name = inherited.names[i]
		}
	}
	return named, nil
}

// Ready tells the supervisor that this worker serves. A reload waits for it before it
// drains the predecessor. In other processes it does nothing.
//
// The first call of Ready or Listeners also starts to watch for the end of the
// supervisor. A worker that has lost it gets SIGTERM and exits with status 1 if it has
// not drained within Options.DrainTimeout.
func Ready() error {
	inherited.mu.Lock()
	defer inherited.mu.Unlock()
	take()
	if inherited.link == nil || inherited.ready {
		return nil
	}
	if _, err := inherited.link.Write([]byte{1}); err != nil {
		return fmt.Errorf("supervisor: ready: %w", err)
	}
	inherited.ready = true
	return nil
}

// take adopts the inherited descriptors once. The lock is held.
func take() {
	if inherited.taken {
		return
	}
	inherited.taken = true
	inherited.listeners, inherited.err = takeListeners()
	inherited.err = errors.Join(inherited.err, takeLink())
}

func takeListeners() ([]net.Listener, error) {
	count, pid := os.Getenv(envListenFDs), os.Getenv(envListenPID)
	if count == "" {
		return nil, nil
	}
	// Re-executed workers have no shim that could know their PID. The slot shows that
	// the descriptors are meant for them.
	if pid != strconv.Itoa(os.Getpid()) && (pid != "" || !IsWorker()) {
		if IsWorker() {
			return nil, fmt.Errorf("supervisor: the listeners are for process %s", pid)
		}
		return nil, nil
	}
	names, named := os.LookupEnv(envListenName)
	for _, name := range []string{envListenFDs, envListenPID, envListenID, envListenName} {
		os.Unsetenv(name)
	}
	n, err := strconv.Atoi(count)
	if err != nil || n < 0 || n > 1024 {
		return nil, fmt.Errorf("supervisor: %s=%q", envListenFDs, count)
	}
	if inherited.names = strings.Split(names, ":"); !named {
		inherited.names = nil
	} else if got := len(inherited.names); got != n {
		inherited.namesErr = fmt.Errorf("supervisor: %s=%q has %d names for %d listeners", envListenName, names, got, n)
	}
	for fd := firstFD; fd < firstFD+n; fd++ {
		closeOnExec(fd)
	}
	var listeners []net.Listener
	for fd := firstFD; fd < firstFD+n; fd++ {
		f := os.NewFile(uintptr(fd), "listener"+strconv.Itoa(fd-firstFD))
		l, lerr := net.FileListener(f) // a duplicate, close-on-exec
		f.Close()
		if lerr != nil {
			err = errors.Join(err, fmt.Errorf("supervisor: descriptor %d: %w", fd, lerr))
			continue
		}
		listeners = append(listeners, l)
	}
	return listeners, err
}

func takeLink() error {
	fd, drain := os.Getenv(envLinkFD), os.Getenv(envDrain)
	if fd == "" {
		return nil
	}
	os.Unsetenv(envLinkFD)
	os.Unsetenv(envDrain)
	n, err := strconv.Atoi(fd)
	if err != nil || n < firstFD {
		return fmt.Errorf("supervisor: %s=%q", envLinkFD, fd)
	}
	timeout, err := time.ParseDuration(drain)
	if err != nil {
		return fmt.Errorf("supervisor: %s: %w", envDrain, err)
	}
	closeOnExec(n)
	inherited.link = linkFile(n)
	go watchSupervisor(inherited.link, timeout)
	return nil
}

// watchSupervisor ends this process when the other end of the link closes. The kernel
// closes it however the supervisor dies.
func watchSupervisor(link *os.File, drain time.Duration) {
	var b [1]byte
	for {
		if _, err := link.Read(b[:]); err != nil {
			break
		}
	}
	// If the kernel has already sent DeathSignal, a second signal would cut the drain
	// short in a worker that takes it for impatience.
	if !kernelTellsOrphans {
		if self, err := os.FindProcess(os.Getpid()); err == nil {
			_ = self.Signal(syscall.SIGTERM)
		}
	}
	time.Sleep(drain)
	os.Exit(1)
}
