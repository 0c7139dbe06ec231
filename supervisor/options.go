package supervisor

import (
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"syscall"
	"time"

	"github.com/multiprom/multiprom/aggregate"
	"github.com/multiprom/multiprom/internal/mpm"
	"github.com/multiprom/multiprom/internal/options"
)

// Errors of New. They are mistakes of a program.
var (
	// errNested says that a worker tried to supervise copies of itself. main must call
	// IsWorker before New.
	errNested = errors.New("supervisor: this process is a worker and would start itself again")
	// errNoShim says that Command needs LISTEN_PID, that main never called
	// MaybeShim, and that Options.ShimCommand names no substitute.
	errNoShim = errors.New("supervisor: main must call MaybeShim before it runs foreign commands")
	// errOptions says that options contradict each other or are out of range.
	errOptions = errors.New("supervisor: invalid options")
)

// Backoff spaces out the restarts of a slot whose workers die young.
type Backoff struct {
	// Min is the delay after the second young death in a row; the first one restarts at
	// once. Each further death doubles it. Default 100 ms.
	Min time.Duration
	// Max limits the delay. Default 30 s. Up to a quarter of every delay is taken off
	// at random, so that slots do not restart in step.
	Max time.Duration
	// Young is the age below which a death counts as a failed start. The death of an
	// older worker resets the delay. Default 2 s.
	Young time.Duration
}

