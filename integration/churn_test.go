package integration

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/multiprom/multiprom/aggregate"
	"github.com/multiprom/multiprom/metric"
	"github.com/multiprom/multiprom/multiproc"
)

// envAck names the file in which a churning worker says what it has counted: two words, the
// updates that it has begun and those that it has done.
const envAck = "MULTIPROM_TEST_ACK"

// envPace is how many series a churning worker makes and removes a second. Unset: as fast as
// it can, and each with a name of its own.
const envPace = "MULTIPROM_TEST_PACE"

var stays = []string{"a", "b", "c", strings.Repeat("long", 50)}

// churnRole counts in series that stay, and makes and removes others all the time. A tenant's
// counter says which tenant it is of.
func churnRole() error {
	ack, err := os.OpenFile(os.Getenv(envAck), os.O_RDWR, 0)
	if err != nil {
		return err
	}
	keep := 500 * time.Millisecond
	pace := time.Duration(intFromEnv(envPace, 0))
	if pace > 0 {
		keep = 10 * time.Second
	}
	set := multiproc.NewSet(multiproc.SetOptions{Dir: os.Getenv("PROMETHEUS_MULTIPROC_DIR"), KeepRemoved: keep})
	if err := set.Open(); err != nil {
		return err
	}
	counters := multiproc.MustNew(set.NewCounterVec(multiproc.CounterOpts{Name: "stays_total", Help: "H."}, []string{"l"}))
	histograms := multiproc.MustNew(set.NewHistogramVec(multiproc.HistogramOpts{Name: "lasts", Help: "H.", Buckets: []float64{1, 2}}, []string{"l"}))
	tenants := multiproc.MustNew(set.NewCounterVec(multiproc.CounterOpts{Name: "tenant_total", Help: "H."}, []string{"tenant"}))
	sizes := multiproc.MustNew(set.NewHistogramVec(multiproc.HistogramOpts{Name: "tenant_size", Help: "H.", Buckets: []float64{1, 2, 3}}, []string{"tenant"}))
	say := func(at int64, n uint64) error {
		_, err := ack.WriteAt(binary.LittleEndian.AppendUint64(nil, n), at)
		return err
	}
	r := rand.New(rand.NewPCG(rand.Uint64(), 1))
	var live []string
	for n := uint64(1); ; n++ {
		if err := say(0, n); err != nil {
			return err
		}
		for _, l := range stays {
			counters.WithLabelValues(l).Inc()
			histograms.WithLabelValues(l).Observe(1.5)
		}
		if err := say(8, n); err != nil {
			return err
		}
		added := 1 + r.IntN(4)
		for i := range added {
			number := n*8 + uint64(i)
			tenant := fmt.Sprintf("%d %d %s", number, os.Getpid(), strings.Repeat("x", r.IntN(1<<r.IntN(9))))
			if pace > 0 {
				// What the dead had stays, so names that never come again would make a long run grow.
				tenant = fmt.Sprint("of all ", r.IntN(2000))
			}
			tenants.WithLabelValues(tenant).Add(float64(number))
			if r.IntN(4) == 0 {
				sizes.WithLabelValues(tenant).Observe(float64(number % 5))
			}
			live = append(live, tenant)
		}
		for len(live) > 100 {
			i := r.IntN(len(live))
			tenants.DeleteLabelValues(live[i])
			sizes.DeleteLabelValues(live[i])
			live[i] = live[len(live)-1]
			live = live[:len(live)-1]
		}
		switch { // a pace, not a wait: there is one processor for all
		case pace > 0:
			time.Sleep(time.Duration(added) * time.Second / pace)
		case n%4 == 0:
			time.Sleep(time.Millisecond)
		}
	}
}

// churn is a directory whose workers make and remove series, are killed and compacted.
type churn struct {
	t   *testing.T
	dir string

	mu   sync.Mutex
	acks []*os.File // of all workers that there ever were
}

func (c *churn) start() *helper {
	c.t.Helper()
	ack, err := os.Create(filepath.Join(c.t.TempDir(), "ack"))
	require.NoError(c.t, err)
	require.NoError(c.t, ack.Truncate(16))
	c.t.Cleanup(func() { ack.Close() })
	c.mu.Lock()
	c.acks = append(c.acks, ack)
	c.mu.Unlock()
	c.t.Setenv(envAck, ack.Name())
	return start(c.t, "churn", c.dir)
}

