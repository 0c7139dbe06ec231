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

// TestExamples starts two processes of each program in one directory, sends them
// requests, and scrapes one of them. The scrape shows what both have counted.
func TestExamples(t *testing.T) {
	bin := t.TempDir()
	out, err := exec.Command("go", "build", "-o", bin, "./...").CombinedOutput()
	require.NoError(t, err, "%s", out)
	programs, err := os.ReadDir(bin)
	require.NoError(t, err)
	require.Len(t, programs, 6)
	for _, program := range programs {
		t.Run(program.Name(), func(t *testing.T) {
			dir := t.TempDir()
			var addresses []string
			for range 2 {
				address := freeAddress(t)
				cmd := exec.Command(filepath.Join(bin, program.Name()), address)
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
