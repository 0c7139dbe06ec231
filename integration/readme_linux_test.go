package integration

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/multiprom/multiprom/internal/doctest"
)

// TestReadmeGunicorn runs the README's commands for gunicorn as they stand, on other ports
// and in another directory.
func TestReadmeGunicorn(t *testing.T) {
	needCommand(t, "gunicorn")
	r := newReadme(t, "gunicorn ")
	r.write("app.py", `
from prometheus_client import Counter
requests = Counter("hello_requests", "Requests served.")
def app(environ, start_response):
    requests.inc()
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"hello"]
`)
	web := freeAddress(t)
	r.run("127.0.0.1:9090", "/dev/shm/app", "gunicorn -c", "gunicorn -b "+web+" -c")
	r.counts("http://"+web, "hello_requests_total")
}

// TestReadmeRun runs the README's commands for any program.
func TestReadmeRun(t *testing.T) {
	r := newReadme(t, "mpctl run ")
	self, err := os.Executable()
	require.NoError(t, err)
	r.write("server", fmt.Sprintf("#!/bin/sh\n%s=server exec %q\n", envRole, self))
	web := freeAddress(t)
	r.run("127.0.0.1:9090", "/dev/shm/server", "127.0.0.1:8080", web)
	r.counts("http://"+web, "run_served_total")
}

// readme is a folder in which commands of the README run.
type readme struct {
	*testing.T
	folder, commands, metrics string
}

// newReadme finds the one block that has that text.
func newReadme(t *testing.T, text string) *readme {
	r := &readme{T: t, folder: t.TempDir(), metrics: freeAddress(t)}
	for _, block := range doctest.MarkdownBlocks(t, "../README.md", "sh") {
		if strings.Contains(block, text) {
			require.Empty(t, r.commands, "two blocks have %q", text)
			r.commands = block
		}
	}
	require.NotEmpty(t, r.commands, "no block has %q", text)
	return r
}

func (r *readme) write(name, text string) {
	require.NoError(r, os.WriteFile(filepath.Join(r.folder, name), []byte(text), 0o700))
}

// run starts the commands, and ends them with the test. The address of the metrics and the
// directory are the test's own; replace are further pairs of a text and what takes its place.
func (r *readme) run(metrics, dir string, replace ...string) {
	r.Helper()
	own := filepath.Join(r.folder, "metrics")
	replace = append([]string{metrics, r.metrics, dir, own}, replace...)
	for i := 0; i < len(replace); i += 2 {
		require.Contains(r, r.commands, replace[i])
	}
	cmd := exec.Command("sh", "-e", "-c", strings.NewReplacer(replace...).Replace(r.commands))
	cmd.Dir = r.folder
	cmd.Env = append(os.Environ(), "PATH="+filepath.Dir(mpctl(r))+":"+os.Getenv("PATH"), "PROMETHEUS_MULTIPROC_DIR=")
	cmd.Stderr = os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // one signal ends what runs in the background too
	require.NoError(r, cmd.Start())
	r.Cleanup(func() {
		syscall.Kill(-cmd.Process.Pid, syscall.SIGTERM)
		cmd.Wait()
	})
}

// counts sends requests until the application has answered 20, and requires that the merged
// counter says so.
func (r *readme) counts(url, counter string) {
	r.Helper()
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true}} // so that all workers answer
	answered := 0
	eventually(r, "20 answers", func() bool {
		resp, err := client.Get(url)
		if err != nil {
			return false
		}
		io.Copy(io.Discard, resp.Body)
		resp.Body.Close()
		answered++
		return answered == 20
	})
	eventually(r, "the merged counter", func() bool {
		resp, err := client.Get("http://" + r.metrics + "/metrics")
		if err != nil {
			return false
		}
		defer resp.Body.Close()
		text, err := io.ReadAll(resp.Body)
		return err == nil && strings.Contains(string(text), fmt.Sprintf("\n%s %d\n", counter, answered))
	})
}
