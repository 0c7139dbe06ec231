package supervisor

import (
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/multiprom/multiprom/internal/environ"
)

// envSlot is the environment variable with a worker's slot, 0 to N-1. It stays set in
// the worker, so that other packages can use it as a label.
const envSlot = "MULTIPROM_WORKER_SLOT"

// Variables passed between supervisor, shim and worker.
const (
	envSupervisor = "MULTIPROM_SUPERVISOR" // the supervisor that started the process or an ancestor
	envFileMode   = environ.FileMode
	envDir        = environ.Dir
	envDirLower   = environ.DirLower
	envListenFDs  = "LISTEN_FDS"
	envListenPID  = "LISTEN_PID"
	envListenName = "LISTEN_FDNAMES"
	envListenID   = "LISTEN_PIDFDID"          // identifies the process like LISTEN_PID; newer systemd sets both
	envLinkFD     = "MULTIPROM_LINK_FD"       // the worker's end of the link
	envDrain      = "MULTIPROM_DRAIN_TIMEOUT" // the time that an orphan has left
	envShim       = "MULTIPROM_SHIM"          // the process is a shim
)

// firstFD is the first inherited descriptor, SD_LISTEN_FDS_START.
const firstFD = 3

// workerEnv returns base without what an outer supervisor or systemd meant for this
// process, plus what a worker in slot of the supervisor id needs. linkFD is 0 if there
// is no link.
func workerEnv(base []string, id string, slot int, bySlot bool, names []string, dir string, linkFD int, drain time.Duration, shim bool) []string {
	env := slices.DeleteFunc(lastWins(base), func(kv string) bool {
		switch name, _, _ := strings.Cut(kv, "="); name {
		case envSlot, envSupervisor, envListenFDs, envListenPID, envListenID, envListenName, envLinkFD, envDrain, envShim:
			return true
		case envDir, envDirLower:
			return dir != ""
		case environ.ProcessID:
			return bySlot
		}
		return false
	})
	env = append(env, envSlot+"="+strconv.Itoa(slot), envSupervisor+"="+id)
	if dir != "" {
		env = append(env, envDir+"="+dir)
	}
	if bySlot {
		env = append(env, environ.ProcessID+"="+strconv.Itoa(slot))
	}
	if len(names) > 0 {
		env = append(env,
			envListenFDs+"="+strconv.Itoa(len(names)),
			envListenName+"="+strings.Join(names, ":"))
	}
	if linkFD > 0 {
		env = append(env, envLinkFD+"="+strconv.Itoa(linkFD), envDrain+"="+drain.String())
	}
	if shim {
		env = append(env, envShim+"=1")
	}
	return env
}

// lookup returns the last setting of a variable, or "" if there is none.
func lookup(env []string, name string) (value string) {
	for _, kv := range env {
		if n, v, _ := strings.Cut(kv, "="); n == name {
			value = v
		}
	}
	return value
}

// lastWins drops all but the last setting of each variable, like os/exec. Programs
// disagree on which of several settings counts.
func lastWins(env []string) []string {
	seen := make(map[string]bool, len(env))
	var out []string
	for _, kv := range slices.Backward(env) {
		if name, _, _ := strings.Cut(kv, "="); !seen[name] {
			seen[name] = true
			out = append(out, kv)
		}
	}
	slices.Reverse(out)
	return out
}
