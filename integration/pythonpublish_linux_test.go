package integration

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/multiprom/multiprom/aggregate"
)

// TestPythonWriterPublishes: what is in the view of the collectors and functions that a Python
// process publishes, and what its log says.
func TestPythonWriterPublishes(t *testing.T) {
	for _, tc := range []struct {
		how  string
		want map[string]float64 // -1 for any value
		not  []string           // prefixes
		log  string             // at most one line
	}{
		{"types", map[string]float64{"pool_jobs_total": 7, `pool_size{pool="a"}`: 1, `python_gc_collections_total{generation="0"}`: -1},
			[]string{"process_", "pool_ages"}, "pool_ages cannot be published"},
		{"goes", map[string]float64{"pool_jobs_total": 7, `pool_size{pool="b"}`: 2}, []string{`pool_size{pool="a"}`}, ""},
		{"limit", map[string]float64{"pool_jobs_total": 7, `pool_size{pool="2"}`: 1}, []string{`pool_size{pool="3"}`}, "more than 4 series"},
		{"fails", map[string]float64{"pool_jobs_total": 9}, []string{"pool_size"}, "no connection"},
		{"forks", map[string]float64{"pool_jobs_total": 107, "started_total": 2, `pool_size{pool="a"}`: 2}, nil, ""},
		{"function", map[string]float64{"changing": -1}, nil, ""},
		{"at exit", map[string]float64{"pool_jobs_total": 50}, []string{"pool_size"}, ""},
	} {
		t.Run(tc.how, func(t *testing.T) {
			dir := t.TempDir()
			cmd := nativePython(t, dir, "native_publish.py", tc.how)
			log, err := os.Create(filepath.Join(t.TempDir(), "log"))
			require.NoError(t, err)
			defer log.Close()
			cmd.Stderr = log
			p := startHelper(t, cmd)
			if tc.how == "at exit" {
				require.False(t, p.lines.Scan(), "it has ended")
			} else {
				p.expect(t, "ready")
			}
			a, err := aggregate.Open(dir, aggregate.Options{NoSelfMetrics: true})
			require.NoError(t, err)
			defer a.Close()
			got := samples(t, a)
			native(t, dir)
			for series, want := range tc.want {
				require.Contains(t, got, series)
				if want >= 0 {
					require.InDelta(t, want, got[series], 0, series)
				}
			}
			for _, prefix := range tc.not {
				require.Zero(t, countPrefix(got, prefix), prefix)
			}
			if tc.how == "function" {
				first := got["changing"]
				eventually(t, "it is published again", func() bool { return samples(t, a)["changing"] > first })
			}
			syscall.Kill(-p.Process.Pid, syscall.SIGKILL)
			p.kill()
			text, err := os.ReadFile(log.Name())
			require.NoError(t, err)
			lines := strings.Count(string(text), "\n")
			if tc.log == "" {
				require.Zero(t, lines, string(text))
			} else {
				require.Contains(t, string(text), tc.log)
				require.Equal(t, 1, lines, string(text))
			}
		})
	}
}
