//go:build unix && !linux

package supervisor

import (
	"errors"
	"fmt"
	"syscall"
)

// kernelTellsOrphans: only the link tells a worker that its supervisor died.
const kernelTellsOrphans = false

func checkPlatform(o Options) error {
	if o.Subreaper {
		return fmt.Errorf("supervisor: reaping orphans: %w", errors.ErrUnsupported)
	}
	return nil
}

// processAttributes puts a worker into its own process group, so that Ctrl-C on a
// terminal reaches only the supervisor, which then drains.
func processAttributes(syscall.Signal) *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true}
}

func sealDescriptors() error { return sealListed("/dev/fd") }
