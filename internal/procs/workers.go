package procs

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/multiprom/multiprom/internal/options"
	"github.com/multiprom/multiprom/metric"
)

// Worker is a process as it recorded itself when it began. A PID alone does not identify a
// process: another process may get it later, and it means something else in another PID
// namespace.
type Worker struct {
	PID          int
	StartTime    uint64 // clock ticks since boot: field 22 of /proc/PID/stat
	PIDNamespace uint64 // inode of /proc/PID/ns/pid
	Label        string // value of the label pid
}

// WorkersOptions of a Workers.
type WorkersOptions struct {
	// List returns the live workers, at each scrape. It is required.
	List func() []Worker
	// ProcPath is where proc is mounted. Default "/proc".
	ProcPath string
}

// Workers collects the metrics of [Process] for many processes, with a series for each. It
// shows a worker only if the process in /proc is certainly that worker: in the PID namespace
// of the collector's own process, with the start time that the worker recorded, and not a
// zombie.
type Workers struct {
	list     func() []Worker
	procPath string
}

// NewWorkers returns a collector of the workers that opts.List lists. It panics if
// the options are invalid: they are constants of a program.
func NewWorkers(opts WorkersOptions) *Workers {
	var c options.Checker
	if opts.List == nil {
		c.Failf("List", "is nil: it has to list the workers")
	}
	if err := c.Err(); err != nil {
		panic(fmt.Errorf("collectors: %w", err))
	}
	return &Workers{list: opts.List, procPath: procPath(opts.ProcPath)}
}

// Collect reads each worker. Workers that are gone or cannot be identified are left out. Of
// two workers with one label the first stays, and an error names the label.
func (c *Workers) Collect(ctx context.Context) ([]*metric.Family, error) {
	proc, err := openProc(c.procPath)
	if err != nil {
		return nil, ignoreAbsent(err)
	}
	namespace, err := ownPIDNamespace(c.procPath)
	if err != nil {
		return nil, ignoreAbsent(err)
	}

	var shown []labelled
	var errs []error
	taken := make(map[string]bool)
	for _, w := range c.list() {
		if ctx.Err() != nil {
			errs = append(errs, context.Cause(ctx))
			break
		}
		if w.PIDNamespace != namespace {
			continue
		}
		u, err := proc.read(w.PID)
		if !u.hasStat {
			errs = append(errs, err)
			continue
		}
		if u.stat.Starttime != w.StartTime || u.stat.State == "Z" || u.stat.State == "X" {
			continue
		}
		if taken[w.Label] {
			errs = append(errs, fmt.Errorf("two workers have the label pid=%q, process %d is left out", w.Label, w.PID))
			continue
		}
		taken[w.Label] = true
		shown = append(shown, labelled{metric.MakeLabels("pid", w.Label), u})
		errs = append(errs, err)
	}
	return processFamilies("", shown), errors.Join(errs...)
}

// Describe returns the families that Collect can yield.
func (c *Workers) Describe() []*metric.Family { return describeProcess("") }

// ownPIDNamespace returns the inode of the PID namespace of this process,
// which a link such as pid:[4026531836] has.
func ownPIDNamespace(procPath string) (uint64, error) {
	path := filepath.Join(procPath, "self", "ns", "pid")
	link, err := os.Readlink(path)
	if err != nil {
		return 0, err
	}
	inode, ok := strings.CutPrefix(link, "pid:[")
	inode, closed := strings.CutSuffix(inode, "]")
	n, err := strconv.ParseUint(inode, 10, 64)
	if !ok || !closed || err != nil {
		return 0, fmt.Errorf("%s: %q is not a PID namespace", path, link)
	}
	return n, nil
}
