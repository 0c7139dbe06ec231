package integration

import (
	"fmt"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/multiprom/multiprom/aggregate"
	"github.com/multiprom/multiprom/exposition"
	"github.com/multiprom/multiprom/internal/mpm"
)

// otherPython is an interpreter that runs the scripts in place of Debian's, with Debian's
// prometheus_client: `make python-versions`.
var otherPython = os.Getenv("MULTIPROM_PYTHON")

// nativePython is a command with a script of testdata/python that uses writers/python.
func nativePython(t testing.TB, dir, script string, args ...string) *exec.Cmd {
	t.Helper()
	needPython(t)
	interpreter, path := python, writerOf(t)
	if otherPython != "" {
		modules := t.TempDir()
		for _, module := range []string{"prometheus_client", "decorator.py"} { // and nothing else, which may not be for it
			require.NoError(t, os.Symlink("/usr/lib/python3/dist-packages/"+module, filepath.Join(modules, module)))
		}
		interpreter, path = otherPython, path+":"+modules
	}
	cmd := exec.Command(interpreter, append([]string{"testdata/python/" + script}, args...)...)
	cmd.Env = append(os.Environ(), "PROMETHEUS_MULTIPROC_DIR="+dir, "PYTHONPATH="+path, "PYTHONDONTWRITEBYTECODE=1")
	// A killed parent must not leave its children.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	t.Cleanup(func() {
		if cmd.Process != nil {
			syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
		}
	})
	return cmd
}

// writerOf returns the directory of the Python writer.
func writerOf(t testing.TB) string {
	t.Helper()
	path, err := filepath.Abs("../writers/python")
	require.NoError(t, err)
	return path
}

// native returns the paths of the native files in dir, and checks that they are sound.
func native(t *testing.T, dir string) []string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "[0-9]*.mpm"))
	require.NoError(t, err)
	for _, f := range files {
		problems, err := mpm.Verify(f, mpm.ReadOptions{})
		if os.IsNotExist(err) {
			continue // compacted meanwhile
		}
		require.NoError(t, err, f)
		require.Empty(t, problems, f)
	}
	return files
}

// TestPythonWriter: what the Python writer writes of every type is what the merged view has, in
// a living process and after its death.
func TestPythonWriter(t *testing.T) {
	dir := t.TempDir()
	p := startHelper(t, nativePython(t, dir, "native_types.py"))
	p.expect(t, "ready")
	require.Len(t, native(t, dir), 1)
	a, err := aggregate.Open(dir, aggregate.Options{NoSelfMetrics: true})
	require.NoError(t, err)
	defer a.Close()
	families, err := a.Gather(t.Context())
	require.NoError(t, err)
	var b strings.Builder
	require.NoError(t, exposition.Encode(&b, families, exposition.Options{ContentType: exposition.ContentType{Format: exposition.OpenMetrics100}}))
	var lines []string
	pid := strconv.Itoa(p.Process.Pid)
	for line := range strings.Lines(b.String()) {
		if strings.Contains(line, "# {") { // an exemplar, whose time nobody knows
			line = line[:strings.LastIndex(line, " ")] + "\n"
		}
		lines = append(lines, strings.ReplaceAll(line, `pid="`+pid+`"`, `pid="PID"`))
	}
	want, err := os.ReadFile("testdata/python/native_types.txt")
	require.NoError(t, err)
	require.Equal(t, string(want), strings.Join(lines, ""))

	p.kill()
	for series := range samples(t, a) {
		require.NotContains(t, series, "gauge_live", "the live gauges go with the process, without a hook")
	}
	require.EqualValues(t, 42, samples(t, a)[`requests_total{method="GET",path="/"}`])
	before := string(serve(t, a))
	_, err = aggregate.Compact(t.Context(), dir, aggregate.CompactOptions{})
	require.NoError(t, err)
	require.Empty(t, native(t, dir), "only the archive stays")
	require.Equal(t, before, string(serve(t, a)))
}

