package mpm

import (
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// TestRenameInStickyDirectory: another user's file that one may write but not rename keeps its
// only name. A link to it would stay forever.
func TestRenameInStickyDirectory(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root can be another user")
	}
	path := t.TempDir()
	require.NoError(t, os.Chmod(path, 0o777|fs.ModeSticky))
	require.NoError(t, os.WriteFile(filepath.Join(path, "a"), []byte("x"), 0o600))
	require.NoError(t, os.Chmod(filepath.Join(path, "a"), 0o666))
	d, err := OpenDir(path)
	require.NoError(t, err)
	defer d.Close()

	renamed := make(chan error)
	go func() {
		runtime.LockOSThread() // never unlocked, so the thread ends with the goroutine
		if err := unix.Setfsuid(65534); err != nil {
			renamed <- err
			return
		}
		renamed <- d.rename("a", "b")
	}()
	require.ErrorIs(t, <-renamed, fs.ErrPermission)
	for name, want := range map[string]bool{"a": true, "b": false} {
		there, err := d.Exists(name)
		require.NoError(t, err)
		require.Equal(t, want, there, name)
	}
}
