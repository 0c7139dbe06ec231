package mpm

import (
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
)

func kinds(warnings []DirWarning) (out []DirWarningKind) {
	for _, w := range warnings {
		out = append(out, w.Kind)
	}
	return out
}

func TestDirWarnings(t *testing.T) {
	tmpfs := filesystem{"tmpfs", true, true}
	ext4 := filesystem{"ext4", false, true}
	nfs := filesystem{"nfs", false, false}
	type list = []DirWarningKind
	for name, tc := range map[string]struct {
		mode os.FileMode
		fs   filesystem
		want list
		says []string
	}{
		"as it should be":   {0o700, tmpfs, nil, nil},
		"a group":           {0o770 | os.ModeSetgid, tmpfs, nil, nil},
		"readable by all":   {0o755, tmpfs, nil, nil},
		"emptyDir":          {0o777, tmpfs, list{WarnWritable}, []string{"/d is writable by everybody (mode 0777)", "chmod 0770", "fsGroup"}},
		"with fsGroup":      {0o777 | os.ModeSetgid, tmpfs, list{WarnWritable}, []string{"mode 2777"}},
		"write only":        {0o702, tmpfs, list{WarnWritable}, []string{"mode 0702"}},
		"as /tmp":           {0o777 | os.ModeSticky, tmpfs, list{WarnWritable}, []string{"mode 1777", "a directory below it"}},
		"disk":              {0o700, ext4, list{WarnDisk}, []string{"/d is on ext4, not on a tmpfs", "updates cause disk writes"}},
		"network":           {0o700, nfs, list{WarnNoLocks, WarnDisk}, []string{"/d is on nfs, whose locks are not trusted", "mark-dead"}},
		"all that is wrong": {0o777, nfs, list{WarnWritable, WarnNoLocks, WarnDisk}, nil},
	} {
		got := dirWarnings("/d", tc.mode, tc.fs)
		require.Equal(t, tc.want, kinds(got), name)
		for _, text := range tc.says {
			require.Contains(t, got[0].Text, text, name)
		}
	}
}

func TestCheckDir(t *testing.T) {
	dir := t.TempDir()
	_, err := CheckDir(filepath.Join(dir, "missing"))
	require.ErrorIs(t, err, fs.ErrNotExist)
	file := filepath.Join(dir, "file")
	require.NoError(t, os.WriteFile(file, nil, 0o600))
	_, err = CheckDir(file)
	require.ErrorIs(t, err, syscall.ENOTDIR)
	if runtime.GOOS == "windows" {
		t.Skip("windows has no permission bits")
	}
	for _, tc := range []struct {
		mode     os.FileMode
		writable bool
	}{{0o700, false}, {0o777, true}, {0o777 | os.ModeSticky, true}, {0o770 | os.ModeSetgid, false}} {
		require.NoError(t, os.Chmod(dir, tc.mode)) // whatever the umask is
		got, err := CheckDir(dir)
		require.NoError(t, err)
		if tc.writable {
			require.Contains(t, kinds(got), WarnWritable, tc.mode)
			require.Contains(t, got[0].Text, dir)
		} else {
			require.NotContains(t, kinds(got), WarnWritable, tc.mode)
		}
	}
}
