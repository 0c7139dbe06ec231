package procs

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestUsage: of this process, what is shown is what the collector of processes says; of others
// than those that were recorded, nothing.
func TestUsage(t *testing.T) {
	namespace, err := ownPIDNamespace("/proc")
	require.NoError(t, err)
	proc, err := openProc("/proc")
	require.NoError(t, err)
	before, err := proc.read(os.Getpid())
	require.NoError(t, err)
	self := Worker{PID: os.Getpid(), StartTime: before.stat.Starttime, PIDNamespace: namespace}
	recycled, foreign := self, self
	recycled.StartTime++
	foreign.PIDNamespace++
	got := UsageOf([]Worker{self, recycled, foreign, {}})
	after, err := proc.read(os.Getpid())
	require.NoError(t, err)
	require.True(t, got[0].Known)
	require.GreaterOrEqual(t, got[0].CPU, before.stat.CPUTime())
	require.LessOrEqual(t, got[0].CPU, after.stat.CPUTime())
	require.Positive(t, got[0].RSS)
	require.Equal(t, []Usage{{}, {}, {}}, got[1:])
}

func TestUsageOfStats(t *testing.T) {
	path := t.TempDir()
	require.NoError(t, os.MkdirAll(filepath.Join(path, "self", "ns"), 0o755))
	require.NoError(t, os.Symlink("pid:[7]", filepath.Join(path, "self", "ns", "pid")))
	line := func(state string) string {
		return "10 (a) b (c) " + state + " 1 1 1 0 -1 4194560 1 2 3 4 150 50 7 8 20 0 4 0 250 10000 2 18446744073709551615 0 0"
	}
	for _, tt := range []struct {
		name, stat     string
		known, stopped bool
	}{
		{"whole", line("S"), true, false},
		{"running", line("R"), true, false},
		{"waits for a disk", line("D"), true, false},
		{"stopped", line("T"), true, true},
		{"traced", line("t"), true, true},
		{"zombie", line("Z"), false, false},
		{"dead", line("X"), false, false},
		{"cut short", line("S")[:60], false, false},
		{"no number", "10 (a) S 1 1 1 0 -1 4194560 1 2 3 4 x 50 7 8 20 0 4 0 250 10000 2 1", false, false},
		{"no name", "10 a S 1", false, false},
		{"empty", "", false, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			require.NoError(t, os.MkdirAll(filepath.Join(path, "10"), 0o755))
			require.NoError(t, os.WriteFile(filepath.Join(path, "10", "stat"), []byte(tt.stat), 0o600))
			want := Usage{}
			if tt.known {
				want = Usage{Known: true, CPU: 2, RSS: float64(2 * os.Getpagesize()), Stopped: tt.stopped}
			}
			require.Equal(t, []Usage{want, {}}, usageOf(path, []Worker{{PID: 10, StartTime: 250, PIDNamespace: 7}, {PID: 11, StartTime: 250, PIDNamespace: 7}}), fmt.Sprintf("%q", tt.stat))
		})
	}
}
