package procs_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/multiprom/multiprom/internal/form"
	"github.com/multiprom/multiprom/internal/procs"
	"github.com/multiprom/multiprom/metric"
	"github.com/multiprom/multiprom/registry"
)

var (
	_ registry.Describer = (*procs.Process)(nil)
	_ registry.Describer = (*procs.Workers)(nil)
)

// gather registers c alone and returns its families as lines of samples.
func gather(t *testing.T, c registry.Collector) []string {
	t.Helper()
	reg := registry.New(registry.Options{})
	require.NoError(t, reg.Register(c))
	families, err := reg.Gather(t.Context())
	require.NoError(t, err)
	return lines(families)
}

func lines(families []*metric.Family) []string {
	var out []string
	for _, f := range families {
		for s := range f.Samples() {
			out = append(out, s.Name+s.Labels.String()+" "+form.FormatFloat(s.Value))
		}
	}
	return out
}

// fakeProc is a /proc in a temporary directory, booted at 1000 s.
type fakeProc struct {
	t    *testing.T
	path string
}

func newFakeProc(t *testing.T, namespace uint64) fakeProc {
	p := fakeProc{t, t.TempDir()}
	p.write("stat", "cpu  1 2 3 4 5 6 7 8 9 10\nbtime 1000\n")
	require.NoError(t, os.MkdirAll(filepath.Join(p.path, "self", "ns"), 0o755))
	if err := os.Symlink(fmt.Sprintf("pid:[%d]", namespace), filepath.Join(p.path, "self", "ns", "pid")); err != nil {
		t.Skip("no symbolic links here:", err)
	}
	return p
}

func (p fakeProc) write(name, content string) {
	p.t.Helper()
	path := filepath.Join(p.path, name)
	require.NoError(p.t, os.MkdirAll(filepath.Dir(path), 0o755))
	require.NoError(p.t, os.WriteFile(path, []byte(content), 0o600))
}

// process adds a process whose virtual memory is 1000 times its PID, with 3
// open files.
func (p fakeProc) process(pid int, state string, startTime uint64) {
	p.t.Helper()
	dir := fmt.Sprint(pid)
	// Its name has what makes careless parsers fail.
	p.write(dir+"/stat", fmt.Sprintf("%d (a) b (c) %s 1 1 1 0 -1 4194560 1 2 3 4 150 50 7 8 20 0 4 0 %d %d 2 18446744073709551615 %s\n",
		pid, state, startTime, 1000*pid, strings.Repeat("0 ", 30)))
	p.write(dir+"/limits", "Limit                     Soft Limit           Hard Limit           Units     \n"+
		"Max open files            1024                 4096                 files     \n"+
		"Max address space         unlimited            unlimited            bytes     \n")
	for _, fd := range []string{"0", "1", "2"} {
		p.write(dir+"/fd/"+fd, "")
	}
}

func TestProcess(t *testing.T) {
	proc := newFakeProc(t, 7)
	proc.process(10, "S", 250)
	got := gather(t, procs.NewProcess(procs.ProcessOptions{
		Namespace: "job", ProcPath: proc.path, PID: func() (int, error) { return 10, nil },
	}))
	assert.Equal(t, []string{
		"job_process_cpu_seconds_total 2",
		"job_process_max_fds 1024",
		"job_process_open_fds 3",
		"job_process_resident_memory_bytes " + form.FormatFloat(float64(2*os.Getpagesize())),
		"job_process_start_time_seconds 1002.5",
		"job_process_virtual_memory_bytes 10000",
		"job_process_virtual_memory_max_bytes 1.8446744073709552e+19",
	}, got)
}

func TestProcessAsksForThePIDAtEachScrape(t *testing.T) {
	proc := newFakeProc(t, 7)
	proc.process(10, "S", 1)
	proc.process(11, "S", 1)
	pid, pidErr := 10, error(nil)
	c := procs.NewProcess(procs.ProcessOptions{
		ProcPath: proc.path, PID: func() (int, error) { return pid, pidErr },
	})
	assert.Contains(t, gather(t, c), "process_virtual_memory_bytes 10000")
	pid = 11
	assert.Contains(t, gather(t, c), "process_virtual_memory_bytes 11000")
	pid = 12
	assert.Empty(t, gather(t, c), "a process that is not there has no metrics, and is no error")

	pidErr = errors.New("no pid file")
	_, err := c.Collect(t.Context())
	assert.ErrorIs(t, err, pidErr)
}

