package publish_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"

	"github.com/multiprom/multiprom/compat/prom"
	"github.com/multiprom/multiprom/compat/publish"
	"github.com/multiprom/multiprom/metric"
	"github.com/multiprom/multiprom/multiproc"
	"github.com/multiprom/multiprom/registry"
)

const envRole = "MULTIPROM_TEST_ROLE"

// TestMain is also the main of the helper processes.
func TestMain(m *testing.M) {
	switch role := os.Getenv(envRole); role {
	case "":
		os.Exit(m.Run())
	case "asked":
		serve(publish.Options{Period: time.Hour})
	case "period":
		serve(publish.Options{Period: 5 * time.Millisecond})
	default:
		fmt.Fprintf(os.Stderr, "there is no role %q\n", role)
		os.Exit(3)
	}
}

// serve is a worker with client_golang's default registry, which has its Go and
// process collectors, the metrics of a library, and one that is in the store. It
// obeys lines.
func serve(opts publish.Options) {
	jobs := prometheus.NewCounterVec(prometheus.CounterOpts{Name: "library_jobs_total", Help: "Jobs."}, []string{"kind"})
	sizes := prometheus.NewHistogram(prometheus.HistogramOpts{Name: "library_sizes", Help: "Sizes.", Buckets: []float64{1, 2}})
	queued := prometheus.NewGauge(prometheus.GaugeOpts{Name: "library_queued", Help: "Jobs that wait."})
	prometheus.MustRegister(jobs, sizes, queued)
	migrated := prom.NewCounterVec(prometheus.CounterOpts{Name: "migrated_total", Help: "Jobs."}, []string{"kind"})
	prom.MustRegister(migrated)

	p, err := publish.Start(prometheus.DefaultGatherer, opts)
	if err == nil {
		err = p.Publish(context.Background())
	}
	fmt.Println("started", err)
	in := bufio.NewScanner(os.Stdin)
	for in.Scan() {
		switch in.Text() {
		case "job":
			jobs.WithLabelValues("a").Inc()
			migrated.WithLabelValues("a").Inc()
			sizes.Observe(1.5)
			queued.Inc()
		case "publish":
			err = p.Publish(context.Background())
		case "serve": // what a scrape of this process would have
			var families []*metric.Family
			families, err = registry.Default().Gather(context.Background())
			for _, f := range families {
				if f.Name == "library_jobs" || f.Name == "go_goroutines" {
					fmt.Print(f.Name, " ")
				}
			}
		case "close":
			if err = p.Close(); err == nil {
				err = multiproc.Default().Close()
			}
		case "exit":
			os.Exit(0)
		}
		fmt.Println("done", strings.ReplaceAll(fmt.Sprint(err), "\n", "; "))
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

func (w *worker) line() string {
	w.t.Helper()
	line, err := w.stdout.ReadString('\n')
	require.NoError(w.t, err)
	return strings.TrimSpace(line)
}

// do sends lines, each of which must succeed, and returns what stands before the
// last one's answer.
func (w *worker) do(lines ...string) (said string) {
	w.t.Helper()
	for _, line := range lines {
		_, err := fmt.Fprintln(w.stdin, line)
		require.NoError(w.t, err)
		answer, found := strings.CutSuffix(w.line(), "done <nil>")
		require.True(w.t, found, "%s: %s", line, answer)
		said = strings.TrimSpace(answer)
	}
	return said
}

// exit ends the worker by os.Exit, without Close.
func (w *worker) exit() {
	w.t.Helper()
	_, err := fmt.Fprintln(w.stdin, "exit")
	require.NoError(w.t, err)
	require.NoError(w.t, w.cmd.Wait())
}

// kill ends the worker by SIGKILL and reaps it.
func (w *worker) kill() {
	w.cmd.Process.Kill()
	w.cmd.Wait()
}
