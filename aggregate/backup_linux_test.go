package aggregate

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// slowCp is a cp that copies one file after another, and waits before that with the number AT.
const slowCp = `#!/bin/sh
failed=0
shift # -a
for to; do :; done
for from; do
	[ "$from" = "$to" ] && continue
	n=$(cat "$STATE/n")
	echo $((n + 1)) >"$STATE/n"
	if [ "$n" = "$AT" ]; then
		touch "$STATE/at"
		while [ ! -e "$STATE/go" ]; do sleep 0.01; done
	fi
	/bin/cp -a "$from" "$to" || failed=1
done
exit $failed
`

// TestBackup runs the commands of docs/lifecycle.md for a backup. Whenever the directory is
// compacted in between, the copy has everything once. In the other order it would not.
func TestBackup(t *testing.T) {
	page, err := os.ReadFile("../docs/lifecycle.md")
	require.NoError(t, err)
	m := regexp.MustCompile("\\*\\*Back up\\*\\*[^`]*`archive\\.mpm`[^`]*`([^`]+)`").FindSubmatch(page)
	require.NotNil(t, m)
	commands := string(m[1])
	first, last, ok := strings.Cut(commands, "; ")
	require.True(t, ok)
	for _, archived := range []bool{false, true} {
		for at := range 6 {
			require.EqualValues(t, 1111, restored(t, commands, archived, at), "%v, before file %d", archived, at)
		}
	}
	require.NotEqualValues(t, 1111, restored(t, last+"; "+strings.Replace(first, "*.mpm", "[0-9]*.mpm", 1), true, 1))
}

// restored backs a directory up, in which dead processes have counted 1111, and returns what the
// copy has. The directory is compacted before the file with that number is copied.
func restored(t *testing.T, commands string, archived bool, at int) float64 {
	dir, backup, state := t.TempDir(), t.TempDir(), t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(state, "cp"), []byte(slowCp), 0o700))
	require.NoError(t, os.WriteFile(filepath.Join(state, "n"), []byte("0"), 0o600))
	for i, n := range []int{1000, 1, 10, 100} {
		dead(t, dir, fmt.Sprint(i), int64(i+1), uint64(n))
		if i == 0 && archived {
			compactDir(t, dir)
		}
	}
	cmd := exec.Command("sh", "-c", commands)
	cmd.Args[2] = strings.NewReplacer("DIR", dir, "BACKUP", backup).Replace(commands)
	cmd.Env = append(os.Environ(), "PATH="+state+":"+os.Getenv("PATH"), "STATE="+state, fmt.Sprint("AT=", at))
	ended := make(chan struct{})
	require.NoError(t, cmd.Start())
	go func() {
		cmd.Wait() // its exit code may say that a file has gone
		close(ended)
	}()
	for deadline := time.Now().Add(2 * time.Minute); ; time.Sleep(time.Millisecond) {
		require.True(t, time.Now().Before(deadline))
		select {
		case <-ended:
		default:
			if _, err := os.Stat(filepath.Join(state, "at")); err != nil {
				continue
			}
			compactDir(t, dir)
			require.NoError(t, os.WriteFile(filepath.Join(state, "go"), nil, 0o600))
			<-ended
		}
		break
	}
	return gather(t, openDir(t, backup, Options{}))["c_total"]
}
