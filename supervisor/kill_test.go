//go:build unix

package supervisor

import (
	"bytes"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// syncBuffer is a log to which several goroutines write.
type syncBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *syncBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *syncBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

// family runs one worker, a shell that starts a child and waits for it. The child runs
// until SIGTERM, which it records, or ignores even that.
type family struct {
	*runner
	dir string
	log *syncBuffer
}

func startFamily(t *testing.T, mode KillMode, o Options, start, child string) *family {
	t.Helper()
	f := &family{dir: t.TempDir(), log: &syncBuffer{}}
	script := `cd "$0"; ` + start + ` sh -c '` + child + `
		echo $$ >child.tmp; mv child.tmp child.$PPID; while :; do sleep 0.02; done' & wait`
	o.Workers, o.Command, o.Args = 1, "/bin/sh", []string{"-c", script, f.dir}
	o.KillMode, o.Logger = mode, slog.New(slog.NewTextHandler(f.log, nil))
	f.runner = run(t, o)
	return f
}

// child returns the running worker and its child.
func (f *family) child(t *testing.T) (worker, child int) {
	t.Helper()
	eventually(t, "the worker has a child", func() bool {
		for _, w := range f.Workers() {
			found, err := filepath.Glob(filepath.Join(f.dir, "child.[0-9]*"))
			if err != nil {
				return false
			}
			for _, name := range found {
				if b, err := os.ReadFile(name); err == nil {
					worker = w.PID
					child, _ = strconv.Atoi(strings.TrimSpace(string(b)))
					os.Remove(name)
				}
			}
		}
		return child != 0
	})
	t.Cleanup(func() { _ = syscall.Kill(child, syscall.SIGKILL) }) // if it still runs
	return worker, child
}

func (f *family) noted(name string) bool {
	_, err := os.Stat(filepath.Join(f.dir, name))
	return err == nil
}

const (
	obedient = `trap "touch obeyed; exit 0" TERM;`
	deaf     = `trap "" TERM;`
)

func TestKillModes(t *testing.T) {
	for name, tc := range map[string]struct {
		mode         KillMode
		start, child string
		drain        time.Duration
		want         error
		obeyed       bool   // it was asked to end
		lives        bool   // after Run
		says         string // in the log, with the child's PID if it is named
	}{
		"mixed":              {child: obedient, obeyed: true},
		"mixed, deaf":        {child: deaf, drain: 50 * ms, want: ErrNotDrained, says: "killing the worker's remaining processes"},
		"mixed, own session": {start: "setsid", child: obedient, want: ErrSurvivors, lives: true, says: "are still running"},
		"group":              {mode: KillGroup, child: obedient, obeyed: true},
		"group, deaf":        {mode: KillGroup, child: deaf, drain: 50 * ms, want: ErrNotDrained, says: "killing the worker's remaining processes"},
		"group, own session": {mode: KillGroup, start: "setsid", child: obedient, want: ErrSurvivors, lives: true, says: "are still running"},
		"process":            {mode: KillProcess, child: obedient, lives: true, says: "processes are still running"},
		"process, session":   {mode: KillProcess, start: "setsid", child: obedient, lives: true, says: "are still running"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if tc.start != "" {
				if _, err := exec.LookPath(tc.start); err != nil || runtime.GOOS != "linux" {
					t.Skip("needs Linux and setsid(1)")
				}
			}
			f := startFamily(t, tc.mode, Options{DrainTimeout: tc.drain}, tc.start, tc.child)
			_, child := f.child(t)
			f.cancel()
			if tc.want == nil {
				require.NoError(t, f.wait(t))
			} else {
				require.ErrorIs(t, f.wait(t), tc.want)
			}
			require.Equal(t, tc.lives, isAlive(child), "the child lives")
			require.Equal(t, tc.obeyed, f.noted("obeyed"), "it was asked")
			require.Contains(t, f.log.String(), tc.says)
			if tc.says != "" && runtime.GOOS == "linux" {
				require.Contains(t, f.log.String(), strconv.Itoa(child))
			}
		})
	}
}

// isAlive reports whether a process runs. A zombie does not.
func isAlive(pid int) bool {
	if runtime.GOOS != "linux" {
		return syscall.Kill(pid, 0) == nil
	}
	stat, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	if err != nil {
		return false
	}
	_, rest, _ := strings.Cut(string(stat), ") ")
	return !strings.HasPrefix(rest, "Z") && !strings.HasPrefix(rest, "X")
}

// TestDeadWorkersChildren: processes left by a killed worker end, while its
// successor serves already.
func TestDeadWorkersChildren(t *testing.T) {
	for _, mode := range []KillMode{KillMixed, KillGroup, KillProcess} {
		t.Run(mode.String(), func(t *testing.T) {
			t.Parallel()
			f := startFamily(t, mode, Options{}, "", obedient)
			worker, child := f.child(t)
			require.NoError(t, syscall.Kill(worker, syscall.SIGKILL))
			next, _ := f.child(t)
			require.NotEqual(t, worker, next)
			if mode == KillProcess {
				eventually(t, "it is reported", func() bool { return strings.Contains(f.log.String(), "processes are still running") })
				require.True(t, isAlive(child))
				return
			}
			eventually(t, "the child is gone", func() bool { return !isAlive(child) })
			require.True(t, f.noted("obeyed"))
		})
	}
}

// TestKillEndsAll: Kill reaches the children too.
func TestKillEndsAll(t *testing.T) {
	f := startFamily(t, KillGroup, Options{DrainTimeout: time.Hour}, "", deaf)
	_, child := f.child(t)
	f.Kill()
	require.ErrorIs(t, f.wait(t), ErrNotDrained)
	require.False(t, isAlive(child))
}

// TestWhoIsAskedFirst: a worker that ends its children in order is asked alone, and its
// children only if they outlive it. With KillGroup all are asked at once.
func TestWhoIsAskedFirst(t *testing.T) {
	for mode, asked := range map[KillMode]bool{KillMixed: false, KillGroup: true, KillProcess: false} {
		t.Run(mode.String(), func(t *testing.T) {
			t.Parallel()
			// The worker runs until the file end exists, and then ends its child
			// itself.
			f := startFamily(t, mode, Options{}, `trap 'touch told; while ! [ -e end ]; do sleep 0.02; done; kill -KILL $!; exit 0' TERM;`, obedient)
			_, child := f.child(t)
			f.cancel()
			eventually(t, "the worker is asked", func() bool { return f.noted("told") })
			if asked {
				eventually(t, "so is the child", func() bool { return f.noted("obeyed") })
			} else {
				require.True(t, isAlive(child))
			}
			require.NoError(t, os.WriteFile(filepath.Join(f.dir, "end"), nil, 0o600))
			require.NoError(t, f.wait(t))
			require.Equal(t, asked, f.noted("obeyed"))
			require.False(t, isAlive(child))
		})
	}
}

func TestKillModeWords(t *testing.T) {
	var got KillMode
	for _, m := range []KillMode{KillGroup, KillMixed, KillProcess} {
		require.NoError(t, got.UnmarshalText([]byte(m.String())))
		require.Equal(t, m, got)
	}
	for _, word := range []string{"", "control-group", "Group"} {
		require.ErrorIs(t, got.UnmarshalText([]byte(word)), errOptions)
		require.Equal(t, KillProcess, got)
	}
	require.Equal(t, "KillMode(7)", KillMode(7).String())
	_, err := New(Options{KillMode: 7})
	require.ErrorIs(t, err, errOptions)
}