func TestProcessLeavesOutWhatIsMissing(t *testing.T) {
	proc := newFakeProc(t, 7)
	proc.process(10, "S", 1)
	require.NoError(t, os.RemoveAll(filepath.Join(proc.path, "10", "fd")))
	got := strings.Join(gather(t, procs.NewProcess(procs.ProcessOptions{
		ProcPath: proc.path, PID: func() (int, error) { return 10, nil },
	})), "\n")
	assert.NotContains(t, got, "process_open_fds")
	assert.Contains(t, got, "process_max_fds 1024")
}

func TestProcessReportsWhatItCannotParse(t *testing.T) {
	proc := newFakeProc(t, 7)
	proc.process(10, "S", 1)
	require.NoError(t, os.RemoveAll(filepath.Join(proc.path, "10", "fd"))) // must not hide the other error
	proc.write("10/stat", "nonsense")
	families, err := procs.NewProcess(procs.ProcessOptions{
		ProcPath: proc.path, PID: func() (int, error) { return 10, nil },
	}).Collect(t.Context())
	assert.ErrorContains(t, err, "process 10")
	assert.Contains(t, lines(families), "process_max_fds 1024")
}

func TestNoProcYieldsNothing(t *testing.T) {
	missing := filepath.Join(t.TempDir(), "proc")
	for _, c := range []registry.Collector{
		procs.NewProcess(procs.ProcessOptions{ProcPath: missing}),
		procs.NewWorkers(procs.WorkersOptions{ProcPath: missing, List: func() []procs.Worker {
			return []procs.Worker{{PID: 1}}
		}}),
	} {
		assert.Empty(t, gather(t, c))
	}
}

func TestWorkers(t *testing.T) {
	proc := newFakeProc(t, 7)
	proc.process(10, "S", 100)
	proc.process(11, "R", 110)
	proc.process(12, "Z", 120)
	tests := []struct {
		name   string
		worker procs.Worker
		shown  bool
	}{
		{"match", procs.Worker{PID: 11, StartTime: 110, PIDNamespace: 7, Label: "b"}, true},
		{"reused PID", procs.Worker{PID: 11, StartTime: 109, PIDNamespace: 7, Label: "b"}, false},
		{"no start time", procs.Worker{PID: 11, PIDNamespace: 7, Label: "b"}, false},
		{"other PID namespace", procs.Worker{PID: 11, StartTime: 110, PIDNamespace: 8, Label: "b"}, false},
		{"no PID namespace", procs.Worker{PID: 11, StartTime: 110, Label: "b"}, false},
		{"gone", procs.Worker{PID: 13, StartTime: 110, PIDNamespace: 7, Label: "b"}, false},
		{"zombie", procs.Worker{PID: 12, StartTime: 120, PIDNamespace: 7, Label: "b"}, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got := gather(t, procs.NewWorkers(procs.WorkersOptions{
				ProcPath: proc.path,
				List: func() []procs.Worker {
					return []procs.Worker{tt.worker, {PID: 10, StartTime: 100, PIDNamespace: 7, Label: "a"}}
				},
			}))
			assert.Contains(t, got, `process_virtual_memory_bytes{pid="a"} 10000`)
			assert.Equal(t, tt.shown, len(got) == 14, "%q", got)
			if tt.shown {
				assert.Contains(t, got, `process_virtual_memory_bytes{pid="b"} 11000`)
			}
		})
	}
}

func TestWorkersOfOneLabel(t *testing.T) {
	proc := newFakeProc(t, 7)
	proc.process(10, "S", 100)
	proc.process(11, "S", 110)
	c := procs.NewWorkers(procs.WorkersOptions{
		ProcPath: proc.path,
		List: func() []procs.Worker {
			return []procs.Worker{{10, 100, 7, "0"}, {11, 110, 7, "0"}}
		},
	})
	families, err := c.Collect(t.Context())
	assert.ErrorContains(t, err, `pid="0"`)
	assert.Contains(t, lines(families), `process_virtual_memory_bytes{pid="0"} 10000`)
	assert.Len(t, lines(families), 7)
}

func TestWorkersStopWithTheScrape(t *testing.T) {
	proc := newFakeProc(t, 7)
	proc.process(10, "S", 100)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	families, err := procs.NewWorkers(procs.WorkersOptions{
		ProcPath: proc.path, List: func() []procs.Worker { return []procs.Worker{{10, 100, 7, "0"}} },
	}).Collect(ctx)
	assert.ErrorIs(t, err, context.Canceled)
	assert.Empty(t, families)
}

func TestWorkersNeedAList(t *testing.T) {
	assert.Panics(t, func() { procs.NewWorkers(procs.WorkersOptions{}) })
}