// Options configure a Supervisor. The zero value runs one copy of the current
// program per CPU, without listeners and without metrics.
type Options struct {
	// Workers is the number of slots. Default runtime.GOMAXPROCS(0), which
	// follows the container's CPU limit.
	Workers int
	// Command is the program to run. Empty means this executable, and Args then default
	// to this process's own. Any other program gets its sockets by systemd's LISTEN_FDS
	// protocol.
	Command string
	// Args are the arguments, without the program's name. Default: none; with an empty
	// Command this process's own.
	Args []string
	// SignalsReady says that Command calls Ready. It is implied if Command is empty.
	// By default other programs count as ready once they have lived for ReadyAfter.
	SignalsReady bool
	// ShimCommand replaces this executable as the program that gives a foreign command
	// its LISTEN_PID. Command's path and arguments are appended to it. It must set
	// LISTEN_PID to its own PID and then exec them. Default: this executable.
	ShimCommand []string
	// Env is the workers' environment; nil means this process's own. The supervisor
	// adds its variables to it.
	Env []string
	// Dir becomes PROMETHEUS_MULTIPROC_DIR of the workers and of this process, as an
	// absolute path. It is created if it is missing, also at the start of each worker.
	// Default: what Env says; without that variable there is no directory.
	Dir string
	// ProcessIDBySlot makes a worker's slot, 0 to N-1, its process ID in the merged view:
	// the value of the label pid in gauges of mode all and in process metrics. A successor
	// has the same, so series survive restarts and there are only as many as slots. While a
	// reload has two workers in one slot, the younger one's ID has a suffix, such as 0-3f7a.
	// It is 0 again when the old one is gone. By default the ID is the worker's PID, or
	// MULTIPROM_PROCESS_ID from Env.
	ProcessIDBySlot bool
	// OnStart says what happens to files that are in Dir when Run begins. Default
	// OnStartCompact.
	OnStart OnStart
	// NoCompact leaves dead workers' files where they are. Something else must compact
	// Dir, or it grows with every worker.
	NoCompact bool
	// Compact says when and how dead workers' files are compacted into the archive. Its
	// Logger is replaced by this one's. The zero value is its defaults.
	Compact aggregate.CompactorOptions
	// DirMode is the mode of Dir and its missing parents if New creates them, whatever
	// the umask is. An existing directory keeps its own. Default 0700, or 2770 with
	// Group (0770 and fs.ModeSetgid).
	DirMode fs.FileMode
	// Group, a name or number, is the group of what New creates, so that a reader of
	// another user can see it. As a member of the group, `mpctl serve` trusts the
	// directory's owner and, with --trust-uid, further users whose workers share the
	// directory. The setgid bit of DirMode gives the group to every new file. 2750 is
	// enough if one user writes. Default: this process's own group.
	Group string
	// FileMode becomes the workers' MULTIPROM_FILE_MODE, which multiproc obeys. 0640
	// lets Group read the files, 0660 also lets it mark processes dead. Default 0640
	// with Group; otherwise what Env says, or 0600.
	FileMode fs.FileMode
	// Listeners are opened once, by New. Every worker inherits them. Default: none.
	Listeners []Listener
	// MetricsAddress is where the supervisor itself serves Metrics, in the syntax of
	// Listener.Address. It needs a directory. Default: metrics are not served.
	MetricsAddress string
	// Metrics answers every request to MetricsAddress, whatever its path. The server
	// limits the size of headers and the time of a client. Default: the merged view of
	// Dir, with the process metrics of the workers; a status page at /, and the probes
	// /-/healthy and /-/ready.
	// exposition.Handler(registry.Default()) adds this process's own collectors.
	Metrics http.Handler
	// MetricsLenient serves the merged view with exposition.HandlerOptions.Lenient. It
	// needs MetricsAddress, and is an error with Metrics.
	MetricsLenient bool
	// Exits send the merged view of Dir, and their own metrics, while Run runs. They end when
	// all workers have ended, so they send what these have counted at last. They need a
	// directory. Default: none.
	Exits []Exit
	// Record is how many minutes of the workers' metrics are kept beside Dir, second by
	// second, for mpctl replay (docs/operations.md). It needs a directory. Default: none.
	Record time.Duration
	// DrainTimeout is the time that a worker has from SIGTERM to SIGKILL. Default 30 s.
	DrainTimeout time.Duration
	// KillMode says which of a worker's processes get these signals, and when. Default
	// KillMixed: the worker, then the rest of its process group.
	KillMode KillMode
	// ReadyTimeout is how long Reload waits for a replacement that calls
	// Ready. Default 30 s.
	ReadyTimeout time.Duration
	// ReadyAfter is the age at which a worker that does not call Ready counts
	// as ready. Default 1 s.
	ReadyAfter time.Duration
	// Backoff spaces out restarts. The zero value is its defaults.
	Backoff Backoff
	// DeathSignal is what the kernel sends to a worker whose supervisor died,
	// on Linux only. Default SIGTERM; SIGKILL is for commands that ignore it.
	DeathSignal syscall.Signal
	// NoReap leaves orphans alone. By default the supervisor waits for them if this process
	// has PID 1. No other code in the process may then wait for children: the supervisor
	// takes their exit status. Set NoReap if this process has PID 1 and runs other commands
	// with os/exec, or has an init process around it.
	NoReap bool
	// Subreaper makes this process the parent of its descendants' orphans, like PID 1, while
	// Run runs, and waits for them. It excludes NoReap. Linux only.
	Subreaper bool
	// Stdout and Stderr are the workers' own, without a copy through the supervisor.
	// Default os.Stdout and os.Stderr. Their stdin is the null device.
	Stdout, Stderr *os.File
	// Logger gets starts, exits and failures; nil logs nothing.
	Logger *slog.Logger
	// OnWorkerStart and OnWorkerExit are called once for each process, in this order
	// and before the slot's next start. Calls for different workers may overlap. A slow
	// hook delays only its own slot. Default: none.
	OnWorkerStart, OnWorkerExit func(WorkerInfo)

	gid int // of Group, -1 without one

	// start is the seam that runs a process; nil means the operating system.
	start func(processSpec) (process, error)
	// random is the seam of jitter, in [0, 1).
	random func() float64
}

// maxSignal is the largest signal number on Linux.
const maxSignal = 64

