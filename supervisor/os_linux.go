package supervisor

import (
	"errors"
	"fmt"
	"math"
	"syscall"

	"golang.org/x/sys/unix"
)

// kernelTellsOrphans says that workers get a signal when the supervisor dies.
const kernelTellsOrphans = true

func checkPlatform(Options) error { return nil }

// processAttributes puts a worker into its own process group, so that a
// terminal's Ctrl-C reaches the supervisor alone, which then drains.
func processAttributes(deathSignal syscall.Signal) *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: deathSignal}
}

// sealDescriptors marks what this process got from its parent, or opened
// through C, close-on-exec too; Go's own descriptors always are. Kernels
// before 5.11 lack the call.
func sealDescriptors() error {
	err := unix.CloseRange(firstFD, math.MaxUint32, unix.CLOSE_RANGE_CLOEXEC)
	if errors.Is(err, unix.ENOSYS) || errors.Is(err, unix.EINVAL) || errors.Is(err, unix.EPERM) {
		return sealListed("/proc/self/fd")
	}
	if err != nil {
		return fmt.Errorf("close_range: %w", err)
	}
	return nil
}
