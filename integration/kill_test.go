package integration

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/multiprom/multiprom/aggregate"
	"github.com/multiprom/multiprom/metric"
	"github.com/multiprom/multiprom/multiproc"
)

const (
	updates   = 1_000_000
	batch     = 500
	newSeries = 2_000 // updates between two new series
)

// updatesRole makes mixed updates while new series appear. Before each batch it prints how
// many updates it will have attempted, and after it how many have returned. The merged
// count must lie between the last two numbers.
func updatesRole() error {
	set := multiproc.Default()
	counter := multiproc.NewCounterVec(multiproc.CounterOpts{Name: "kill_updates", Help: "Updates.", MaxSeries: updates}, []string{"n"})
	histogram := multiproc.NewHistogram(multiproc.HistogramOpts{Name: "kill_seconds", Help: "Observations."})
	summary := multiproc.NewSummary(multiproc.SummaryOpts{Name: "kill_bytes", Help: "Observations."})
	fractions := multiproc.NewCounter(multiproc.CounterOpts{Name: "kill_fractions", Help: "Quarters."})
	if err := set.Open(); err != nil {
		return err
	}
	for done := 0; done < updates; done += batch {
		fmt.Printf("attempt %d\n", done+batch)
		for i := done; i < done+batch; i++ {
			counter.WithLabelValues(strconv.Itoa(i / newSeries)).Inc()
			histogram.Observe(float64(i%100) / 10)
			summary.Observe(float64(i))
			fractions.Add(0.25)
		}
		fmt.Printf("done %d\n", done+batch)
	}
	fmt.Println("end")
	return block()
}

// killAfter follows what the process says of its updates, and kills it once more than limit of
// them have returned, or at its end. It returns how many had begun, and how many had returned.
func (h *helper) killAfter(limit int) (attempted, acknowledged int) {
	for h.lines.Scan() {
		what, n, _ := strings.Cut(h.lines.Text(), " ")
		count, _ := strconv.Atoi(n)
		switch what {
		case "attempt":
			attempted = count
		case "done":
			acknowledged = count
		case "end":
			h.Process.Kill()
		}
		if acknowledged > limit {
			h.Process.Kill() // it goes on until the signal arrives
		}
	}
	h.kill()
	return attempted, acknowledged
}

// TestKilledWriters: 8 processes make a million mixed updates each. They are killed at
// random while dead ones are compacted. acknowledged <= merged <= attempted holds, and no
// counter that a reader sees ever falls.
func TestKilledWriters(t *testing.T) {
	dir := t.TempDir()
	const processes = 8
	var attempted, acknowledged [processes]int
	var wg sync.WaitGroup
	for i := range processes {
		h := start(t, "updates", dir)
		// One in four runs to its end; the others die at any update.
		limit := rand.IntN(updates * 4 / 3)
		wg.Go(func() { attempted[i], acknowledged[i] = h.killAfter(limit) })
	}
	a := open(t, dir)
	startCompactor(t, dir, aggregate.CompactorOptions{CompactOptions: aggregate.CompactOptions{Threshold: 1}, Period: 20 * time.Millisecond})
	stop := neverFalls(t, a)
	wg.Wait()
	scrapes := stop()

	lo, hi := 0, 0
	for i := range processes {
		lo, hi = lo+acknowledged[i], hi+attempted[i]
	}
	got := samples(t, a)
	total := 0.0
	for key, v := range got {
		if strings.HasPrefix(key, "kill_updates_total{") {
			total += v
		}
	}
	for name, v := range map[string]float64{
		"counter": total, "histogram": got["kill_seconds_count"], "bucket": got[`kill_seconds_bucket{le="+Inf"}`],
		"summary": got["kill_bytes_count"], "fractions": 4 * got["kill_fractions_total"],
	} {
		require.GreaterOrEqual(t, v, float64(lo), "%s: acknowledged updates are missing", name)
		require.LessOrEqual(t, v, float64(hi), "%s: more than was attempted", name)
	}
	t.Logf("%d acknowledged <= merged <= %d attempted, %d scrapes", lo, hi, scrapes)
}

