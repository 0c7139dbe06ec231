//go:build unix

package mpm

import (
	"os"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// TestFileModeIgnoresTheUmask: the umask belongs to the process, so this test must not run in
// parallel with others.
func TestFileModeIgnoresTheUmask(t *testing.T) {
	dir := t.TempDir()
	defer unix.Umask(unix.Umask(0o277))
	s, err := Create(dir, Options{Mode: 0o660})
	require.NoError(t, err)
	info, err := os.Stat(s.Path())
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o660), info.Mode())
}
