package integration

import (
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func command(t *testing.T, name string, args ...string) string {
	t.Helper()
	out, err := exec.Command(name, args...).CombinedOutput()
	require.NoError(t, err, "%s %v: %s", name, args, out)
	return string(out)
}

// mount mounts, and unmounts at the end of the test. Root in a container may not mount.
func mount(t *testing.T, dir string, args ...string) {
	t.Helper()
	out, err := exec.Command("mount", append(args, dir)...).CombinedOutput()
	need(t, err == nil, "mounting is not permitted: "+strings.TrimSpace(string(out)))
	t.Cleanup(func() { command(t, "umount", "--lazy", dir) })
}

func mountTmpfs(t *testing.T, dir string) {
	mount(t, dir, "-t", "tmpfs", "-o", "size=1m", "tmpfs")
}

// mountExt4 mounts a small image that is nearly full.
func mountExt4(t *testing.T, dir string) {
	mkfs := needCommand(t, "mkfs.ext4")
	image := filepath.Join(t.TempDir(), "image")
	command(t, "truncate", "--size=4M", image)
	command(t, mkfs, "-q", "-m", "0", "-O", "^has_journal", image)
	mount(t, dir, "-o", "loop", image)
}
