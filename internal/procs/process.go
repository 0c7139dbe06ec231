package procs

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"syscall"

	"github.com/multiprom/multiprom/internal/form"
	"github.com/multiprom/multiprom/internal/options"
	"github.com/multiprom/multiprom/metric"
	"github.com/prometheus/procfs"
)

// userHZ is the unit of the times in /proc/PID/stat: a hundredth of a second
// on all platforms of Go (procfs, proc_stat.go, has the history).
const userHZ = 100

// ProcessOptions are collectors.ProcessOptions.
type ProcessOptions struct {
	Namespace string              // default: none
	PID       func() (int, error) // default: this process
	ProcPath  string              // default "/proc"
}

// Process collects CPU time, memory, file descriptors and start time of one
// process.
type Process struct {
	prefix   string
	pid      func() (int, error)
	procPath string
}

// NewProcess returns a collector of the process that the options name. It panics if
// the options are invalid: they are constants of a program.
func NewProcess(opts ProcessOptions) *Process {
	var check options.Checker
	prefix := namePrefix(&check, opts.Namespace)
	if err := check.Err(); err != nil {
		panic(fmt.Errorf("collectors: %w", err))
	}
	c := &Process{prefix: prefix, pid: opts.PID, procPath: procPath(opts.ProcPath)}
	if c.pid == nil {
		c.pid = func() (int, error) { return os.Getpid(), nil }
	}
	return c
}

// Collect reads the process. It yields nothing if there is no /proc or no such process, and
// leaves out what it may not read.
func (c *Process) Collect(context.Context) ([]*metric.Family, error) {
	proc, err := openProc(c.procPath)
	if err != nil {
		return nil, ignoreAbsent(err)
	}
	pid, err := c.pid()
	if err != nil {
		return nil, fmt.Errorf("which process to read: %w", err)
	}
	usage, err := proc.read(pid)
	return processFamilies(c.prefix, []labelled{{nil, usage}}), err
}

// Describe returns the families that Collect can yield.
func (c *Process) Describe() []*metric.Family { return describeProcess(c.prefix) }

// declared is a family of the table below.
type declared struct {
	name string // as metric.Family has it: counters without _total
	help string
	typ  metric.Type
}

func (d declared) family(prefix string) *metric.Family {
	return &metric.Family{Name: prefix + d.name, Help: d.help, Type: d.typ}
}

// processMetrics are what Process and Workers yield, each with how to get it.
var processMetrics = []struct {
	declared
	value func(u *usage) (v float64, ok bool)
}{
	{declared{"process_cpu_seconds", "Total user and system CPU time spent in seconds.", metric.Counter},
		func(u *usage) (float64, bool) { return u.stat.CPUTime(), u.hasStat }},
	{declared{"process_max_fds", "Maximum number of open file descriptors.", metric.Gauge},
		func(u *usage) (float64, bool) { return float64(u.limits.OpenFiles), u.hasLimits }},
	{declared{"process_open_fds", "Number of open file descriptors.", metric.Gauge},
		func(u *usage) (float64, bool) { return float64(u.openFDs), u.hasFDs }},
	{declared{"process_resident_memory_bytes", "Resident memory size in bytes.", metric.Gauge},
		func(u *usage) (float64, bool) { return float64(u.stat.ResidentMemory()), u.hasStat }},
	{declared{"process_start_time_seconds", "Start time of the process since unix epoch in seconds.", metric.Gauge},
		func(u *usage) (float64, bool) { return u.started, u.hasStat }},
	{declared{"process_virtual_memory_bytes", "Virtual memory size in bytes.", metric.Gauge},
		func(u *usage) (float64, bool) { return float64(u.stat.VirtualMemory()), u.hasStat }},
	{declared{"process_virtual_memory_max_bytes", "Maximum amount of virtual memory available in bytes.", metric.Gauge},
		func(u *usage) (float64, bool) { return float64(u.limits.AddressSpace), u.hasLimits }},
}

// labelled is what one process uses, and the labels of its series.
type labelled struct {
	labels metric.Labels
	usage
}

// processFamilies returns the families that have at least one series.
func processFamilies(prefix string, procs []labelled) []*metric.Family {
	var families []*metric.Family
	for _, m := range processMetrics {
		f := m.family(prefix)
		for i := range procs {
			if v, ok := m.value(&procs[i].usage); ok {
				f.Series = append(f.Series, metric.Series{Labels: procs[i].labels, Value: v})
			}
		}
		if len(f.Series) > 0 {
			families = append(families, f)
		}
	}
	return families
}

func describeProcess(prefix string) []*metric.Family {
	var families []*metric.Family
	for _, m := range processMetrics {
		families = append(families, m.family(prefix))
	}
	return families
}

// usage is what /proc says of one process. Each part may be missing.
type usage struct {
	hasStat bool
	stat    procfs.ProcStat
	started float64 // seconds since the epoch

	hasLimits bool
	limits    procfs.ProcLimits

	hasFDs  bool
	openFDs int
}

// procDir is a mounted proc filesystem.
type procDir struct {
	fs       procfs.FS
	bootTime float64 // seconds since the epoch
}

// openProc also reads the boot time: it takes parsing all of /proc/stat, which
// is long on a machine with many CPUs, and is the same for all processes.
func openProc(path string) (*procDir, error) {
	proc, err := procfs.NewFS(path)
	if err != nil {
		return nil, err
	}
	stat, err := proc.Stat()
	if err != nil {
		return nil, err
	}
	return &procDir{fs: proc, bootTime: float64(stat.BootTime)}, nil
}

// read returns what the process uses, without what is absent, and an error for
// what is there but cannot be understood. It reads stat last: when that shows
// the start time that the caller expects, the process had its PID all along,
// and so what was read before is of that process too.
func (d *procDir) read(pid int) (usage, error) {
	var u usage
	proc, err := d.fs.Proc(pid)
	if err != nil {
		return u, inProcess(pid, err)
	}
	var errFDs, errLimits, errStat error
	u.openFDs, errFDs = proc.FileDescriptorsLen()
	u.hasFDs = errFDs == nil
	u.limits, errLimits = proc.Limits()
	u.hasLimits = errLimits == nil
	u.stat, errStat = proc.Stat()
	u.hasStat = errStat == nil
	u.started = d.bootTime + float64(u.stat.Starttime)/userHZ
	return u, errors.Join(inProcess(pid, errFDs), inProcess(pid, errLimits), inProcess(pid, errStat))
}

// inProcess says which process err is about, unless it is to be ignored. It
// takes one error, not joined ones, of which one would hide the others.
func inProcess(pid int, err error) error {
	if err = ignoreAbsent(err); err != nil {
		return fmt.Errorf("process %d: %w", pid, err)
	}
	return nil
}

// ignoreAbsent drops the errors of what is not there, ends meanwhile or is
// not for us to read: its metrics are missing, and no scrape is the worse.
func ignoreAbsent(err error) error {
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, fs.ErrPermission) || errors.Is(err, syscall.ESRCH) {
		return nil
	}
	return err
}

func procPath(path string) string {
	if path == "" {
		return procfs.DefaultMountPoint
	}
	return path
}

// namePrefix returns what stands before all names.
func namePrefix(c *options.Checker, namespace string) string {
	if namespace == "" {
		return ""
	}
	if err := form.CheckName(namespace); err != nil {
		c.Failf("Namespace", "cannot begin a name: %v", err)
	}
	return namespace + "_"
}