// said returns how many updates all workers have begun (at 0) or done (at 8).
func (c *churn) said(at int64) (sum float64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	var word [8]byte
	for _, ack := range c.acks {
		_, err := ack.ReadAt(word[:], at)
		require.NoError(c.t, err)
		sum += float64(binary.LittleEndian.Uint64(word[:]))
	}
	return sum
}

// scrape checks all that a view shows. last has what the same view has shown before, nil for
// a new one.
func (c *churn) scrape(a *aggregate.Aggregator, last map[string]float64) error {
	low := c.said(8)
	families, err := a.Gather(c.t.Context())
	if err != nil {
		return err
	}
	high := c.said(0)
	found := 0
	for _, f := range families {
		for _, s := range f.Series {
			key := f.Name + s.Labels.String()
			v := s.Value
			if f.Type == metric.Histogram {
				v = float64(s.Count)
			}
			switch f.Name {
			case "multiprom_files":
				if state, _ := s.Labels.Get("state"); state == "stale" && v > 0 && last == nil {
					return nil // a view that begins has no good read of it yet
				}
			case "stays", "lasts":
				found++
				if v < low || v > high || v < last[key] {
					return fmt.Errorf("%s is %v, the workers say %v to %v, it was %v", key, v, low, high, last[key])
				}
				if last != nil {
					last[key] = v
				}
			case "tenant":
				tenant, _ := s.Labels.Get("tenant")
				number, _, _ := strings.Cut(tenant, " ")
				if number == "of" {
					continue // of several workers, with any value
				}
				if want, err := strconv.ParseFloat(number, 64); err != nil || v != want && v != 0 {
					return fmt.Errorf("%s is %v: these are another series' words", key, v)
				}
			case "tenant_size":
				tenant, _ := s.Labels.Get("tenant")
				if v > 1 && !strings.HasPrefix(tenant, "of all") {
					return fmt.Errorf("%s has %v observations: these are another series' words", key, v)
				}
			}
		}
	}
	if low > 0 && found < 2*len(stays) {
		return fmt.Errorf("%d series of those that stay are there", found)
	}
	return nil
}

// TestChurnOfKilledWorkers: while workers make and remove series, are killed at any moment and
// compacted, every other series stays exact and never falls, and no series ever has a value of
// another. MULTIPROM_SCHEDULES is how many workers are killed.
func TestChurnOfKilledWorkers(t *testing.T) {
	kills := 20
	if n, err := strconv.Atoi(os.Getenv("MULTIPROM_SCHEDULES")); err == nil {
		kills = n
	}
	c := &churn{t: t, dir: t.TempDir()}
	stop, done := make(chan struct{}), make(chan error, 2)
	scrapes := [2]int{}
	view := func(warm bool) {
		var err error
		a, last := open(t, c.dir), map[string]float64{}
		for err == nil {
			select {
			case <-stop:
				done <- nil
				return
			default:
			}
			if warm {
				scrapes[0]++
				err = c.scrape(a, last)
				continue
			}
			scrapes[1]++
			cold, e := aggregate.Open(c.dir, aggregate.Options{})
			if err = e; err == nil {
				err = c.scrape(cold, nil)
				cold.Close()
			}
		}
		done <- err
	}
	var workers []*helper
	for range 3 {
		workers = append(workers, c.start())
	}
	go view(true)
	go view(false)
	r := rand.New(rand.NewPCG(rand.Uint64(), 2))
	ended := 0
	for i := range kills {
		// Each lives for some updates more.
		until, deadline := c.said(8)+float64(r.IntN(400)), time.Now().Add(time.Minute)
		for c.said(8) < until && len(done) == 0 {
			require.True(t, time.Now().Before(deadline), "the workers count no more")
			time.Sleep(time.Millisecond)
		}
		if len(done) > 0 {
			break
		}
		k := r.IntN(len(workers))
		workers[k].kill()
		workers[k] = c.start()
		if i%5 == 4 {
			result, err := aggregate.Compact(t.Context(), c.dir, aggregate.CompactOptions{})
			require.NoError(t, err)
			ended += len(result.Compacted)
		}
	}
	close(stop)
	for range 2 {
		require.NoError(t, <-done)
	}
	for _, w := range workers {
		w.kill()
	}
	a := open(t, c.dir)
	require.NoError(t, c.scrape(a, map[string]float64{}))
	_, err := aggregate.Compact(t.Context(), c.dir, aggregate.CompactOptions{})
	require.NoError(t, err)
	require.NoError(t, c.scrape(a, map[string]float64{}))
	require.NoError(t, c.scrape(open(t, c.dir), nil))
	t.Logf("%d kills, %d compacted before the end, %d warm scrapes and %d cold ones, %v updates done, 0 differences",
		kills, ended, scrapes[0], scrapes[1], c.said(8))
}

