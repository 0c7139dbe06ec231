package integration

import (
	"bufio"
	"encoding/binary"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/multiprom/multiprom/aggregate"
	"github.com/multiprom/multiprom/internal/access"
	"github.com/multiprom/multiprom/metric"
	"github.com/multiprom/multiprom/multiproc"
)

// envClock names the file that has the time of all processes of a test, in nanoseconds.
const envClock = "MULTIPROM_TEST_CLOCK"

// The TTL of TestRevivals. A guard is an eighth, and a janitor runs four times in it.
const (
	revivalTTL   = 80 * time.Second
	revivalGuard = revivalTTL / 8
)

// revivalRole does what its stdin says, a line each, and says when it is done:
//
//	inc LABEL N   looks the series up, keeps it, and adds N
//	held LABEL N  adds N by the handle that it has kept
//	drop LABEL    drops the handle
//	look          runs the janitor
func revivalRole() error {
	clock, err := os.Open(os.Getenv(envClock))
	if err != nil {
		return err
	}
	now := func() time.Time {
		var word [8]byte
		if _, err := clock.ReadAt(word[:], 0); err != nil {
			panic(err)
		}
		return time.Unix(0, int64(binary.LittleEndian.Uint64(word[:])))
	}
	set := multiproc.NewSet(multiproc.SetOptions{
		Dir: os.Getenv("PROMETHEUS_MULTIPROC_DIR"), TTL: revivalTTL, Now: now, KeepRemoved: 10 * time.Millisecond,
	})
	if err := set.Open(); err != nil {
		return err
	}
	counters := multiproc.MustNew(set.NewCounterVec(multiproc.CounterOpts{Name: "c_total", Help: "H."}, []string{"l"}))
	histograms := multiproc.MustNew(set.NewHistogramVec(multiproc.HistogramOpts{Name: "h", Help: "H.", Buckets: []float64{1}}, []string{"l"}))
	type handle struct {
		c *multiproc.Counter
		h *multiproc.Histogram
	}
	held := map[string]handle{}
	for lines := bufio.NewScanner(os.Stdin); lines.Scan(); fmt.Println("done") {
		words := strings.Fields(lines.Text())
		switch words[0] {
		case "inc":
			held[words[1]] = handle{counters.WithLabelValues(words[1]), histograms.WithLabelValues(words[1])}
			fallthrough
		case "held":
			n, err := strconv.Atoi(words[2])
			if err != nil {
				return err
			}
			at := held[words[1]]
			for range n {
				at.c.Inc()
				at.h.Observe(0.5)
			}
		case "drop":
			delete(held, words[1])
			runtime.GC()
		case "look":
			access.Look(set)
		}
	}
	return io.EOF
}

// revivals is a directory of workers whose series expire and come back.
type revivals struct {
	t       *testing.T
	r       *rand.Rand
	dir     string
	clock   *os.File
	now     time.Time
	view    *aggregate.Aggregator
	workers []*reviver
	acked   map[string]int // by label
	maybe   map[string]int // of these, what may be lost
	lives   map[string]map[int64]int
	family  map[string]int // series that were shown
}

type reviver struct {
	*helper
	held    map[string]bool
	pending map[string]int // acked by label since the janitor has run and the series was shown
	looked  bool
}

func newRevivals(t *testing.T, seed uint64) *revivals {
	v := &revivals{
		t: t, r: rand.New(rand.NewPCG(seed, 4)), dir: t.TempDir(), now: time.Unix(1e9, 0),
		acked: map[string]int{}, maybe: map[string]int{}, lives: map[string]map[int64]int{}, family: map[string]int{},
	}
	var err error
	v.clock, err = os.Create(filepath.Join(t.TempDir(), "clock"))
	require.NoError(t, err)
	t.Cleanup(func() { v.clock.Close() })
	v.pass(0)
	v.view, err = aggregate.Open(v.dir, aggregate.Options{Now: func() time.Time { return v.now }})
	require.NoError(t, err)
	t.Cleanup(func() { v.view.Close() })
	return v
}

// pass lets time pass, in all processes.
func (v *revivals) pass(d time.Duration) {
	v.now = v.now.Add(d)
	_, err := v.clock.WriteAt(binary.LittleEndian.AppendUint64(nil, uint64(v.now.UnixNano())), 0)
	require.NoError(v.t, err)
}

func (v *revivals) start() {
	v.t.Setenv(envClock, v.clock.Name())
	v.workers = append(v.workers, &reviver{helper: start(v.t, "revival", v.dir), held: map[string]bool{}, pending: map[string]int{}})
}

func (v *revivals) say(w *reviver, format string, args ...any) {
	_, err := fmt.Fprintf(w.stdin, format+"\n", args...)
	require.NoError(v.t, err)
}

// do has a worker do something, and waits until it has.
func (v *revivals) do(w *reviver, format string, args ...any) {
	v.say(w, format, args...)
	w.expect(v.t, "done")
}

