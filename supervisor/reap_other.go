//go:build unix && !linux

package supervisor

import "errors"

// reaper exists on Linux only. Elsewhere nothing supervises as PID 1, and checkPlatform
// refuses the options that ask for it.
type reaper struct{}

func newReaper(bool) (*reaper, error)              { return nil, errors.ErrUnsupported }
func (*reaper) start(processSpec) (process, error) { return nil, errors.ErrUnsupported }
func (*reaper) close()                             {}
