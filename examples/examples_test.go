package examples

import (
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// TestRouters starts two processes of each program that mounts the handler in one
// directory, sends them requests, and scrapes one of them. The scrape shows what both have
// counted.
func TestRouters(t *testing.T) {
	bin := t.TempDir()
	for _, router := range []string{"chi", "echo", "fasthttp", "fiber", "gin", "nethttp"} {
		t.Run(router, func(t *testing.T) {
			out, err := exec.Command("go", "build", "-o", bin, "./"+router).CombinedOutput()
			require.NoError(t, err, "%s", out)
			dir := t.TempDir()
			var addresses []string
			for range 2 {
				address := freeAddress(t)
				cmd := exec.Command(filepath.Join(bin, router), address)
				cmd.Env = append(os.Environ(), "PROMETHEUS_MULTIPROC_DIR="+dir)
				require.NoError(t, cmd.Start())
				t.Cleanup(func() {
					cmd.Process.Kill()
					cmd.Wait()
				})
				addresses = append(addresses, address)
			}
			for i, address := range addresses {
				for range i + 1 {
					require.Equal(t, "hello\n", get(t, "http://"+address+"/"))
				}
			}
			text := get(t, "http://"+addresses[0]+"/metrics")
			require.Contains(t, text, "# TYPE requests_total counter\nrequests_total 3\n")
			require.Equal(t, 2, strings.Count(text, "\nprocess_start_time_seconds{"), "of each process")
		})
	}
}

func freeAddress(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer l.Close()
	return l.Addr().String()
}

// get returns the answer as soon as the server is up.
func get(t *testing.T, url string) (body string) {
	t.Helper()
	require.Eventually(t, func() bool {
		resp, err := http.Get(url)
		if err != nil {
			return false
		}
		defer resp.Body.Close()
		b, err := io.ReadAll(resp.Body)
		body = string(b)
		return err == nil && resp.StatusCode == http.StatusOK
	}, 30*time.Second, 10*time.Millisecond)
	return body
}

// buildWith builds a program from one file and returns its path. replace are pairs of a text
// in the file and the text that the test needs, such as an address. Each must occur.
func buildWith(t *testing.T, path string, replace ...string) (program string) {
	t.Helper()
	b, err := os.ReadFile(path)
	require.NoError(t, err)
	for i := 0; i < len(replace); i += 2 {
		require.Contains(t, string(b), replace[i])
	}
	dir := t.TempDir()
	source := filepath.Join(dir, "main.go")
	require.NoError(t, os.WriteFile(source, []byte(strings.NewReplacer(replace...).Replace(string(b))), 0o600))
	program = filepath.Join(dir, "program")
	out, err := exec.Command("go", "build", "-o", program, source).CombinedOutput()
	require.NoError(t, err, "%s", out)
	return program
}
