package collectors

import (
	"context"

	"github.com/multiprom/multiprom/internal/procs"
	"github.com/multiprom/multiprom/metric"
)

// ProcessOptions of NewProcess. The zero value is this process.
type ProcessOptions struct {
	// Namespace and an underscore are put before all names. Default: none.
	Namespace string
	// PID says, at each scrape, which process to read: its PID as ProcPath has
	// it, which matters if that is of another PID namespace. Default: this
	// process.
	PID func() (int, error)
	// ProcPath is where proc is mounted. Default "/proc".
	ProcPath string
}

// Process collects CPU time, memory, file descriptors and start time of one
// process.
type Process struct{ process *procs.Process }

// NewProcess returns a collector of the process that the options name. It panics if
// the options are invalid: they are constants of a program.
func NewProcess(opts ProcessOptions) *Process {
	return &Process{procs.NewProcess(procs.ProcessOptions(opts))}
}

// Collect reads the process. It yields nothing if there is no /proc or no
// such process, and leaves out what it may not read.
func (c *Process) Collect(ctx context.Context) ([]*metric.Family, error) {
	return c.process.Collect(ctx)
}

// Describe returns the families that Collect can yield.
func (c *Process) Describe() []*metric.Family { return c.process.Describe() }
