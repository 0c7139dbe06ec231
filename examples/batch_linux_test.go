package examples

import (
	"io"
	"net/http"
	"net/http/httptest"
	"os/exec"
	"testing"

	"github.com/stretchr/testify/require"
)

// build builds programs of this module into a directory of their own.
func build(t *testing.T, names ...string) (bin string) {
	t.Helper()
	bin = t.TempDir() + "/"
	args := []string{"build", "-o", bin}
	for _, name := range names {
		args = append(args, "./"+name)
	}
	out, err := exec.Command("go", args...).CombinedOutput()
	require.NoError(t, err, "%s", out)
	return bin
}

// TestBatch: the job pushes once, and what it pushes is the sum of its three processes.
func TestBatch(t *testing.T) {
	bin := build(t, "batch")
	pushed := make(chan string, 2)
	gateway := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		b, _ := io.ReadAll(r.Body)
		pushed <- r.Method + " " + r.URL.Path + "\n" + string(b)
	}))
	defer gateway.Close()
	out, err := exec.Command(bin+"batch", gateway.URL).CombinedOutput()
	require.NoError(t, err, "%s", out)
	text := <-pushed
	require.Contains(t, text, "PUT /metrics/job/import\n")
	require.Contains(t, text, "\nrows_total 3000\n")
	require.Empty(t, pushed)
}
