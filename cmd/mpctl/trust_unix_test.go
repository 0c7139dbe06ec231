//go:build unix

package main

import (
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/multiprom/multiprom/internal/mpm"
)

// stranger is a user and a group that own nothing.
const stranger = 65534

// asStranger returns a function that runs this test's helpers as another user. They are
// copied to a place where that user may execute them.
func asStranger(t *testing.T, base string) func(args ...string) (code int, output string) {
	t.Helper()
	self, err := os.Executable()
	require.NoError(t, err)
	for _, name := range []string{"mpctl", "leave"} {
		in, err := os.Open(self)
		require.NoError(t, err)
		defer in.Close()
		out, err := os.OpenFile(filepath.Join(base, name), os.O_CREATE|os.O_WRONLY, 0o755)
		require.NoError(t, err)
		_, err = io.Copy(out, in)
		require.NoError(t, err)
		require.NoError(t, out.Chmod(0o755))
		require.NoError(t, out.Close())
	}
	return func(args ...string) (int, string) {
		t.Helper()
		cmd := exec.Command(filepath.Join(base, args[0]), args[1:]...)
		cmd.Dir = "/"
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: stranger, Gid: stranger}}
		output, err := cmd.CombinedOutput()
		if _, exited := err.(*exec.ExitError); !exited {
			require.NoError(t, err)
		}
		return cmd.ProcessState.ExitCode(), string(output)
	}
}

// sharedDir is a directory of a group, inside one that everyone may enter.
func sharedDir(t *testing.T) (base, dir string) {
	t.Helper()
	base, err := os.MkdirTemp("", "mpctl")
	require.NoError(t, err)
	t.Cleanup(func() { os.RemoveAll(base) })
	require.NoError(t, os.Chmod(base, 0o755))
	dir = filepath.Join(base, "metrics")
	require.NoError(t, os.Mkdir(dir, 0o700))
	require.NoError(t, os.Chown(dir, -1, stranger))
	require.NoError(t, os.Chmod(dir, 0o770|os.ModeSetgid))
	return base, dir
}

func needRoot(t *testing.T) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("only root can run a process as another user")
	}
}

// TestAnotherUserReads what a group may read, and nothing else.
func TestAnotherUserReads(t *testing.T) {
	needRoot(t)
	base, dir := sharedDir(t)
	run := asStranger(t, base)
	s, err := mpm.Create(dir, mpm.Options{Label: "w1", Mode: 0o640})
	require.NoError(t, err)
	require.NoError(t, fill(s, "7"))
	code, out := run("mpctl", "dump", "--dir", dir)
	require.Zero(t, code, out)
	require.Contains(t, out, `} 7`, "the directory's owner is trusted")
	code, out = run("mpctl", "ls", "--dir", dir)
	require.Zero(t, code, out)
	require.Regexp(t, `w1 +live`, out, "its lock is seen")
	code, out = run("mpctl", "check", "--dir", dir)
	require.Zero(t, code, out)

	private, err := mpm.Create(dir, mpm.Options{Label: "w2"})
	require.NoError(t, err)
	code, out = run("mpctl", "check", "--dir", dir)
	require.Equal(t, exitNo, code, out)
	require.Contains(t, out, filepath.Base(private.Path()))
	require.Contains(t, out, "permission denied")
	_, out = run("mpctl", "dump", "--dir", dir)
	require.Contains(t, out, `} 7`, "one that cannot be read hides no other")
}

// TestAnotherUserWrites: its files are left out until it is trusted.
func TestAnotherUserWrites(t *testing.T) {
	needRoot(t)
	base, dir := sharedDir(t)
	code, out := asStranger(t, base)("leave", dir, "w1", "7")
	require.Zero(t, code, out)
	trust := "--trust-uid=" + strconv.Itoa(stranger)

	code, out = mpctl(t, "dump", "--dir", dir)
	require.Zero(t, code, out)
	require.NotContains(t, out, "jobs_total")
	require.Contains(t, out, `multiprom_files{state="untrusted"} 1`)
	code, out = mpctl(t, "dump", "--dir", dir, trust)
	require.Zero(t, code, out)
	require.Contains(t, out, `} 7`)

	_, out = mpctl(t, "ls", "--dir", dir)
	require.NotContains(t, out, "w1")
	_, out = mpctl(t, "ls", "--dir", dir, trust)
	require.Contains(t, out, "w1")

	code, out = mpctl(t, "check", "--dir", dir)
	require.Equal(t, exitNo, code)
	require.Contains(t, out, "belongs to uid 65534")
	code, out = mpctl(t, "check", "--dir", dir, trust)
	require.Zero(t, code, out)
}
