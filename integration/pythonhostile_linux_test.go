package integration

import (
	"fmt"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/multiprom/multiprom/aggregate"
)

// TestPythonWriterHostile: what programs do to a writer, see native_hostile.py. Every file is sound, and no update is
// lost or counted twice.
func TestPythonWriterHostile(t *testing.T) {
	// run starts the script and returns the process, what it has printed by the first word, and its directory.
	run := func(t *testing.T, how string) (*helper, map[string]float64, string) {
		dir := t.TempDir()
		cmd := nativePython(t, dir, "native_hostile.py", how)
		if how == "relative" {
			cmd.Dir = dir
			script, err := filepath.Abs(cmd.Args[1])
			require.NoError(t, err)
			cmd.Args[1] = script
			cmd.Env = append(cmd.Env, "PROMETHEUS_MULTIPROC_DIR=metrics")
			dir = filepath.Join(dir, "metrics")
			require.NoError(t, os.Mkdir(dir, 0o700))
		}
		if how == "user" {
			needRoot(t)
			require.NoError(t, os.Chown(dir, 65534, 65534))
			for parent := filepath.Dir(dir); parent != os.TempDir() && parent != "/"; parent = filepath.Dir(parent) {
				require.NoError(t, os.Chmod(parent, 0o755))
			}
		}
		p := startHelper(t, cmd)
		said := map[string]float64{}
		for p.lines.Scan() {
			var key string
			var value float64
			_, err := fmt.Sscan(p.lines.Text(), &key, &value)
			require.NoError(t, err, p.lines.Text())
			said[key] = value
			if key == "counted" {
				return p, said, dir
			}
		}
		t.Fatal("the script has failed")
		return nil, nil, ""
	}
	open := func(t *testing.T, dir string) *aggregate.Aggregator {
		a, err := aggregate.Open(dir, aggregate.Options{NoSelfMetrics: true})
		require.NoError(t, err)
		t.Cleanup(func() { a.Close() })
		return a
	}
	for how, files := range map[string]int{
		"exec": 2, "relative": 1, "user": 1, "forks": 41, "interrupted": 1, "interrupted everywhere": 1, "clock": 1,
	} {
		t.Run(how, func(t *testing.T) {
			p, said, dir := run(t, how)
			require.Len(t, native(t, dir), files)
			if how != "exec" { // the file that was left lost its lock, which is right, while its pid lives
				checkWriter(t, dir)
			}
			a := open(t, dir)
			got := samples(t, a)
			require.InDelta(t, said["counted"], got["hostile_total"], 0)
			require.InDelta(t, 1, got["hostile_live"], 0, "of the living process")
			if strings.HasPrefix(how, "interrupted") {
				kept := 0.0
				for series, v := range got {
					if strings.HasPrefix(series, "hostile_kept_total{") {
						kept += v
					}
				}
				require.InDelta(t, said["kept"], kept, 0)
				require.Equal(t, 200, countPrefix(got, `hostile_gone_total{n="after `))
			}
			p.kill()
			require.NotContains(t, samples(t, a), "hostile_live")
			require.InDelta(t, said["counted"], samples(t, a)["hostile_total"], 0)
		})
	}
	t.Run("interrupted at birth", func(t *testing.T) {
		_, said, dir := run(t, "interrupted at birth")
		require.Greater(t, said["counted"], 100.0)
		checkWriter(t, dir)
		got := samples(t, open(t, dir))
		require.InDelta(t, said["counted"], got["hostile_total"], 0)
		require.InDelta(t, 1, got["hostile_live"], 0, "of the parent")
	})
	t.Run("daemon", func(t *testing.T) {
		p, said, dir := run(t, "daemon")
		daemon := int(said["daemon"])
		defer syscall.Kill(daemon, syscall.SIGKILL)
		require.Len(t, native(t, dir), 2)
		a := open(t, dir)
		require.InDelta(t, 2, samples(t, a)["hostile_live"], 0)
		p.kill()
		require.InDelta(t, 1, samples(t, a)["hostile_live"], 0, "the daemon does not keep the lock")
		require.NoError(t, syscall.Kill(daemon, syscall.SIGKILL))
		eventually(t, "the daemon is dead", func() bool { return countPrefix(samples(t, a), "hostile_live") == 0 })
		require.InDelta(t, 2, samples(t, a)["hostile_total"], 0)
	})
	t.Run("texts", func(t *testing.T) {
		_, _, dir := run(t, "texts")
		require.Len(t, native(t, dir), 1)
		got := samples(t, open(t, dir))
		for text, want := range map[string]float64{
			"\x00": 1, "a\x00b": 1, "?": 2, "\n\"\\": 1, strings.Repeat("😀", 1024): 1, "e\u0301": 1, "\u202e": 1,
			strings.Repeat("x", 4096): 1, "__overflow__": 1, "": 1, " ": 1, `b'\xff'`: 1, "7": 1, "None": 1,
		} {
			found := 0.0
			for series, v := range got {
				if strings.HasPrefix(series, "hostile_odd_total{") && series == fmt.Sprintf("hostile_odd_total{text=%s}", quoted(text)) {
					found += v
				}
			}
			require.InDelta(t, want, found, 0, "%.40q of %v", text, got)
		}
		require.Equal(t, 14, countPrefix(got, "hostile_odd_total{"))
		require.Equal(t, 1, countPrefix(got, `hostile.é_total{`))
	})
	t.Run("numbers", func(t *testing.T) {
		_, _, dir := run(t, "numbers")
		require.Len(t, native(t, dir), 1)
		got := samples(t, open(t, dir))
		require.InDelta(t, 1e308, got[`hostile_sum_total{n="all"}`], 1e295, "what would be infinite is not added")
		for n, value := range []float64{math.Inf(1), math.Inf(-1), math.NaN(), math.Copysign(0, -1), 1 << 63, 5e-324, math.MaxFloat64} {
			for _, series := range []string{fmt.Sprintf("hostile_gauge_%d", n), fmt.Sprintf("hostile_histogram_%d_sum", n)} {
				v, ok := got[series]
				require.True(t, ok, series)
				require.True(t, v == value || math.IsNaN(v) && math.IsNaN(value), "%s is %v, not %v", series, v, value)
			}
		}
		require.True(t, math.IsNaN(got["hostile_unset"]))
	})
}

// checkWriter fails if `mpctl check --writer` finds something.
func checkWriter(t *testing.T, dir string) {
	t.Helper()
	out, err := exec.Command(mpctl(t), "check", "--writer", dir).CombinedOutput()
	require.NoError(t, err, "%s", out)
}

// quoted is a label value as Labels.String has it.
func quoted(text string) string {
	return `"` + strings.NewReplacer(`\`, `\\`, "\n", `\n`, `"`, `\"`).Replace(text) + `"`
}
