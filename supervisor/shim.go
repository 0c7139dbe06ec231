package supervisor

import (
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"sync/atomic"
	"syscall"
)

// shimReady records that main can act as a shim.
var shimReady atomic.Bool

// MaybeShim belongs at the top of main in every program that supervises foreign
// commands. In a process that the supervisor started as a shim it never returns: it
// sets LISTEN_PID, which only the worker itself can know because exec keeps the PID,
// and becomes the command. Otherwise it only records that it was called.
func MaybeShim() {
	shimReady.Store(true)
	if os.Getenv(envShim) == "" {
		return
	}
	err := shim(os.Args[1:])
	fmt.Fprintln(os.Stderr, err)
	os.Exit(126) // like a shell that cannot execute a command
}

// shim executes argv in place of this process. It returns only on failure.
func shim(argv []string) error {
	if len(argv) == 0 {
		return fmt.Errorf("supervisor: shim: no command")
	}
	path, err := exec.LookPath(argv[0])
	if err != nil {
		return fmt.Errorf("supervisor: shim: %w", err)
	}
	if err := os.Unsetenv(envShim); err != nil {
		return fmt.Errorf("supervisor: shim: %w", err)
	}
	if err := os.Setenv(envListenPID, strconv.Itoa(os.Getpid())); err != nil {
		return fmt.Errorf("supervisor: shim: %w", err)
	}
	return fmt.Errorf("supervisor: shim: %s: %w", path, syscall.Exec(path, argv, os.Environ()))
}
