package deploy

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestUnits: systemd accepts the unit, the application's drop-in, and the one for .db files
// that docs/client_python.md shows. Its own measure of exposure calls the unit well
// protected (0 is best, 10 worst).
func TestUnits(t *testing.T) {
	analyze := need(t, "systemd-analyze")
	path, err := mpctl()
	require.NoError(t, err)
	dir := t.TempDir()
	write := func(name, text string) {
		path := filepath.Join(dir, name)
		require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o755))
		require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
	}
	read := func(name string) string {
		b, err := os.ReadFile(filepath.Join("systemd", name))
		require.NoError(t, err)
		return string(b)
	}
	unit := strings.Replace(read("multiprom@.service"), "/usr/bin/mpctl", path, 1)
	// systemd would keep the directory under /run/private. deploy/package/systemd.sh starts the unit.
	require.NotContains(t, unit, "DynamicUser=yes")
	write("multiprom@.service", unit)
	write("app.service", "[Service]\nExecStart=/bin/true\n")
	write("app.service.d/multiprom.conf", read("app.service.d-multiprom.conf"))
	verify := func() string {
		cmd := exec.Command(analyze, "verify", "--man=no", "multiprom@app.service", "app.service")
		cmd.Env = append(os.Environ(), "SYSTEMD_UNIT_PATH="+dir+":")
		out, _ := cmd.CombinedOutput() // other units of the system may be wrong
		var ours []string
		for line := range strings.Lines(string(out)) {
			if strings.Contains(line, "multiprom@") || strings.Contains(line, "app.service") || strings.Contains(line, dir) {
				ours = append(ours, line)
			}
		}
		return strings.Join(ours, "")
	}
	require.Empty(t, verify())
	python := read("multiprom@app.service.d-python.conf")
	page, err := os.ReadFile("../docs/client_python.md")
	require.NoError(t, err)
	require.Contains(t, string(page), "\n```ini\n"+python+"```\n")
	write("multiprom@app.service.d/python.conf", python)
	require.Empty(t, verify())
	write("multiprom@.service", unit+"\n[Service]\nProtectTheWorld=yes\n")
	require.Contains(t, verify(), "Unknown key", "it would have noticed")

	write("multiprom@app.service", unit)
	out, err := exec.Command(analyze, "security", "--offline=true", "--no-pager", filepath.Join(dir, "multiprom@app.service")).CombinedOutput()
	require.NoError(t, err, "%s", out)
	m := regexp.MustCompile(`Overall exposure level for multiprom@app.service: ([0-9.]+)`).FindSubmatch(out)
	require.NotNil(t, m, "%s", out)
	score, err := strconv.ParseFloat(string(m[1]), 64)
	require.NoError(t, err)
	require.LessOrEqual(t, score, 2.0, "%s", out)
	t.Logf("exposure %v of 10", score)
}

// TestSystemdFiles: systemd-sysusers and systemd-tmpfiles accept their files, in a root of
// the test.
func TestSystemdFiles(t *testing.T) {
	root := t.TempDir()
	for _, d := range []string{"etc", "run", "usr/lib"} {
		require.NoError(t, os.MkdirAll(filepath.Join(root, d), 0o755))
	}
	users, err := filepath.Abs("systemd/multiprom.sysusers.conf")
	require.NoError(t, err)
	out, err := exec.Command(need(t, "systemd-sysusers"), "--root="+root, users).CombinedOutput()
	require.NoError(t, err, "%s", out)
	passwd, err := os.ReadFile(filepath.Join(root, "etc/passwd"))
	require.NoError(t, err)
	require.Regexp(t, `(?m)^multiprom:`, string(passwd))
	files, err := filepath.Abs("systemd/multiprom.tmpfiles.conf")
	require.NoError(t, err)
	out, err = exec.Command(need(t, "systemd-tmpfiles"), "--root="+root, "--create", files).CombinedOutput()
	require.NoError(t, err, "%s", out)
	require.DirExists(t, filepath.Join(root, "run/multiprom"))
}

// TestSupervisord runs supervisord with its file. The application is a program that does
// nothing; mpctl answers, and has made the directory.
func TestSupervisord(t *testing.T) {
	supervisord := need(t, "supervisord")
	path, err := mpctl()
	require.NoError(t, err)
	b, err := os.ReadFile("supervisord/app.conf")
	require.NoError(t, err)
	address, dir := freeAddress(t), t.TempDir()
	text := string(b)
	for from, to := range map[string]string{
		"/usr/bin/mpctl": path, "127.0.0.1:9464": address, "/dev/shm/app": filepath.Join(dir, "app"), "user=app\n": "",
		"/usr/bin/gunicorn --workers 4 --bind 127.0.0.1:8080 app:app": "/bin/sleep 300",
	} {
		require.Contains(t, text, from)
		text = strings.ReplaceAll(text, from, to)
	}
	config := filepath.Join(dir, "supervisord.conf")
	text = fmt.Sprintf("[supervisord]\nnodaemon=true\nlogfile=/dev/null\nlogfile_maxbytes=0\npidfile=%s/pid\nchildlogdir=%s\n\n%s", dir, dir, text)
	require.NoError(t, os.WriteFile(config, []byte(text), 0o600))
	cmd := exec.Command(supervisord, "-c", config)
	require.NoError(t, cmd.Start())
	t.Cleanup(func() {
		cmd.Process.Signal(os.Interrupt)
		cmd.Wait()
	})
	answers(t, "http://"+address+"/-/ready")
	info, err := os.Stat(filepath.Join(dir, "app"))
	require.NoError(t, err)
	require.Equal(t, os.ModeDir|0o700, info.Mode())
}
