package collectors_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/multiprom/multiprom/internal/form"
	"github.com/multiprom/multiprom/metric"
	"github.com/multiprom/multiprom/registry"
	"github.com/multiprom/multiprom/registry/collectors"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

var (
	_ registry.Describer = (*collectors.Process)(nil)
	_ registry.Describer = (*collectors.Workers)(nil)
	_ registry.Describer = (*collectors.GoRuntime)(nil)
	_ registry.Describer = (*collectors.BuildInfo)(nil)
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
	got := gather(t, collectors.NewProcess(collectors.ProcessOptions{
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
	c := collectors.NewProcess(collectors.ProcessOptions{
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
	got := strings.Join(gather(t, collectors.NewProcess(collectors.ProcessOptions{
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
	families, err := collectors.NewProcess(collectors.ProcessOptions{
		ProcPath: proc.path, PID: func() (int, error) { return 10, nil },
	}).Collect(t.Context())
	assert.ErrorContains(t, err, "process 10")
	assert.Contains(t, lines(families), "process_max_fds 1024")
}

func TestNoProcYieldsNothing(t *testing.T) {
	missing := filepath.Join(t.TempDir(), "proc")
	for _, c := range []registry.Collector{
		collectors.NewProcess(collectors.ProcessOptions{ProcPath: missing}),
		collectors.NewWorkers(collectors.WorkersOptions{ProcPath: missing, List: func() []collectors.Worker {
			return []collectors.Worker{{PID: 1}}
		}}),
	} {
		assert.Empty(t, gather(t, c))
	}
}

func TestOwnProcess(t *testing.T) {
	got := strings.Join(gather(t, collectors.NewProcess(collectors.ProcessOptions{})), "\n")
	if runtime.GOOS != "linux" {
		t.Skip("there is no Linux /proc here")
	}
	for _, f := range collectors.NewProcess(collectors.ProcessOptions{}).Describe() {
		assert.Contains(t, got, f.Name)
	}
}

func TestWorkers(t *testing.T) {
	proc := newFakeProc(t, 7)
	proc.process(10, "S", 100)
	proc.process(11, "R", 110)
	proc.process(12, "Z", 120)
	tests := []struct {
		name   string
		worker collectors.Worker
		shown  bool
	}{
		{"match", collectors.Worker{PID: 11, StartTime: 110, PIDNamespace: 7, Label: "b"}, true},
		{"reused PID", collectors.Worker{PID: 11, StartTime: 109, PIDNamespace: 7, Label: "b"}, false},
		{"no start time", collectors.Worker{PID: 11, PIDNamespace: 7, Label: "b"}, false},
		{"other PID namespace", collectors.Worker{PID: 11, StartTime: 110, PIDNamespace: 8, Label: "b"}, false},
		{"no PID namespace", collectors.Worker{PID: 11, StartTime: 110, Label: "b"}, false},
		{"gone", collectors.Worker{PID: 13, StartTime: 110, PIDNamespace: 7, Label: "b"}, false},
		{"zombie", collectors.Worker{PID: 12, StartTime: 120, PIDNamespace: 7, Label: "b"}, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got := gather(t, collectors.NewWorkers(collectors.WorkersOptions{
				ProcPath: proc.path,
				List: func() []collectors.Worker {
					return []collectors.Worker{tt.worker, {PID: 10, StartTime: 100, PIDNamespace: 7, Label: "a"}}
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
	c := collectors.NewWorkers(collectors.WorkersOptions{
		ProcPath: proc.path, LabelName: "slot", Namespace: "w",
		List: func() []collectors.Worker {
			return []collectors.Worker{{10, 100, 7, "0"}, {11, 110, 7, "0"}}
		},
	})
	families, err := c.Collect(t.Context())
	assert.ErrorContains(t, err, `slot="0"`)
	assert.Contains(t, lines(families), `w_process_virtual_memory_bytes{slot="0"} 10000`)
	assert.Len(t, lines(families), 7)
}

func TestWorkersStopWithTheScrape(t *testing.T) {
	proc := newFakeProc(t, 7)
	proc.process(10, "S", 100)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	families, err := collectors.NewWorkers(collectors.WorkersOptions{
		ProcPath: proc.path, List: func() []collectors.Worker { return []collectors.Worker{{10, 100, 7, "0"}} },
	}).Collect(ctx)
	assert.ErrorIs(t, err, context.Canceled)
	assert.Empty(t, families)
}

func TestWorkersNeedAList(t *testing.T) {
	assert.Panics(t, func() { collectors.NewWorkers(collectors.WorkersOptions{}) })
}

func TestGoRuntime(t *testing.T) {
	runtime.GC()
	c := collectors.NewGoRuntime()
	families, err := c.Collect(t.Context())
	require.NoError(t, err)
	values := make(map[string]float64)
	for _, f := range families {
		for s := range f.Samples() {
			values[s.Name+s.Labels.String()] = s.Value
		}
	}
	for _, f := range c.Describe() {
		for _, name := range []string{
			f.Name, f.Name + "_total", f.Name + "_count", f.Name + metric.MakeLabels("version", runtime.Version()).String(),
			f.Name + "_info" + metric.MakeLabels("version", runtime.Version()).String(),
		} {
			if _, ok := values[name]; ok {
				f = nil
				break
			}
		}
		assert.Nil(t, f, "this runtime has no source for it")
	}
	for name, min := range map[string]float64{
		"go_goroutines": 1, "go_threads": 1, "go_gc_duration_seconds_count": 1, "go_sched_gomaxprocs_threads": 1,
		"go_memstats_alloc_bytes": 1, "go_memstats_alloc_bytes_total": 1, "go_memstats_mallocs_total": 1,
		`go_gc_duration_seconds{quantile="0.25"}`: 0, `go_gc_duration_seconds{quantile="1"}`: 0,
	} {
		v, ok := values[name]
		assert.True(t, ok && v >= min, "%s is %v, there: %v", name, v, ok)
	}
	assert.GreaterOrEqual(t, values["go_memstats_heap_sys_bytes"], values["go_memstats_heap_inuse_bytes"])
	assert.GreaterOrEqual(t, values["go_memstats_sys_bytes"], values["go_memstats_heap_sys_bytes"])
}

func TestBuildInfo(t *testing.T) {
	got := gather(t, collectors.NewBuildInfo())
	require.Len(t, got, 1)
	assert.Regexp(t, `^go_build_info\{checksum=".*",path=".*",version=".*"\} 1$`, got[0])
}

// TestDefaults has what a default registry has, with the rules of promlint
// that can be broken here: a help, base units, _total for counters only.
func TestDefaults(t *testing.T) {
	reg := registry.New(registry.Options{})
	reg.MustRegister(collectors.NewProcess(collectors.ProcessOptions{}), collectors.NewGoRuntime(), collectors.NewBuildInfo())
	families, err := reg.Gather(t.Context())
	require.NoError(t, err)
	for _, f := range families {
		assert.NotEmpty(t, f.Help, f.Name)
		assert.True(t, form.IsLegacyName(f.Name), f.Name)
		if f.Type != metric.Unknown {
			assert.NotRegexp(t, `_(total|info|count|sum|bucket|milliseconds|kilobytes|minutes)$`, f.Name)
		}
	}
}