// TestPythonWriterForks: each process that is forked has a file of its own, starts at zero, and
// keeps nobody else's lock.
func TestPythonWriterForks(t *testing.T) {
	for _, tc := range []struct {
		how     string
		counted int // processes that count, children first if the parent does not
		parent  bool
	}{
		{"preload", 2, false},
		{"idle", 1, true},
		{"fork", 3, true},
		{"nested", 3, true},
		{"threads", 6, true},
		{"closed", 2, true},
		{"closed idle", 1, true},
		{"handler", 6, true},
		{"multiprocessing fork", 3, true},
		{"multiprocessing spawn", 3, true},
		{"multiprocessing forkserver", 3, true},
	} {
		t.Run(tc.how, func(t *testing.T) {
			dir := t.TempDir()
			p := startHelper(t, nativePython(t, dir, "native_forks.py", tc.how))
			pids := map[int]bool{}
			for ready := false; !ready || len(pids) < tc.counted; {
				require.True(t, p.lines.Scan(), "it ended after %v", pids)
				var pid int
				switch line := p.lines.Text(); {
				case line == "ready":
					ready = true
				case strings.HasPrefix(line, "counted "):
					_, err := fmt.Sscanf(line, "counted %d", &pid)
					require.NoError(t, err)
					pids[pid] = true
				}
			}
			a, err := aggregate.Open(dir, aggregate.Options{NoSelfMetrics: true})
			require.NoError(t, err)
			defer a.Close()
			check := func(live int) {
				t.Helper()
				got := samples(t, a)
				require.EqualValues(t, tc.counted, got[`forks_total{by="a"}`])
				require.EqualValues(t, tc.counted, got["plain_total"])
				require.EqualValues(t, tc.counted, got["forks_seconds_count"])
				require.EqualValues(t, live, got["forks_live"])
			}
			require.Len(t, native(t, dir), tc.counted)
			check(tc.counted)

			// The parent's death is seen although its children live on.
			require.Equal(t, tc.parent, pids[p.Process.Pid])
			p.kill()
			live := tc.counted
			if tc.parent {
				live--
			}
			// A child lets go of the lock as soon as it runs.
			eventually(t, "the parent is dead", func() bool { return samples(t, a)["forks_live"] == float64(live) })
			check(live)
			for pid := range pids {
				syscall.Kill(pid, syscall.SIGKILL)
			}
			eventually(t, "all are dead", func() bool { return samples(t, a)["forks_live"] == 0 })
		})
	}
}