// TestChurnSoak: 4 workers make and remove 500 series a second together, beside kills and a
// server that compacts. What stays is exact, and neither the server's memory nor the directory
// grows. MULTIPROM_SOAK_SECONDS is the duration; growth is measured after the first two minutes.
func TestChurnSoak(t *testing.T) {
	const warm = 2 * time.Minute
	length := time.Duration(intFromEnv("MULTIPROM_SOAK_SECONDS", 5)) * time.Second
	t.Setenv(envPace, "125")
	c := &churn{t: t, dir: tmpfs(t)}
	var workers []*helper
	for range 4 {
		workers = append(workers, c.start())
	}
	address := freeAddress(t)
	serve := exec.Command(mpctl(t), "serve", "--dir", c.dir, "--web.listen-address", address, "--compact-period", "1s", "--compact-threshold", "2")
	var log bytes.Buffer
	serve.Stderr = &log
	require.NoError(t, serve.Start())
	t.Cleanup(func() {
		serve.Process.Kill()
		serve.Wait()
	})
	url := "http://" + address + "/metrics"
	get(t, request(t, url)) // wait until it is up
	r := rand.New(rand.NewPCG(rand.Uint64(), 3))
	began, killed := time.Now(), time.Now()
	var early, late, earlyBytes, lateBytes []int
	kills, scrapes, last := 0, 0, 0.0
	tick := time.NewTicker(500 * time.Millisecond)
	defer tick.Stop()
	for time.Since(began) < length {
		<-tick.C
		if time.Since(killed) > 3*time.Second {
			k := r.IntN(len(workers))
			workers[k].kill()
			workers[k] = c.start()
			killed = time.Now()
			kills++
		}
		low := c.said(8)
		code, body := get(t, request(t, url))
		high := c.said(0)
		require.Equal(t, 200, code, body)
		scrapes++
		for _, l := range stays {
			v, there := sampleOf(body, `stays_total{l="`+l+`"}`)
			require.True(t, there || low == 0, l)
			n, _ := sampleOf(body, `lasts_count{l="`+l+`"}`)
			if v < max(low, last) || v > high || n < low || n > high {
				t.Fatalf("%s is %v and %v, the workers say %v to %v, it was at least %v", l, v, n, low, high, last)
			}
		}
		last = low
		kib, files := residentKiB(t, serve.Process.Pid), bytesIn(t, c.dir)
		switch age := time.Since(began); {
		case age > warm-10*time.Second && age < warm+10*time.Second:
			early, earlyBytes = append(early, kib), append(earlyBytes, files)
		case age > length-20*time.Second:
			late, lateBytes = append(late, kib), append(lateBytes, files)
		}
	}
	for _, w := range workers {
		w.kill()
	}
	require.NoError(t, c.scrape(open(t, c.dir), nil))
	require.NoError(t, serve.Process.Signal(syscall.SIGTERM))
	require.NoError(t, serve.Wait())
	require.NotContains(t, log.String(), "level=WARN", "nothing is in the log")
	require.NotContains(t, log.String(), "level=ERROR")
	t.Logf("%v: %v updates, %d kills, %d scrapes, resident %d KiB after two minutes, %d KiB at the end, files %d KiB and %d KiB",
		length, c.said(8), kills, scrapes, median(early), median(late), median(earlyBytes)/1024, median(lateBytes)/1024)
	if len(early) > 0 && length > 2*warm {
		require.LessOrEqual(t, float64(median(late)), 1.1*float64(median(early)), "the server grows")
		require.LessOrEqual(t, float64(median(lateBytes)), 1.1*float64(median(earlyBytes)), "the directory grows")
	}
}

// bytesIn returns how many bytes the files of a directory have.
func bytesIn(t *testing.T, dir string) (sum int) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	require.NoError(t, err)
	for _, e := range entries {
		if info, err := e.Info(); err == nil { // else it was compacted meanwhile
			sum += int(info.Size())
		}
	}
	return sum
}
