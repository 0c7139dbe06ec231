package mpm

import (
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// envOwners makes TestOwnersInUserNamespaces print whom it trusts.
const envOwners = "MMAPSTORE_TEST_OWNERS"

// TestOwnersInUserNamespaces: the overflow uid identifies nobody. Each case is a real user
// namespace, with a directory per user that has a file of each user.
func TestOwnersInUserNamespaces(t *testing.T) {
	if base := os.Getenv(envOwners); base != "" {
		sayTrusted(t, base)
		return
	}
	if os.Geteuid() != 0 {
		t.Skip("only root can make files of other users")
	}
	const first, second = 71001, 71002
	base, err := os.MkdirTemp("", "owners")
	require.NoError(t, err)
	defer os.RemoveAll(base)
	require.NoError(t, os.Chmod(base, 0o755))
	chown := func(path string, uid int, mode os.FileMode) {
		require.NoError(t, os.Chown(path, uid, uid))
		require.NoError(t, os.Chmod(path, mode))
	}
	users := map[string]int{"root": 0, "first": first, "second": second}
	for owner, uid := range users {
		dir := filepath.Join(base, "of-"+owner)
		require.NoError(t, os.Mkdir(dir, 0o755))
		for name, user := range users {
			file := filepath.Join(dir, name)
			require.NoError(t, os.WriteFile(file, nil, 0o644))
			chown(file, user, 0o644)
		}
		staged := filepath.Join(dir, StagedName)
		require.NoError(t, os.WriteFile(staged, nil, 0o644))
		chown(staged, second, 0o644)
		chown(dir, uid, 0o755)
	}

	overflow := overflowUID()
	everybody := uint32(math.MaxUint32)
	all := []syscall.SysProcIDMap{{ContainerID: 0, HostID: 0, Size: int(everybody)}}
	for name, tc := range map[string]struct {
		maps []syscall.SysProcIDMap // nil: the process itself has no number
		want map[string]string      // by directory
	}{
		"everybody has a number": {all, map[string]string{"root": "root", "first": "first root", "second": "root second"}},
		"nobody has one":         {nil, map[string]string{"root": "root", "first": "root", "second": "root"}},
		"only root has one": {
			[]syscall.SysProcIDMap{{ContainerID: 0, HostID: 0, Size: 1}},
			map[string]string{"root": "root", "first": "root", "second": "root"},
		},
		// A container's map uses the overflow uid for a user of its own.
		"the first user has the overflow uid": {
			[]syscall.SysProcIDMap{{ContainerID: 0, HostID: 0, Size: 1}, {ContainerID: overflow, HostID: first, Size: 1}},
			map[string]string{"root": "root", "first": "first root", "second": "root"},
		},
	} {
		cmd := exec.Command("/proc/self/exe", "-test.run=^"+t.Name()+"$", "-test.v")
		cmd.Env = append(os.Environ(), envOwners+"="+base)
		cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: unix.CLONE_NEWUSER, UidMappings: tc.maps, GidMappings: tc.maps}
		out, err := cmd.CombinedOutput()
		if err != nil && len(out) == 0 {
			t.Skip("no user namespaces here: ", err)
		}
		require.NoError(t, err, "%s: %s", name, out)
		got := map[string]string{}
		for line := range strings.Lines(string(out)) {
			if dir, names, ok := strings.Cut(strings.TrimSpace(line), " trusts "); ok {
				got[dir] = names
			}
		}
		require.Equal(t, tc.want, got, name)
	}
}

func sayTrusted(t *testing.T, base string) {
	dirs, err := os.ReadDir(base)
	require.NoError(t, err)
	for _, e := range dirs {
		d, err := OpenDir(filepath.Join(base, e.Name()))
		require.NoError(t, err)
		trusted, err := d.Trust(nil)
		require.NoError(t, err)
		entries, err := d.Entries()
		require.NoError(t, err)
		var names []string
		// Compaction gives the same reason for the file of the next archive.
		if _, _, err := d.stagedThere(ReadOptions{Trusted: trusted}); err != nil {
			require.ErrorIs(t, err, ErrNotTrusted)
			require.NotContains(t, err.Error(), "uid -1")
		}
		for _, e := range entries {
			if e.Name == StagedName {
				continue
			}
			if f, _, err := d.OpenFile(e.Name, ReadOptions{Trusted: trusted}); err == nil {
				names = append(names, e.Name)
				f.Close()
			} else {
				require.ErrorIs(t, err, ErrNotTrusted)
			}
		}
		_, name, _ := strings.Cut(e.Name(), "of-")
		_, err = os.Stdout.WriteString(name + " trusts " + strings.Join(names, " ") + "\n")
		require.NoError(t, err)
		require.NoError(t, d.Close())
	}
}