func (v *revivals) update(w *reviver, label string) {
	n, how := 1+v.r.IntN(5), "inc"
	if w.held[label] && v.r.IntN(2) == 0 {
		how = "held"
	}
	v.do(w, "%s %s %d", how, label, n)
	w.held[label], w.looked = true, false
	w.pending[label] += n
	v.acked[label] += n
}

// scrape notes what is shown. The counter and the histogram of a label are two series, which
// were updated together.
func (v *revivals) scrape() {
	families, err := v.view.Gather(v.t.Context())
	require.NoError(v.t, err)
	for _, f := range families {
		for _, s := range f.Series {
			label, _ := s.Labels.Get("l")
			key, value := f.Name+" "+label, int(s.Value)
			switch {
			case f.Type == metric.Histogram && f.Name == "h":
				value = int(s.Count)
				require.InDelta(v.t, 0.5*float64(s.Count), s.Sum, 1e-9)
			case f.Name != "c":
				continue
			}
			v.family[f.Name]++
			if v.lives[key] == nil {
				v.lives[key] = map[int64]int{}
			}
			created := s.Created.UnixMilli() // processes begin at the same time, and add nanoseconds
			require.GreaterOrEqual(v.t, value, v.lives[key][created], "%s fell", key)
			for earlier := range v.lives[key] {
				require.LessOrEqual(v.t, earlier, created, "%s has the created time of an earlier life", key)
			}
			v.lives[key][created] = value
			for _, w := range v.workers {
				if w.looked {
					delete(w.pending, label)
				}
			}
		}
	}
}

// look runs the janitors. One of them may be killed meanwhile.
func (v *revivals) look() {
	for _, i := range v.r.Perm(len(v.workers)) {
		v.do(v.workers[i], "look")
		v.workers[i].looked = true
		if v.r.IntN(3) == 0 {
			v.scrape()
		}
	}
	v.scrape()
}

// kill kills a worker, half of them while the janitor runs. What it has added to a series that is
// hidden is lost if its janitor has not noticed.
func (v *revivals) kill(i int) {
	w := v.workers[i]
	if v.r.IntN(2) == 0 {
		v.say(w, "look")
		for range v.r.IntN(2000) {
			runtime.Gosched()
		}
	}
	w.kill()
	v.workers = append(v.workers[:i], v.workers[i+1:]...)
	for label, n := range w.pending {
		v.maybe[label] += n
	}
}

func (v *revivals) compact() {
	_, err := aggregate.Compact(v.t.Context(), v.dir, aggregate.CompactOptions{Now: func() time.Time { return v.now }})
	require.NoError(v.t, err)
}

// TestRevivals: random schedules of updates, expiry, revival, compactions and SIGKILL, also of
// janitors at work. Over all lives of a series, each acknowledged update is shown exactly once,
// and no life ever falls. The one exception are updates of a hidden series that its process
// was killed before it noticed. MULTIPROM_SCHEDULES is how many schedules there are.
func TestRevivals(t *testing.T) {
	schedules := 8
	if n, err := strconv.Atoi(os.Getenv("MULTIPROM_SCHEDULES")); err == nil {
		schedules = n
	}
	lives, shown, lost := 0, 0, 0
	for seed := range schedules {
		t.Run(strconv.Itoa(seed), func(t *testing.T) {
			v := newRevivals(t, uint64(seed))
			v.start()
			labels := []string{"a", "b"}
			for range 60 {
				label := labels[v.r.IntN(len(labels))]
				if len(v.workers) < 3 && v.r.IntN(4) == 0 || len(v.workers) == 0 {
					v.start()
				}
				i := v.r.IntN(len(v.workers))
				switch op := v.r.IntN(20); {
				case op < 8:
					v.update(v.workers[i], label)
					v.scrape()
				case op == 8:
					v.kill(i)
					v.scrape()
				case op == 9:
					v.do(v.workers[i], "drop %s", label)
					v.workers[i].held[label] = false
				case op == 10:
					v.compact()
					v.scrape()
				default:
					for range 1 + v.r.IntN(10) {
						v.pass(time.Duration(1+v.r.IntN(20)) * time.Second)
						v.scrape()
						v.look()
					}
				}
			}
			for range 4 { // the last of a guard before an end passes
				v.pass(revivalGuard / 2)
				v.look()
			}
			for _, family := range []string{"c", "h"} {
				for _, label := range labels {
					sum := 0
					for _, n := range v.lives[family+" "+label] {
						sum += n
						lives++
					}
					require.LessOrEqual(t, sum, v.acked[label], "%s %s: %v", family, label, v.lives[family+" "+label])
					require.GreaterOrEqual(t, sum, v.acked[label]-v.maybe[label], "%s %s: %v", family, label, v.lives[family+" "+label])
					lost += v.acked[label] - sum
				}
			}
			shown += v.family["c"] + v.family["h"]
		})
	}
	t.Logf("%d lives, shown %d times; %d updates were lost with a killed process that had not noticed them", lives, shown, lost)
	require.Greater(t, lives, 4*schedules)
}
