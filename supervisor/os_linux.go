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

// processAttributes puts a worker into its own process group, so that Ctrl-C on a
// terminal reaches only the supervisor, which then drains.
func processAttributes(deathSignal syscall.Signal) *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: deathSignal}
}

// sealDescriptors also marks close-on-exec what this process got from its parent, or
// opened through C. Go's own descriptors always are. Kernels before 5.11 lack the call.
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
