package integration

import (
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// TestSoak runs the demo with kills and reloads in one process, and the aggregator, which
// also compacts, in another, with five scrapes a second. At the end the count is exact. No
// counter ever falls, no error is logged, and the aggregator does not grow.
// MULTIPROM_SOAK_SECONDS is the duration; growth is measured after the first two minutes.
func TestSoak(t *testing.T) {
	const warm = 2 * time.Minute
	length := time.Duration(intFromEnv("MULTIPROM_SOAK_SECONDS", 6)) * time.Second
	dir := tmpfs(t)
	demo := exec.Command(mpctl(t), "demo", "--dir", dir, "--kill", "--reload", "3s", "--duration", length.String(), "--json")
	var result, demoLog bytes.Buffer
	demo.Stdout, demo.Stderr = &result, &demoLog
	require.NoError(t, demo.Start())
	ended := make(chan error, 1)
	go func() { ended <- demo.Wait() }()
	t.Cleanup(func() { demo.Process.Kill() })

	address := freeAddress(t)
	serve := exec.Command(mpctl(t), "serve", "--dir", dir, "--web.listen-address", address, "--compact-period", "1s", "--compact-threshold", "4")
	var serveLog bytes.Buffer
	serve.Stderr = &serveLog
	require.NoError(t, serve.Start())
	t.Cleanup(func() {
		serve.Process.Kill()
		serve.Wait()
	})

	url := "http://" + address + "/metrics"
	get(t, request(t, url)) // wait until it is up
	began := time.Now()
	var early, late []int // KiB
	last, scrapes := 0.0, 0
	tick := time.NewTicker(200 * time.Millisecond)
	defer tick.Stop()
	for running := true; running; {
		select {
		case err := <-ended:
			require.NoError(t, err, demoLog.String())
			running = false
		case <-tick.C:
		}
		code, body := get(t, request(t, url))
		require.Equal(t, 200, code, body)
		scrapes++
		if v, ok := sampleOf(body, `demo_requests_total{code="200",method="POST"}`); ok {
			require.GreaterOrEqual(t, v, last, "a counter fell")
			last = v
		}
		rss := residentKiB(t, serve.Process.Pid)
		switch age := time.Since(began); {
		case age > warm-10*time.Second && age < warm+10*time.Second:
			early = append(early, rss)
		case age > length-20*time.Second:
			late = append(late, rss)
		}
	}
	var r struct {
		Answered, Broken, Merged, Kills uint64
		Exact                           bool
	}
	require.NoError(t, json.Unmarshal(result.Bytes(), &r))
	require.True(t, r.Exact)
	require.EqualValues(t, r.Merged, last, "the other aggregator says the same")
	require.NoError(t, serve.Process.Signal(syscall.SIGTERM))
	require.NoError(t, serve.Wait())
	require.NotContains(t, serveLog.String(), "level=WARN", "nothing is in the log")
	require.NotContains(t, serveLog.String(), "level=ERROR")
	names, err := filepath.Glob(filepath.Join(dir, "*"))
	require.NoError(t, err)
	t.Logf("%v: answered %d, broken %d, merged %d, %d kills, %d scrapes, %d files at the end, resident %d KiB after two minutes, %d KiB at the end",
		length, r.Answered, r.Broken, r.Merged, r.Kills, scrapes, len(names), median(early), median(late))
	if len(early) > 0 && length > 2*warm {
		require.LessOrEqual(t, float64(median(late)), 1.1*float64(median(early)), "the aggregator grows")
	}
}

// tmpfs returns a new directory in memory, if the system has one where that is usual.
func tmpfs(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("/dev/shm", "multiprom-test-")
	if err != nil {
		return t.TempDir()
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return dir
}

// sampleOf returns the value of a sample in the text format.
func sampleOf(body, series string) (float64, bool) {
	for line := range strings.Lines(body) {
		if v, ok := strings.CutPrefix(line, series+" "); ok {
			f, err := strconv.ParseFloat(strings.TrimSpace(v), 64)
			return f, err == nil
		}
	}
	return 0, false
}

// residentKiB returns the resident memory of a process, see proc(5).
func residentKiB(t *testing.T, pid int) int {
	t.Helper()
	b, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/status")
	if err != nil {
		return 0 // not Linux
	}
	for line := range strings.Lines(string(b)) {
		if v, ok := strings.CutPrefix(line, "VmRSS:"); ok {
			kib, err := strconv.Atoi(strings.Fields(v)[0])
			require.NoError(t, err)
			return kib
		}
	}
	return 0
}

func median(values []int) int {
	if len(values) == 0 {
		return 0
	}
	slices.Sort(values)
	return values[len(values)/2]
}
