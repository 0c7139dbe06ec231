package mpm

import (
	"os"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// TestCheckDirKnowsMemory: /dev/shm is a tmpfs nearly everywhere, /proc is not a place for
// files.
func TestCheckDirKnowsMemory(t *testing.T) {
	got, err := CheckDir("/proc")
	require.NoError(t, err)
	require.Equal(t, []DirWarningKind{WarnNoLocks, WarnDisk}, kinds(got))
	require.Contains(t, got[0].Text, "a file system of type 0x9fa0")

	var st unix.Statfs_t
	if err := unix.Statfs("/dev/shm", &st); err != nil || uint32(st.Type) != unix.TMPFS_MAGIC {
		t.Skip("/dev/shm is no tmpfs on this machine")
	}
	dir, err := os.MkdirTemp("/dev/shm", "checkdir")
	if err != nil {
		t.Skip("cannot write to /dev/shm: ", err)
	}
	defer os.Remove(dir)
	got, err = CheckDir(dir)
	require.NoError(t, err)
	require.Empty(t, got)
}
