package aggregate

import (
	"context"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/multiprom/multiprom/internal/mpm"
	"github.com/multiprom/multiprom/metric"
)

const (
	envRole = "MULTIPROM_TEST_ROLE"
	envStep = "MULTIPROM_TEST_STEP" // number of the failpoint at which a compactor dies
)

// TestMain is also the main of the helper process: a worker with one series.
func TestMain(m *testing.M) {
	switch role := os.Getenv(envRole); role {
	case "":
		os.Exit(m.Run())
	case "worker":
		if err := worker(os.Args[1]); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
	case "traced":
		if err := traced(os.Args[1]); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
	case "compactor":
		os.Exit(dieAtStep(os.Getenv(envStep), func() error {
			_, err := Compact(context.Background(), os.Args[1], CompactOptions{Reserve: true})
			return err
		}))
	case "pythoncompactor":
		os.Exit(dieAtStep(os.Getenv(envStep), func() error {
			_, err := Compact(context.Background(), os.Args[1], CompactOptions{Python: true})
			return err
		}))
	case "dropper":
		os.Exit(dieAtStep(os.Getenv(envStep), func() error {
			_, err := Compact(context.Background(), os.Args[1], CompactOptions{DropFamilies: []string{"jobs"}})
			return err
		}))
	case "wiper":
		os.Exit(dieAtStep(os.Getenv(envStep), func() error {
			_, err := Wipe(os.Args[1], true)
			return err
		}))
	default:
		fmt.Fprintf(os.Stderr, "there is no role %q\n", role)
		os.Exit(3)
	}
}

func worker(dir string) error {
	s, err := mpm.Create(dir, mpm.Options{Label: "w"})
	if err != nil {
		return err
	}
	for _, m := range []metric.Mode{metric.ModeAll, metric.ModeLiveSum} {
		f, err := s.AddSchema(gauge("g_"+m.String(), m))
		if err != nil {
			return err
		}
		one, err := s.AddSeries(f, nil, nil)
		if err != nil {
			return err
		}
		setGauge(one, 3)
	}
	fmt.Println("ready")
	_, err = io.Copy(io.Discard, os.Stdin)
	return err
}

// startWorker starts a worker in dir and waits until it has written. kill ends
// it by SIGKILL and reaps it.
func startWorker(t *testing.T, dir string) (kill func()) { return startRole(t, "worker", dir) }

func startRole(t *testing.T, role, dir string) (kill func()) {
	t.Helper()
	self, err := os.Executable()
	require.NoError(t, err)
	cmd := exec.Command(self, dir)
	cmd.Env = append(os.Environ(), envRole+"="+role)
	cmd.Stderr = os.Stderr
	stdin, err := cmd.StdinPipe()
	require.NoError(t, err)
	stdout, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	kill = func() {
		cmd.Process.Kill()
		cmd.Wait()
		stdin.Close()
	}
	t.Cleanup(kill)
	line := make([]byte, len("ready\n"))
	_, err = io.ReadFull(stdout, line)
	require.NoError(t, err)
	require.Equal(t, "ready\n", string(line))
	return kill
}

// die copies the file of a store into dir, in one step for those who look: a
// copy holds no lock, so that its process counts as dead.
func die(t testing.TB, s *mpm.Store, dir string) string {
	t.Helper()
	b, err := os.ReadFile(s.Path())
	require.NoError(t, err)
	path := filepath.Join(dir, filepath.Base(s.Path()))
	staged := filepath.Join(dir, ".copy-"+filepath.Base(s.Path())) // in the same filesystem
	require.NoError(t, os.WriteFile(staged, b, 0o600))
	require.NoError(t, os.Rename(staged, path))
	return path
}

// setLiveness rewrites the kind of lock in a file's header.
func setLiveness(t testing.TB, path string, kind mpm.Liveness) {
	t.Helper()
	const offLiveness, offCRC = 88, 252 // docs/format.md, "File header"
	b, err := os.ReadFile(path)
	require.NoError(t, err)
	binary.LittleEndian.PutUint32(b[offLiveness:], uint32(kind))
	binary.LittleEndian.PutUint32(b[offCRC:], crc32.Checksum(b[:offCRC], crc32.MakeTable(crc32.Castagnoli)))
	require.NoError(t, os.WriteFile(path, b, 0o600))
}
