package integration

import (
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/multiprom/multiprom/internal/mpm"
)

// TestProcOfAnotherNamespace: a process whose /proc shows the processes of another PID namespace says
// when it started, and not when the process started that has its pid there.
func TestProcOfAnotherNamespace(t *testing.T) {
	needRoot(t)
	unshare := needCommand(t, "unshare")
	wrapper := []string{unshare, "--pid", "--fork", "--kill-child"}
	out, err := exec.Command(unshare, append(wrapper[1:], "true")...).CombinedOutput()
	need(t, err == nil, "making PID namespaces is not permitted: "+strings.TrimSpace(string(out)))
	for name, run := range map[string]func(dir string) *helper{
		"Go": func(dir string) *helper { return start(t, "namespace", dir, wrapper...) },
		"Python": func(dir string) *helper {
			cmd := nativePython(t, dir, "native_noproc.py")
			cmd.Path, cmd.Args = unshare, append(append(wrapper[:4:4], cmd.Path), cmd.Args[1:]...)
			return startHelper(t, cmd)
		},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			h := run(dir)
			require.True(t, h.lines.Scan(), "it counts")
			child, err := os.ReadFile(fmt.Sprintf("/proc/%d/task/%[1]d/children", h.Process.Pid))
			require.NoError(t, err)
			stat, err := os.ReadFile("/proc/" + strings.TrimSpace(string(child)) + "/stat")
			require.NoError(t, err)
			_, fields, _ := strings.Cut(string(stat), ") ")
			started, err := strconv.ParseUint(strings.Fields(fields)[19], 10, 64)
			require.NoError(t, err)
			eventually(t, "it has a file", func() bool { return len(native(t, dir)) > 0 })
			for _, path := range native(t, dir) {
				r, err := mpm.Open(path, mpm.ReadOptions{})
				require.NoError(t, err)
				if r.Header().PID == 1 {
					require.Equal(t, started, r.Header().StartTime)
				}
				require.NoError(t, r.Close())
			}
		})
	}
}

// TestPythonWriterWithoutProc: in a chroot without /proc, each of three generations of processes has
// a file of its own and a lock that ends with it, though the last one has closed all descriptors.
func TestPythonWriterWithoutProc(t *testing.T) {
	needRoot(t)
	dir := t.TempDir()
	cmd := nativePython(t, dir, "native_noproc.py")
	cmd.Path = needCommand(t, "unshare")
	cmd.Args = append([]string{"unshare", "--mount", "sh", "-c", `umount -l /proc && exec "$0" "$@"`, cmd.Args[0]}, cmd.Args[1:]...)
	h := startHelper(t, cmd)
	t.Cleanup(func() { syscall.Kill(-h.Process.Pid, syscall.SIGKILL) })
	var pids []int
	for range 3 {
		require.True(t, h.lines.Scan(), "unmounting /proc is not permitted, or a process has failed")
		pid, err := strconv.Atoi(h.lines.Text())
		require.NoError(t, err)
		pids = append(pids, pid)
	}
	a := open(t, dir)
	got := samples(t, a)
	require.EqualValues(t, 3, got["np_updates_total"])
	require.EqualValues(t, 3, got["np_live"])
	for _, path := range native(t, dir) {
		problems, err := mpm.CheckWriter(path, mpm.ReadOptions{}, 0)
		require.NoError(t, err)
		for _, p := range problems { // what only /proc says
			require.Equal(t, "start time, boot ID or PID namespace is 0, which means unknown", p.Reason)
		}
	}
	for left := 2; len(pids) > 0; left-- {
		require.NoError(t, syscall.Kill(pids[0], syscall.SIGKILL))
		pids = pids[1:]
		eventually(t, fmt.Sprintf("%d are left", left), func() bool {
			got := samples(t, a)
			return got["np_live"] == float64(left) && got["np_updates_total"] == 3
		})
	}
}
