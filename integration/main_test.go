package integration

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/multiprom/multiprom/aggregate"
	"github.com/multiprom/multiprom/metric"
)

// envRole names the role of a re-executed test binary.
const envRole = "MULTIPROM_TEST_ROLE"

// roles are the helper processes of the tests, by name.
var roles = map[string]func() error{
	"updates":   updatesRole,
	"namespace": namespaceRole,
	"fill":      fillRole,
	"recycled":  recycledRole,
	"server":    serverRole,
	"traced":    tracedRole,
	"churn":     churnRole,
	"revival":   revivalRole,
	"recorded":  recordedRole,

	"native kill": nativeKillRole,
}

func TestMain(m *testing.M) {
	role := os.Getenv(envRole)
	if role == "" {
		os.Exit(m.Run())
	}
	run, ok := roles[role]
	if !ok {
		fmt.Fprintf(os.Stderr, "there is no role %q\n", role)
		os.Exit(3)
	}
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(0)
}

// block keeps a helper process alive until the test closes its stdin or kills it.
func block() error {
	_, err := io.Copy(io.Discard, os.Stdin)
	return err
}

// need skips the test with a reason if something is missing, or fails it if nothing may be
// skipped.
func need(t testing.TB, ok bool, reason string) {
	t.Helper()
	if ok {
		return
	}
	if os.Getenv("MULTIPROM_INTEGRATION") != "" {
		t.Fatalf("MULTIPROM_INTEGRATION is set, and %s", reason)
	}
	t.Skip(reason + "; `make integration` provides it")
}

// needRoot is need for tests that mount or unshare.
func needRoot(t *testing.T) {
	t.Helper()
	need(t, os.Geteuid() == 0, "the test mounts filesystems or makes namespaces, which needs root on Linux")
}

// needCommand returns the path of a program.
func needCommand(t testing.TB, name string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	need(t, err == nil, name+" is not installed")
	return path
}

// helper is a running helper process.
type helper struct {
	*exec.Cmd
	stdin  io.WriteCloser
	lines  *bufio.Scanner
	waited sync.Once
}

// start runs the role, with wrapper arguments before the test binary, and
// kills it at the end of the test.
func start(t *testing.T, role, dir string, wrapper ...string) *helper {
	t.Helper()
	self, err := os.Executable()
	require.NoError(t, err)
	argv := append(wrapper, self)
	cmd := exec.Command(argv[0], argv[1:]...)
	cmd.Env = append(os.Environ(), envRole+"="+role, "PROMETHEUS_MULTIPROC_DIR="+dir)
	return startHelper(t, cmd)
}

// startHelper runs a process that the test talks to, and kills it when the test ends.
func startHelper(t *testing.T, cmd *exec.Cmd) *helper {
	t.Helper()
	h := &helper{Cmd: cmd}
	if h.Stderr == nil {
		h.Stderr = os.Stderr
	}
	var err error
	h.stdin, err = h.StdinPipe()
	require.NoError(t, err)
	out, err := h.StdoutPipe()
	require.NoError(t, err)
	h.lines = bufio.NewScanner(out)
	require.NoError(t, h.Start())
	t.Cleanup(h.kill)
	return h
}

// kill ends the process by SIGKILL, once, and reaps it.
func (h *helper) kill() {
	h.waited.Do(func() {
		h.Process.Kill()
		h.Wait()
	})
}

// expect reads the next line and checks it.
func (h *helper) expect(t *testing.T, line string) {
	t.Helper()
	require.True(t, h.lines.Scan(), "the helper ended before it said %q", line)
	require.Equal(t, line, h.lines.Text())
}

// open returns the merged view of dir.
func open(t *testing.T, dir string) *aggregate.Aggregator {
	t.Helper()
	a, err := aggregate.Open(dir, aggregate.Options{})
	require.NoError(t, err)
	t.Cleanup(func() { a.Close() })
	return a
}

// startCompactor compacts dir in the background until the end of the test.
func startCompactor(t *testing.T, dir string, opts aggregate.CompactorOptions) *aggregate.Compactor {
	ctx, cancel := context.WithCancel(context.Background())
	compactor, err := aggregate.NewCompactor(dir, opts)
	require.NoError(t, err)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		compactor.Run(ctx)
	}()
	t.Cleanup(func() {
		cancel()
		<-ended
	})
	return compactor
}

// samples returns every sample of one scrape by its name and labels.
func samples(t testing.TB, a *aggregate.Aggregator) map[string]float64 {
	t.Helper()
	families, err := a.Gather(context.Background())
	require.NoError(t, err)
	out := map[string]float64{}
	for _, f := range families {
		for s := range f.Samples() {
			out[s.Name+s.Labels.String()] = s.Value
		}
	}
	return out
}

// cumulative returns the samples that may never fall, by name and labels.
func cumulative(families []*metric.Family) map[string]float64 {
	out := map[string]float64{}
	for _, f := range families {
		if f.Type != metric.Counter && f.Type != metric.Histogram && f.Type != metric.Summary {
			continue
		}
		for s := range f.Samples() {
			out[s.Name+s.Labels.String()] = s.Value
		}
	}
	return out
}

// eventually polls until ok returns true.
func eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	require.Eventually(t, ok, 2*time.Minute, 20*time.Millisecond, what)
}

var buildMpctl = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "multiprom-test-")
	if err != nil {
		return "", err
	}
	path := filepath.Join(dir, "mpctl")
	out, err := exec.Command("go", "build", "-o", path, "../cmd/mpctl").CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("go build: %w: %s", err, strings.TrimSpace(string(out)))
	}
	return path, nil
})

// mpctl builds the command and returns its path.
func mpctl(t testing.TB) string {
	t.Helper()
	path, err := buildMpctl()
	require.NoError(t, err)
	return path
}