// neverFalls reads the view until stop is called, and fails the test if a sample falls that
// must not. stop returns the number of reads.
func neverFalls(t *testing.T, a *aggregate.Aggregator) (stop func() (scrapes int)) {
	scrapes := 0
	ended := make(chan struct{})
	var reader sync.WaitGroup
	reader.Go(func() {
		last := map[string]float64{}
		for {
			select {
			case <-ended:
				return
			default:
			}
			families, err := a.Gather(context.Background())
			if err != nil {
				t.Error(err)
				return
			}
			now := cumulative(families)
			for key, before := range last {
				if now[key] < before {
					t.Errorf("%s fell from %v to %v", key, before, now[key])
				}
			}
			last = now
			scrapes++
		}
	})
	return func() int {
		close(ended)
		reader.Wait()
		return scrapes
	}
}

// namespaceRole writes a few values and follows commands: "add" adds one more.
func namespaceRole() error {
	if os.Getpid() != 1 {
		return fmt.Errorf("the pid is %d, not 1", os.Getpid())
	}
	requests := multiproc.NewCounter(multiproc.CounterOpts{Name: "ns_requests", Help: "Requests."})
	all := multiproc.NewGauge(multiproc.GaugeOpts{Name: "ns_all", Help: "All."})
	live := multiproc.NewGauge(multiproc.GaugeOpts{Name: "ns_live", Help: "Live.", Mode: metric.ModeLiveSum})
	requests.Add(5)
	all.Set(3)
	live.Set(2)
	fmt.Println("ready")
	return block()
}

// TestTwoProcessesWithOnePID: two processes share a directory, and each is PID 1 in its own
// namespace.
func TestTwoProcessesWithOnePID(t *testing.T) {
	needRoot(t)
	unshare := needCommand(t, "unshare")
	dir := t.TempDir()
	wrapper := []string{unshare, "--pid", "--fork", "--mount-proc", "--kill-child"}
	out, err := exec.Command(unshare, append(wrapper[1:], "true")...).CombinedOutput()
	need(t, err == nil, "making PID namespaces is not permitted: "+strings.TrimSpace(string(out)))
	first, second := start(t, "namespace", dir, wrapper...), start(t, "namespace", dir, wrapper...)
	first.expect(t, "ready")
	second.expect(t, "ready")
	a := open(t, dir)
	got := samples(t, a)
	require.EqualValues(t, 10, got["ns_requests_total"])
	require.EqualValues(t, 4, got["ns_live"])
	require.Equal(t, 2, countPrefix(got, "ns_all{"), "two series of pid 1: %v", got)

	second.kill()
	eventually(t, "the live gauge of the dead process leaves", func() bool { return samples(t, a)["ns_live"] == 2 })
	got = samples(t, a)
	require.EqualValues(t, 10, got["ns_requests_total"])
	require.EqualValues(t, 1, got[`multiprom_processes{state="live"}`])
	require.EqualValues(t, 1, got[`multiprom_processes{state="dead"}`])
}

func countPrefix(m map[string]float64, prefix string) (n int) {
	for key := range m {
		if strings.HasPrefix(key, prefix) {
			n++
		}
	}
	return n
}

// fillRole creates many more series than fit on the filesystem, then keeps updating all of
// them.
func fillRole() error {
	const series = 60_000
	vec := multiproc.NewCounterVec(multiproc.CounterOpts{Name: "fill", Help: "Fill.", MaxSeries: series + 1}, []string{"n"})
	if err := multiproc.Open(); err != nil {
		return err
	}
	for range 3 {
		for i := range series {
			vec.WithLabelValues(strconv.Itoa(i)).Inc()
		}
	}
	fmt.Println("filled")
	return block()
}

// TestFullFilesystem: the writer survives, the series that fit are exact, and the loss is
// visible.
func TestFullFilesystem(t *testing.T) {
	for _, fs := range []struct {
		name  string
		mount func(t *testing.T, dir string)
	}{
		{"tmpfs", mountTmpfs},
		{"ext4", mountExt4},
	} {
		t.Run(fs.name, func(t *testing.T) {
			needRoot(t)
			needCommand(t, "mount")
			dir := t.TempDir()
			fs.mount(t, dir)
			h := start(t, "fill", dir)
			h.expect(t, "filled")
			a := open(t, dir)
			got := samples(t, a)
			n := countPrefix(got, "fill_total{")
			require.Greater(t, n, 1000)
			require.Less(t, n, 60_000)
			for key, v := range got {
				if strings.HasPrefix(key, "fill_total{") {
					require.EqualValues(t, 3, v, key)
				}
			}
			require.EqualValues(t, 60_000-n, got["multiprom_fallback_series_total"], "the loss is visible")
			h.kill()
			require.NoError(t, a.Close())
		})
	}
}
