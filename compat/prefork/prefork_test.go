package prefork_test

import (
	"bufio"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/multiprom/multiprom/aggregate"
	"github.com/multiprom/multiprom/compat/prefork"
	"github.com/multiprom/multiprom/multiproc"
	"github.com/multiprom/multiprom/registry"
)

const envChild = "PREFORK_TEST_CHILD"

// TestMain is a child too: it counts 1 and waits to be killed.
func TestMain(m *testing.M) {
	if os.Getenv(envChild) == "" {
		os.Unsetenv(multiproc.EnvDir)
		os.Exit(m.Run())
	}
	jobs := multiproc.NewCounter(multiproc.CounterOpts{Name: "jobs", Help: "Jobs done."})
	if _, err := prefork.Child(prefork.Options{Dir: os.Getenv(envChild)}); err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	jobs.Inc()
	fmt.Println("ready")
	io.Copy(io.Discard, os.Stdin)
}

// spawn starts a child that has counted when it returns, as a framework does: with
// the master's environment.
func spawn(t *testing.T, dir string) *exec.Cmd {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), envChild+"="+dir)
	_, err := cmd.StdinPipe()
	require.NoError(t, err)
	stdout, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	t.Cleanup(func() { kill(cmd) })
	line, err := bufio.NewReader(stdout).ReadString('\n')
	require.NoError(t, err)
	require.Equal(t, "ready\n", line)
	return cmd
}

func kill(cmd *exec.Cmd) {
	cmd.Process.Kill()
	cmd.Wait()
}

// master compacts when it is told of one death, and not by itself.
func master(t *testing.T, dir string) *prefork.Process {
	t.Helper()
	t.Setenv(multiproc.EnvDir, "") // and put back what Master sets
	p, err := prefork.Master(prefork.Options{
		Dir: dir, MetricsAddress: "127.0.0.1:0",
		Compact: aggregate.CompactorOptions{CompactOptions: aggregate.CompactOptions{Threshold: 1}, Period: time.Hour},
	})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, p.Close()) })
	return p
}

func files(t *testing.T, dir string) int {
	t.Helper()
	names, err := filepath.Glob(filepath.Join(dir, "[0-9]*.mpm"))
	require.NoError(t, err)
	return len(names)
}

func jobs(t *testing.T, dir string) int {
	t.Helper()
	a, err := aggregate.Open(dir, aggregate.Options{})
	require.NoError(t, err)
	defer a.Close()
	v, err := registry.SampleValue(t.Context(), a, "jobs_total", nil)
	require.NoError(t, err)
	return int(v)
}

func TestMasterAndChildren(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "not", "there")
	p := master(t, dir)
	require.Equal(t, dir, p.Dir())
	require.Equal(t, dir, os.Getenv(multiproc.EnvDir), "children inherit it")
	require.Zero(t, files(t, dir), "a master has no file")
	one, two := spawn(t, dir), spawn(t, dir)
	p.Forked(one.Process.Pid)
	p.Forked(two.Process.Pid)
	require.Equal(t, 2, files(t, dir))

	resp, err := http.Get("http://" + p.MetricsAddr().String())
	require.NoError(t, err)
	text, err := io.ReadAll(resp.Body)
	resp.Body.Close()
	require.NoError(t, err)
	require.Contains(t, string(text), "\njobs_total 2\n")
	require.Contains(t, string(text), fmt.Sprintf("process_start_time_seconds{pid=\"%d\"}", one.Process.Pid))

	kill(one)
	p.Died(one.Process.Pid)
	require.Eventually(t, func() bool { return files(t, dir) == 1 }, time.Minute, time.Millisecond)
	require.Equal(t, 2, jobs(t, dir))
	p.Died(one.Process.Pid) // not known any more
	p.Died(1)               // not a child
}

// TestForkedFindsTheDead: a framework tells of births only.
func TestForkedFindsTheDead(t *testing.T) {
	dir := t.TempDir()
	p := master(t, dir)
	one := spawn(t, dir)
	p.Forked(one.Process.Pid)
	kill(one)
	two := spawn(t, dir)
	require.Equal(t, 2, files(t, dir))
	p.Forked(two.Process.Pid)
	require.Eventually(t, func() bool { return files(t, dir) == 1 }, time.Minute, time.Millisecond)
	require.Equal(t, 2, jobs(t, dir))
}

func TestMasterCompactsAnEarlierRun(t *testing.T) {
	dir := t.TempDir()
	t.Setenv(multiproc.EnvDir, dir)
	kill(spawn(t, dir))
	left, err := prefork.Master(prefork.Options{Dir: dir, NoCompact: true})
	require.NoError(t, err)
	require.NoError(t, left.Close())
	require.Nil(t, left.MetricsAddr())
	require.Equal(t, 1, files(t, dir))

	master(t, dir)
	require.Zero(t, files(t, dir))
	require.Equal(t, 1, jobs(t, dir))
}

func TestErrors(t *testing.T) {
	t.Setenv(multiproc.EnvDir, "")
	_, err := prefork.Master(prefork.Options{})
	require.ErrorIs(t, err, prefork.ErrNoDir)
	_, err = prefork.Child(prefork.Options{})
	require.ErrorIs(t, err, prefork.ErrNoDir)

	file := filepath.Join(t.TempDir(), "file")
	require.NoError(t, os.WriteFile(file, nil, 0o600))
	_, err = prefork.Master(prefork.Options{Dir: file})
	require.ErrorContains(t, err, file)
	_, err = prefork.Master(prefork.Options{Dir: t.TempDir(), MetricsAddress: "127.0.0.1:no"})
	require.ErrorContains(t, err, "MetricsAddress")

	dir, other := t.TempDir(), t.TempDir()
	t.Setenv(multiproc.EnvDir, dir)
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), envChild+"="+other)
	out, err := cmd.Output()
	require.Error(t, err)
	require.Contains(t, string(out), "call Master before children start")
}

func TestClose(t *testing.T) {
	p := master(t, t.TempDir())
	url := "http://" + p.MetricsAddr().String()
	require.NoError(t, p.Close())
	require.NoError(t, p.Close())
	_, err := http.Get(url)
	require.Error(t, err)
	p.Forked(1)
	p.Died(1) // starts nothing
}
