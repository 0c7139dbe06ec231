package publish

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/multiprom/multiprom/metric"
	"github.com/multiprom/multiprom/multiproc"
	"github.com/multiprom/multiprom/registry"
	"github.com/multiprom/multiprom/registry/collectors"
)

const envRole = "MULTIPROM_TEST_ROLE"

// TestMain is also the main of the helper processes.
func TestMain(m *testing.M) {
	switch role := os.Getenv(envRole); role {
	case "":
		os.Exit(m.Run())
	case "runtime": // what the doc comment shows, in $PROMETHEUS_MULTIPROC_DIR
		serve(Options{Period: time.Hour})
	case "collectors":
		serve(Options{Source: faulty(jobs()), Period: time.Hour})
	case "period":
		serve(Options{Source: jobs(), Period: 5 * time.Millisecond})
	default:
		fmt.Fprintf(os.Stderr, "there is no role %q\n", role)
		os.Exit(3)
	}
}

// jobs is a registry whose counter grows by 10 at every gathering.
func jobs() *registry.Registry {
	reg := registry.New(registry.Options{CollectTimeout: 300 * time.Millisecond})
	n := 0.0
	reg.MustRegister(
		collectors.NewGoRuntime(), collectors.NewProcess(collectors.ProcessOptions{}),
		registry.CollectorFunc(func(context.Context) ([]*metric.Family, error) {
			n += 10
			return []*metric.Family{fam("jobs", metric.Counter, metric.Series{Value: n})}, nil
		}),
	)
	return reg
}

// faulty adds a collector that panics and one that hangs for ever.
func faulty(reg *registry.Registry) *registry.Registry {
	reg.MustRegister(
		registry.CollectorFunc(func(context.Context) ([]*metric.Family, error) { panic("a bug") }),
		registry.CollectorFunc(func(context.Context) ([]*metric.Family, error) { select {} }),
	)
	return reg
}

// serve starts a publisher and obeys lines: publish, close.
func serve(opts Options) {
	p, err := Start(opts)
	if err == nil {
		waitFirst(p)
	}
	fmt.Println("started", err)
	in := bufio.NewScanner(os.Stdin)
	for in.Scan() {
		switch in.Text() {
		case "publish":
			err = p.Publish(context.Background())
		case "close":
			p.Close()
			err = multiproc.Default().Close()
		}
		fmt.Println("done", strings.ReplaceAll(fmt.Sprint(err), "\n", "; "))
	}
}

// waitFirst waits for the end of the publication that Start begins.
func waitFirst(p *Publisher) {
	for over := p.idle; !over; runtime.Gosched() {
		<-p.turn
		over = p.book.round > 0
		p.turn <- struct{}{}
	}
}

// worker is a process in one of the roles.
type worker struct {
	t      *testing.T
	cmd    *exec.Cmd
	stdin  io.WriteCloser
	stdout *bufio.Reader
}

// startWorker starts a worker and waits until it has published.
func startWorker(t *testing.T, dir, role string) *worker {
	t.Helper()
	self, err := os.Executable()
	require.NoError(t, err)
	w := &worker{t: t, cmd: exec.Command(self)}
	w.cmd.Env = append(os.Environ(), envRole+"="+role, multiproc.EnvDir+"="+dir)
	w.cmd.Stderr = os.Stderr
	w.stdin, err = w.cmd.StdinPipe()
	require.NoError(t, err)
	stdout, err := w.cmd.StdoutPipe()
	require.NoError(t, err)
	w.stdout = bufio.NewReader(stdout)
	require.NoError(t, w.cmd.Start())
	t.Cleanup(w.kill)
	require.Equal(t, "started <nil>", w.line())
	return w
}

func (w *worker) pid() string { return fmt.Sprint(w.cmd.Process.Pid) }

func (w *worker) line() string {
	w.t.Helper()
	line, err := w.stdout.ReadString('\n')
	require.NoError(w.t, err)
	return strings.TrimSpace(line)
}

// do sends a line and returns the answer.
func (w *worker) do(what string) string {
	w.t.Helper()
	_, err := fmt.Fprintln(w.stdin, what)
	require.NoError(w.t, err)
	return w.line()
}

// kill ends the worker by SIGKILL and reaps it.
func (w *worker) kill() {
	w.cmd.Process.Kill()
	w.cmd.Wait()
}

func fam(name string, t metric.Type, series ...metric.Series) *metric.Family {
	return &metric.Family{Name: name, Help: "Help of " + name + ".", Type: t, Series: series}
}
