package examples

import (
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// TestPrefork starts the supervisor and its workers, and kills workers between requests.
// /metrics has every request.
func TestPrefork(t *testing.T) {
	address, metrics, dir := freeAddress(t), freeAddress(t), filepath.Join(t.TempDir(), "metrics")
	program := buildWith(t, "prefork/main.go", "127.0.0.1:8080", address, "127.0.0.1:9090", metrics, "/dev/shm/hello", dir)
	cmd := exec.Command(program)
	cmd.Stderr = os.Stderr
	require.NoError(t, cmd.Start())
	ended := false
	t.Cleanup(func() {
		if !ended {
			cmd.Process.Kill()
			cmd.Wait()
		}
	})
	http.DefaultTransport.(*http.Transport).DisableKeepAlives = true // so that all workers answer
	answered := 0
	for range 5 {
		for range 20 {
			require.Equal(t, "hello\n", get(t, "http://"+address+"/"))
			answered++
		}
		worker := regexp.MustCompile(`process_start_time_seconds\{pid="(\d+)"\}`).FindStringSubmatch(get(t, "http://"+metrics+"/metrics"))
		require.NotNil(t, worker)
		pid, err := strconv.Atoi(worker[1])
		require.NoError(t, err)
		require.NoError(t, syscall.Kill(pid, syscall.SIGKILL))
	}
	require.Eventually(t, func() bool {
		text := get(t, "http://"+metrics+"/metrics")
		return strings.Contains(text, "\nhttp_requests_total{code=\"200\",method=\"GET\"} "+strconv.Itoa(answered)+"\n")
	}, 30*time.Second, 20*time.Millisecond)
	require.NoError(t, cmd.Process.Signal(syscall.SIGTERM))
	require.NoError(t, cmd.Wait())
	ended = true
}
