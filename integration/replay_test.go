package integration

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/multiprom/multiprom/multiproc"
)

// recordedRole counts, and says how many jobs it is about to count and has counted.
func recordedRole() error {
	set := multiproc.Default()
	jobs := multiproc.NewCounter(multiproc.CounterOpts{Name: "recorded_jobs", Help: "Jobs."})
	queue := multiproc.NewGauge(multiproc.GaugeOpts{Name: "recorded_queue", Help: "Queue."})
	seconds := multiproc.NewHistogram(multiproc.HistogramOpts{Name: "recorded_seconds", Help: "S.", Buckets: []float64{1}})
	if err := set.Open(); err != nil {
		return err
	}
	n := 0
	for range time.Tick(5 * time.Millisecond) {
		n++
		fmt.Printf("attempt %d\n", n)
		jobs.Inc()
		queue.Set(float64(n))
		seconds.Observe(0.5)
		fmt.Printf("done %d\n", n)
	}
	return nil
}

// TestReplayOfAKilledWorker: what a worker counted in its last seconds, and the values that it
// had when SIGKILL came, can be replayed: while the recorder runs, and after it was killed too.
func TestReplayOfAKilledWorker(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "app")
	require.NoError(t, os.Mkdir(dir, 0o700))
	worker, other := start(t, "recorded", dir), start(t, "recorded", dir)
	go func() {
		for other.lines.Scan() {
		}
	}()
	attempted, acknowledged := 0, 0
	said := make(chan struct{})
	go func() {
		defer close(said)
		for worker.lines.Scan() {
			what, n, _ := strings.Cut(worker.lines.Text(), " ")
			if count, err := strconv.Atoi(n); err == nil && what == "attempt" {
				attempted = count
			} else if err == nil && what == "done" {
				acknowledged = count
			}
		}
	}()
	server := exec.Command(mpctl(t), "serve", dir, "--record", "5m", "--web.listen-address", "127.0.0.1:0")
	recorder := startHelper(t, server)

	id := strconv.Itoa(worker.Process.Pid)
	type second struct {
		Time  time.Time
		Parts map[string]float64
	}
	counting := func() (n int) {
		out, err := exec.Command(mpctl(t), "replay", "--process", id, "--dir", dir, "--json").Output()
		var process struct{ Rates []second }
		if err != nil || json.Unmarshal(out, &process) != nil {
			return 0
		}
		for _, r := range process.Rates {
			if r.Parts["recorded_jobs"] > 0 && r.Parts["recorded_seconds"] > 0 {
				n++
			}
		}
		return n
	}
	eventually(t, "three seconds are recorded", func() bool { return counting() >= 3 })
	worker.kill()
	<-said

	shown := ""
	eventually(t, "its death is recorded", func() bool {
		out, _ := exec.Command(mpctl(t), "replay", "--process", id, "--dir", dir).Output()
		shown = string(out)
		return strings.Contains(shown, "was found dead at ")
	})
	check := func() {
		t.Helper()
		require.Regexp(t, `(?m)^process `+id+` was found dead at \d{4}-\d\d-\d\d \d\d:\d\d:\d\d `, shown)
		require.GreaterOrEqual(t, counting(), 3)
		require.Regexp(t, `(?m)^\d\d:\d\d:\d\d .*recorded_jobs [1-9]`, shown)
		last := func(sample string) int {
			found := regexp.MustCompile(`(?m)^` + sample + `\{?.*\}? (\d+)$`).FindStringSubmatch(shown)
			require.NotNil(t, found, "%s\n%s", sample, shown)
			n, err := strconv.Atoi(found[1])
			require.NoError(t, err)
			return n
		}
		for _, sample := range []string{"recorded_jobs_total", "recorded_seconds_count", "recorded_queue"} {
			require.GreaterOrEqual(t, last(sample), acknowledged, sample)
			require.LessOrEqual(t, last(sample), attempted, sample)
		}
	}
	check()

	recorder.kill()
	other.kill()
	out, err := exec.Command(mpctl(t), "replay", "--process", id, "--dir", dir).CombinedOutput()
	shown = string(out)
	require.NoError(t, err, shown)
	check()
	t.Log(shown)
}
