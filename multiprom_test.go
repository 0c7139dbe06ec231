package multiprom_test

import (
	"io/fs"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/multiprom/multiprom"
	"github.com/multiprom/multiprom/multiproc"
)

// inProcess runs the test in a process of its own, since the default Set opens once in a
// process, and reports whether this is that process.
func inProcess(t *testing.T) bool {
	t.Helper()
	const env = "MULTIPROM_TEST"
	if os.Getenv(env) == t.Name() {
		return true
	}
	cmd := exec.Command(os.Args[0], "-test.run=^"+t.Name()+"$")
	for _, v := range os.Environ() {
		if name, _, _ := strings.Cut(v, "="); !strings.EqualFold(name, multiproc.EnvDir) {
			cmd.Env = append(cmd.Env, v)
		}
	}
	cmd.Env = append(cmd.Env, env+"="+t.Name())
	out, err := cmd.CombinedOutput()
	require.NoError(t, err, string(out))
	return false
}

func TestOpen(t *testing.T) {
	if !inProcess(t) {
		return
	}
	dir := t.TempDir()
	require.NoError(t, multiprom.Open(dir))
	files, err := filepath.Glob(filepath.Join(dir, "*.mpm"))
	require.NoError(t, err)
	require.Len(t, files, 1)
	require.Equal(t, dir, os.Getenv(multiproc.EnvDir), "workers that this process starts have it")
	require.NoError(t, multiprom.Open(dir))
	require.NoError(t, multiprom.Open(""))
	require.ErrorIs(t, multiprom.Open(t.TempDir()), multiproc.ErrTooLate)
	require.Equal(t, dir, os.Getenv(multiproc.EnvDir), "nothing has changed")
}

func TestOpenWithoutDirectory(t *testing.T) {
	if !inProcess(t) {
		return
	}
	require.NoError(t, multiprom.Open(""))
	require.ErrorIs(t, multiprom.Open(t.TempDir()), multiproc.ErrTooLate)
	_, set := os.LookupEnv(multiproc.EnvDir)
	require.False(t, set)

	w := httptest.NewRecorder()
	multiprom.Handler().ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/metrics", nil))
	require.Equal(t, http.StatusOK, w.Code)
	require.Contains(t, w.Body.String(), "process_")
}

func TestOpenMissingDirectory(t *testing.T) {
	if !inProcess(t) {
		return
	}
	require.ErrorIs(t, multiprom.Open(filepath.Join(t.TempDir(), "missing")), fs.ErrNotExist)
}