// TestPythonWriterNeverTears: of 10 million values that Go loads while Python stores, each is one
// that Python has stored. A writer that stores by struct.pack_into is caught.
func TestPythonWriterNeverTears(t *testing.T) {
	start := func(t *testing.T, args ...string) (*mpm.Reader, map[string][]uint64) {
		dir := t.TempDir()
		p := startHelper(t, nativePython(t, dir, "native_torn.py", args...))
		p.expect(t, "ready")
		r, err := mpm.Open(native(t, dir)[0], mpm.ReadOptions{})
		require.NoError(t, err)
		t.Cleanup(func() { r.Close() })
		require.NoError(t, r.Refresh())
		words := map[string][]uint64{}
		for _, s := range r.Series() {
			words[s.Schema.Name] = s.Words()
		}
		return r, words
	}
	const one, other = 0x3F11111111111111, 0x40EEEEEEEEEEEEEE
	t.Run("memoryview", func(t *testing.T) {
		_, words := start(t)
		flip, grow, seconds, recent := &words["torn_flip"][0], words["torn_grow"], words["torn_seconds"], words["torn_recent"]
		var ints, observed uint64
		var fraction, sum float64
		changes, last := 0, uint64(0)
		deadline := time.Now().Add(2 * time.Minute)
		for loads := 0; loads < 10_000_000 || changes < 20_000; loads += 7 {
			bits := atomic.LoadUint64(flip)
			if bits != one && bits != other {
				t.Fatalf("a torn gauge: %x", bits)
			}
			if bits != last {
				changes, last = changes+1, bits
			}
			i, f := atomic.LoadUint64(&grow[0]), math.Float64frombits(atomic.LoadUint64(&grow[1]))
			s, n := math.Float64frombits(atomic.LoadUint64(&seconds[0])), atomic.LoadUint64(&seconds[1])
			if i < ints || i%0xFFFFFFFF != 0 || f < fraction || f*2 != math.Trunc(f*2) || s < sum || s*2 != math.Trunc(s*2) || n < observed {
				t.Fatalf("a torn word among %d %v %v %d", i, f, s, n)
			}
			ints, fraction, sum, observed = i, f, s, n
			if value, nanos, ok := mpm.LoadRecent(recent); ok && math.Float64frombits(value)*1e9 != float64(nanos) {
				t.Fatalf("a torn pair: %v at %d", math.Float64frombits(value), nanos)
			}
			if loads%70_000 == 0 {
				require.True(t, time.Now().Before(deadline), "only %d changes in %d loads", changes, loads)
			}
		}
	})
	t.Run("pack_into", func(t *testing.T) {
		_, words := start(t, "pack_into")
		eventually(t, "a torn value is seen", func() bool {
			for range 1_000_000 {
				if bits := atomic.LoadUint64(&words["torn_flip"][0]); bits != one && bits != other {
					return true
				}
			}
			return false
		})
	})
}

// TestPythonWriterBeyondCounting: see native_checks.py.
func TestPythonWriterBeyondCounting(t *testing.T) {
	dir := t.TempDir()
	p := startHelper(t, nativePython(t, dir, "native_checks.py"))
	require.True(t, p.lines.Scan(), "the script has failed")
	var handled float64
	_, err := fmt.Sscanf(p.lines.Text(), "ready %f", &handled)
	require.NoError(t, err)
	require.Len(t, native(t, dir), 1)
	a, err := aggregate.Open(dir, aggregate.Options{NoSelfMetrics: true})
	require.NoError(t, err)
	defer a.Close()
	got := samples(t, a)
	for series, want := range map[string]float64{
		"again_total": 750, "again_seconds_sum": 250, "again_seconds_count": 500, "again_size_sum": 1000, "again_last": 499,
		`again_build_info{v="` + strings.Repeat("x", 200) + `"}`: 1, `again_state{again_state="a",pid="worker-7"}`: 0,
		"both_total": 3, `handle_total{a="x"}`: 2, "reset_total": 1, "invalid_total": 4,
		`long_total{a="__overflow__"}`: 2, `long_total{a="?"}`: 1,
		`function{pid="worker-7"}`: 42, `own_open{pid="worker-7",pool="a"}`: 10, "own_events_total": 10,
		"own_seconds_count": 3, "own_seconds_sum": 9, "own_size_count": 2, "own_size_sum": 5, `own_build_info{v="1"}`: 1,
		`own_state{own_state="b",pid="worker-7"}`: 1,
		"again_exact_count":                       500, "again_exact_sum": 50, "again_inf_sum": math.Inf(1), "again_large_sum": 500e17, "again_reset_total": 0.25,
	} {
		require.Contains(t, got, series)
		require.True(t, got[series] == want || math.Abs(got[series]/want-1) < 1e-12, "%s is %v, not %v", series, got[series], want)
	}
	require.True(t, math.IsNaN(got["again_nan_sum"]))
	require.NotContains(t, got, `own_open{pid="worker-7",pool="gone"}`)
	sums := map[string]float64{}
	for series, v := range got {
		name, _, _ := strings.Cut(series, "{")
		sums[name] += v
	}
	require.InDelta(t, handled, sums["signals_total"], 0, "no update of the signal handler is lost")
	require.InDelta(t, 667, sums["main_total"], 0)
}
