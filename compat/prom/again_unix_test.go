//go:build unix

package prom_test

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/stretchr/testify/require"

	"github.com/multiprom/multiprom/aggregate"
	"github.com/multiprom/multiprom/compat/prom"
	"github.com/multiprom/multiprom/compat/prom/promauto"
)

// TestKilledAfterMakingAgain kills processes by SIGKILL that have unregistered and deleted
// metrics and made them again. No series is there twice. As one process has kept the
// metric, what the others have counted before stays; what nobody has is gone. The dead
// change nothing, nor does compaction, and those that start after them are added.
func TestKilledAfterMakingAgain(t *testing.T) {
	t.Parallel()
	const source = "testdata/again/main.go"
	content, err := os.ReadFile(source)
	require.NoError(t, err)
	program, dir := build(t, source, string(content)), t.TempDir()

	f, _ := factoryOn(t, dir, prom.Options{})
	r := prom.NewRegistry()
	promauto.From(f, r).NewCounter(prometheus.CounterOpts{Name: "x_total", Help: "h"}).Add(1000)
	promauto.From(f, r).NewCounterVec(prometheus.CounterOpts{Name: "v_total", Help: "h"}, []string{"l"}).WithLabelValues("stays").Add(1000)
	view := viewOf(t, dir)
	check := func(what string, processes, sum int) {
		t.Helper()
		v := fmt.Sprintf("# HELP v_total h\n# TYPE v_total counter\nv_total{l=\"stays\"} %d\n", 1000+7*processes+sum)
		second := fmt.Sprintf("# HELP x_registry_2_total h\n# TYPE x_registry_2_total counter\nx_registry_2_total %d\n", 10*processes)
		x := fmt.Sprintf("# HELP x_total h\n# TYPE x_total counter\nx_total %d\n", 1000+5*processes+sum)
		require.NoError(t, testutil.GatherAndCompare(r, strings.NewReader(v+x)), what)
		// Gatherers refuse what is there twice.
		require.NoError(t, testutil.GatherAndCompare(prometheus.Gatherers{view}, strings.NewReader(v+second+x),
			"v_total", "x_total", "x_registry_2_total", "x_registry_3_total"), what)
	}
	run := func(n int) *exec.Cmd {
		cmd := exec.Command(program, fmt.Sprint(n))
		cmd.Env = append(os.Environ(), "PROMETHEUS_MULTIPROC_DIR="+dir)
		cmd.Stderr = os.Stderr
		out, err := cmd.StdoutPipe()
		require.NoError(t, err)
		require.NoError(t, cmd.Start())
		t.Cleanup(func() { cmd.Process.Kill(); cmd.Wait() })
		line, err := bufio.NewReader(out).ReadString('\n')
		require.NoError(t, err)
		require.Equal(t, "ready\n", line)
		return cmd
	}
	var four []*exec.Cmd
	sum := 0
	for n := 1; n <= 4; n++ {
		four = append(four, run(n))
		sum += n
	}
	check("four live", 4, sum)
	for _, cmd := range four {
		require.NoError(t, cmd.Process.Kill())
		cmd.Wait()
	}
	check("four are dead", 4, sum)
	_, err = aggregate.Compact(t.Context(), dir, aggregate.CompactOptions{Threshold: 1})
	require.NoError(t, err)
	check("compacted", 4, sum)
	run(5)
	check("another one", 5, sum+5)
}
