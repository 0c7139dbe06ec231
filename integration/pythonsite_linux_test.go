package integration

import (
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestShownNativeSetup follows docs/client_python.md, "From nothing": a virtual environment, whose .pth file
// loads the module, and gunicorn in it.
func TestShownNativeSetup(t *testing.T) {
	needPython(t, "gunicorn")
	work, dir := t.TempDir(), t.TempDir()
	app, err := os.ReadFile(shown + "native_app.py")
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(filepath.Join(work, "app.py"), app, 0o600))
	env := []string{"PATH=" + filepath.Dir(mpctl(t)) + ":/usr/bin:/bin"}
	for _, e := range os.Environ() {
		if name, _, _ := strings.Cut(e, "="); !strings.HasPrefix(name, "PYTHON") && name != "PATH" {
			env = append(env, e)
		}
	}
	shell := func(script string) *exec.Cmd {
		cmd := exec.Command("/bin/sh", "-e", "-c", script)
		cmd.Dir, cmd.Env = work, env
		cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
		return cmd
	}
	setup, err := os.ReadFile(shown + "native_setup.sh")
	require.NoError(t, err)
	out, err := shell(strings.Replace(string(setup), "-m venv", "-m venv --without-pip", 1)).CombinedOutput() // pip takes long
	require.NoError(t, err, "%s", out)

	// The module acts only if both variables are set.
	const count = `venv/bin/python -c 'import prometheus_client as p; p.Counter("c", "Updates.").inc()'`
	for variables, ends := range map[string]string{
		"PROMETHEUS_MULTIPROC_FORMAT=mpm PROMETHEUS_MULTIPROC_DIR=":   ".mpm",
		"PROMETHEUS_MULTIPROC_FORMAT=other PROMETHEUS_MULTIPROC_DIR=": ".db",
		"PROMETHEUS_MULTIPROC_DIR=":                                   ".db",
		"PROMETHEUS_MULTIPROC_FORMAT=mpm NO_DIRECTORY=":               "",
	} {
		into := t.TempDir()
		out, err := shell(variables + into + " " + count).CombinedOutput()
		require.NoError(t, err, "%s", out)
		require.Empty(t, string(out), variables)
		files, err := filepath.Glob(filepath.Join(into, "*"))
		require.NoError(t, err)
		if ends == "" {
			require.Empty(t, files)
			continue
		}
		require.Len(t, files, 1, variables)
		require.Equal(t, ends, filepath.Ext(files[0]), variables)
	}

	run, err := os.ReadFile(shown + "native_run.sh")
	require.NoError(t, err)
	address, metrics := freeAddress(t), freeAddress(t)
	cmd := shell(strings.NewReplacer("/dev/shm/metrics", dir, "127.0.0.1:8000", address, "127.0.0.1:9108", metrics).Replace(string(run)) + "\nwait")
	log, err := os.Create(filepath.Join(t.TempDir(), "log"))
	require.NoError(t, err)
	defer log.Close()
	cmd.Stdout, cmd.Stderr = log, log
	require.NoError(t, cmd.Start())
	t.Cleanup(func() {
		syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
		cmd.Wait()
		if t.Failed() {
			text, _ := os.ReadFile(log.Name())
			t.Logf("%s", text)
		}
	})
	for _, a := range []string{address, metrics} {
		eventually(t, "a server listens on "+a, func() bool {
			c, err := net.Dial("tcp", a)
			return err == nil && c.Close() == nil
		})
	}
	for range 20 {
		resp, err := http.Get("http://" + address + "/")
		require.NoError(t, err)
		text, err := io.ReadAll(resp.Body)
		require.NoError(t, err)
		resp.Body.Close()
		require.Contains(t, string(text), "served by process")
	}
	_, text := get(t, request(t, "http://"+metrics+"/metrics"))
	require.Contains(t, text, `requests_total{method="GET"} 20`+"\n")
	require.Contains(t, text, "request_seconds_count 20\n")
	require.NotEmpty(t, native(t, dir))
	require.Zero(t, dbFiles(t, dir))
}
