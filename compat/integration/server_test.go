package integration

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/multiprom/multiprom/aggregate"
)

const (
	children = 4
	patience = 60 * time.Second
	poll     = 10 * time.Millisecond
)

// bin is the directory of the examples, built once.
var bin string

func TestMain(m *testing.M) {
	os.Exit(func() int {
		dir, err := os.MkdirTemp("", "examples")
		if err == nil {
			defer os.RemoveAll(dir)
			bin = dir
			var out []byte
			if out, err = exec.Command("go", "build", "-o", dir, "../examples/...").CombinedOutput(); err != nil {
				err = fmt.Errorf("%w: %s", err, out)
			}
		}
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		return m.Run()
	}())
}

// server is an example that runs, by its master.
type server struct {
	t                  *testing.T
	name, dir          string
	address, metricsAt string
	view               *aggregate.Aggregator
	cmd                *exec.Cmd
	exited             chan struct{}
	log                *os.File
}

func newServer(t *testing.T, name string) *server {
	s := &server{
		t: t, name: name, dir: filepath.Join(t.TempDir(), "metrics"),
		address: freeAddress(t), metricsAt: freeAddress(t),
	}
	var err error
	s.log, err = os.Create(filepath.Join(t.TempDir(), "log"))
	require.NoError(t, err)
	s.view, err = aggregate.Open(s.dir, aggregate.Options{NoSelfMetrics: true})
	require.NoError(t, err)
	t.Cleanup(func() {
		s.end()
		for _, pid := range s.live() {
			syscall.Kill(pid, syscall.SIGKILL)
		}
		s.waitLive(0)
		s.view.Close()
		s.log.Close()
		if text, _ := os.ReadFile(s.log.Name()); t.Failed() {
			t.Logf("%s", text)
		}
	})
	return s
}

func (s *server) start() {
	s.t.Helper()
	s.cmd = exec.Command(filepath.Join(bin, s.name), s.address, s.metricsAt)
	s.cmd.Env = append(os.Environ(), "PROMETHEUS_MULTIPROC_DIR="+s.dir, "GOMAXPROCS="+strconv.Itoa(children))
	s.cmd.Stdout, s.cmd.Stderr = s.log, s.log
	require.NoError(s.t, s.cmd.Start())
	exited := make(chan struct{})
	s.exited = exited
	cmd := s.cmd
	go func() {
		cmd.Wait()
		close(exited)
	}()
}

// end kills the master, whose children leave by themselves.
func (s *server) end() {
	if s.cmd != nil {
		s.cmd.Process.Kill()
		s.wait()
	}
}

// wait waits until the master has ended.
func (s *server) wait() {
	s.t.Helper()
	select {
	case <-s.exited:
	case <-time.After(patience):
		s.t.Fatal("the master does not end")
	}
}

// live returns the pids of the processes that have a file and live.
func (s *server) live() (pids []int) {
	processes, err := s.view.Processes()
	if err != nil {
		return nil // no directory yet
	}
	for _, p := range processes {
		if p.State == aggregate.Live {
			pids = append(pids, p.PID)
		}
	}
	return pids
}

// waitLive waits until n processes live, none of them one of not.
func (s *server) waitLive(n int, not ...int) (pids []int) {
	s.t.Helper()
	require.Eventually(s.t, func() bool {
		pids = s.live()
		return len(pids) == n && !slices.ContainsFunc(pids, func(pid int) bool { return slices.Contains(not, pid) })
	}, patience, poll, "%d live processes", n)
	return pids
}

// waitAnswers waits until the server answers.
func (s *server) waitAnswers() {
	s.t.Helper()
	require.Eventually(s.t, func() bool {
		_, err := fetch("http://" + s.address + "/elsewhere")
		return err == nil
	}, patience, poll)
}

// fetch returns the body of an answer of any code, on a connection of its own, so
// that any child may answer.
func fetch(url string) (string, error) {
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: patience}
	resp, err := client.Get(url)
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	return string(b), err
}

func scrape(t *testing.T, url string) string {
	t.Helper()
	text, err := fetch(url)
	require.NoError(t, err)
	return text
}

// sample returns the value of the series that begins its line with series.
func sample(t *testing.T, text, series string) int {
	t.Helper()
	for line := range strings.Lines(text) {
		if value, ok := strings.CutPrefix(line, series+" "); ok {
			v, err := strconv.ParseFloat(strings.TrimSpace(value), 64)
			require.NoError(t, err)
			return int(v)
		}
	}
	require.Fail(t, "no sample", "%s in\n%s", series, text)
	return 0
}

func freeAddress(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	require.NoError(t, err)
	defer l.Close()
	return l.Addr().String()
}
