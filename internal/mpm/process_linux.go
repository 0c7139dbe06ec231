package mpm

import (
	"errors"
	"strconv"

	"golang.org/x/sys/unix"
)

// stateOf asks the system for the process of a header: the one of that pid that has its start
// time. It may be a thread group whose first thread has ended; then it is unknown.
func stateOf(h *Header) processState {
	us := CurrentIdentity()
	if h.StartTime == 0 || h.BootID != us.BootID || h.PIDNamespace == 0 || h.PIDNamespace != us.PIDNamespace {
		return processUnknown
	}
	state, start, ok := processStat(strconv.Itoa(h.PID))
	switch {
	case ok && start == h.StartTime && state != 'Z' && state != 'X':
		return processLives
	case ok && start != h.StartTime:
		return processEnded // and another one has its pid
	case !ok && errors.Is(unix.Kill(h.PID, 0), unix.ESRCH): // /proc may hide it
		return processEnded
	}
	return processUnknown
}