// withDefaults checks o and fills in what was left out. Its only side effect is to
// create Dir.
func (o Options) withDefaults() (Options, error) {
	var c options.Checker
	options.Number(&c, "Workers", &o.Workers, runtime.GOMAXPROCS(0))
	options.Number(&c, "Record", &o.Record, 0)
	options.Number(&c, "DrainTimeout", &o.DrainTimeout, 30*time.Second)
	options.Number(&c, "ReadyTimeout", &o.ReadyTimeout, 30*time.Second)
	options.Number(&c, "ReadyAfter", &o.ReadyAfter, time.Second)
	options.Number(&c, "Backoff.Min", &o.Backoff.Min, 100*time.Millisecond)
	options.Number(&c, "Backoff.Max", &o.Backoff.Max, max(30*time.Second, o.Backoff.Min))
	options.Number(&c, "Backoff.Young", &o.Backoff.Young, 2*time.Second)
	if o.Backoff.Max < o.Backoff.Min {
		c.Failf("Backoff.Max", "is %v, less than Backoff.Min, which is %v", o.Backoff.Max, o.Backoff.Min)
	}
	words := []struct {
		name       string
		value, max int
	}{
		{"OnStart", int(o.OnStart), int(OnStartRefuse)}, {"KillMode", int(o.KillMode), int(KillProcess)},
	}
	for _, w := range words {
		if w.value < 0 || w.value > w.max {
			c.Failf(w.name, "is %d: it must be one of its constants", w.value)
		}
	}
	if o.NoReap && o.Subreaper {
		c.Failf("NoReap", "and Subreaper exclude each other")
	}
	if o.DeathSignal < 0 || o.DeathSignal > maxSignal {
		c.Failf("DeathSignal", "is %d: it must be a signal", o.DeathSignal)
	}
	if o.DirMode&^modeBits != 0 || o.DirMode != 0 && o.DirMode&0o700 != 0o700 {
		c.Failf("DirMode", "is %v: it must be permissions with which its owner can use the directory, or 0 for the default", o.DirMode)
	}
	if o.FileMode != 0 {
		if _, err := mpm.ParseFileMode(octal(o.FileMode)); err != nil {
			c.Failf("FileMode", "is invalid: %v", err)
		}
	}
	if _, err := aggregate.NewCompactor(".", o.Compact); err != nil { // looks at no directory
		c.Failf("Compact", "is invalid: %v", err)
	}
	if err := c.Err(); err != nil {
		return o, fmt.Errorf("%w: %w", errOptions, err)
	}
	if o.DeathSignal == 0 {
		o.DeathSignal = syscall.SIGTERM
	}
	if o.Stdout == nil {
		o.Stdout = os.Stdout
	}
	if o.Stderr == nil {
		o.Stderr = os.Stderr
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	o.Compact.Logger = o.Logger
	if o.Env == nil {
		o.Env = os.Environ()
	}
	o, err := o.withCommand()
	if err != nil {
		return o, err
	}
	if o, err = o.withDir(); err != nil {
		return o, err
	}
	return o, o.checkMetrics()
}

// withCommand resolves once what a worker executes. If the file is replaced, a reload
// runs the new one.
func (o Options) withCommand() (Options, error) {
	self, err := os.Executable()
	if err != nil {
		return o, fmt.Errorf("supervisor: own executable: %w", err)
	}
	if slot := os.Getenv(envSlot); slot != "" && !IsWorker() {
		return o, fmt.Errorf("%w: %s is %q, which is not a slot: unset it, only supervisors set it", errOptions, envSlot, slot)
	}
	if o.Command == "" {
		if IsWorker() {
			return o, errNested
		}
		o.Command, o.SignalsReady, o.ShimCommand = self, true, nil
		if o.Args == nil {
			o.Args = os.Args[1:]
		}
		return o, nil
	}
	if o.Command, err = exec.LookPath(o.Command); err != nil {
		return o, fmt.Errorf("supervisor: Command: %w", err)
	}
	if o.Command, err = filepath.Abs(o.Command); err != nil {
		return o, fmt.Errorf("supervisor: Command: %w", err)
	}
	switch {
	case len(o.Listeners) == 0:
		o.ShimCommand = nil // no sockets, so there is no LISTEN_PID to set
	case len(o.ShimCommand) == 0:
		// Without that call, the shim would run main as another supervisor.
		if !shimReady.Load() {
			return o, errNoShim
		}
		o.ShimCommand = []string{self}
	}
	return o, nil
}

// reaps reports whether the reaper loop owns all children.
func (o Options) reaps() bool {
	return o.Subreaper || !o.NoReap && os.Getpid() == 1
}
