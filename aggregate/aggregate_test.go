package aggregate

import (
	"context"
	"math"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/multiprom/multiprom/aggregate/internal/compact"
	"github.com/multiprom/multiprom/internal/inspect"
	"github.com/multiprom/multiprom/internal/mpm"
	"github.com/multiprom/multiprom/metric"
)

func TestCountersOfTheDeadStay(t *testing.T) {
	dir, elsewhere := t.TempDir(), t.TempDir()
	live := newProcess(t, dir, "live", 1)
	live.count(counter("c", "l"), 3, "x")
	dead := newProcess(t, elsewhere, "dead", 2)
	dead.count(counter("c", "l"), 4, "x")
	dead.count(counter("only"), 9)
	die(t, dead.Store, dir)
	a := openDir(t, dir, Options{})
	for range 3 {
		got := gather(t, a)
		require.EqualValues(t, 7, got[`c_total{l="x"}`])
		require.EqualValues(t, 9, got["only_total"])
		require.EqualValues(t, 1, got[`multiprom_processes{state="live"}`])
		require.EqualValues(t, 1, got[`multiprom_processes{state="dead"}`])
		require.EqualValues(t, 2, got[`multiprom_files{state="ok"}`])
	}
}

func TestDeathOfARealProcess(t *testing.T) {
	dir := t.TempDir()
	kill := startWorker(t, dir)
	a := openDir(t, dir, Options{})
	got := gather(t, a)
	require.EqualValues(t, 3, got["g_livesum"])
	require.EqualValues(t, 3, got[`g_all{pid="w"}`])
	kill()
	require.Eventually(t, func() bool {
		got = gather(t, a)
		_, live := got["g_livesum"]
		return !live
	}, 10*time.Second, time.Millisecond)
	require.EqualValues(t, 3, got[`g_all{pid="w"}`], "all keeps the dead")
	processes, err := a.Processes()
	require.NoError(t, err)
	require.Len(t, processes, 1)
	require.Equal(t, Dead, processes[0].State)
}

// TestGaugeModes: values 5 of a live process, 2 of another, 9 of a dead one,
// and one live process that never set its gauges.
func TestGaugeModes(t *testing.T) {
	dir, elsewhere := t.TempDir(), t.TempDir()
	now := time.Unix(1000, 0)
	set := func(p *process, value float64, nanos int64) {
		for m := metric.ModeAll; m.Valid(); m++ {
			s := p.add(gauge("g_"+m.String(), m))
			if value == 0 {
				continue
			}
			if m.Base() == metric.ModeMostRecent {
				mpm.StoreRecent(s.Words(), math.Float64bits(value), nanos)
			} else {
				setGauge(s, value)
			}
		}
	}
	set(newProcess(t, dir, "a", 1), 5, 100)
	set(newProcess(t, dir, "b", 2), 2, 200)
	dead := newProcess(t, elsewhere, "d", 3)
	set(dead, 9, now.Add(time.Hour).UnixNano()) // its clock ran ahead
	die(t, dead.Store, dir)
	set(newProcess(t, dir, "unset", 4), 0, 0)
	got := gather(t, openDir(t, dir, Options{Now: func() time.Time { return now }}))
	for key, want := range map[string]float64{
		`g_all{pid="a"}`: 5, `g_all{pid="b"}`: 2, `g_all{pid="d"}`: 9, `g_all{pid="unset"}`: 0,
		`g_liveall{pid="a"}`: 5, `g_liveall{pid="b"}`: 2,
		"g_min": 2, "g_livemin": 2, "g_max": 9, "g_livemax": 5, "g_sum": 16, "g_livesum": 7,
		"g_mostrecent": 2, "g_livemostrecent": 2,
	} {
		v, ok := got[key]
		require.True(t, ok, key)
		require.Equal(t, want, v, key)
	}
	require.NotContains(t, got, `g_liveall{pid="d"}`)
}

func TestGaugeThatNobodySetIsZero(t *testing.T) {
	dir := t.TempDir()
	p := newProcess(t, dir, "a", 1)
	for m := metric.ModeAll; m.Valid(); m++ {
		p.add(gauge("g_"+m.String(), m))
	}
	got := gather(t, openDir(t, dir, Options{}))
	for m := metric.ModeMin; m.Valid(); m++ {
		v, ok := got["g_"+m.String()]
		require.True(t, ok && v == 0, m)
	}
}

func TestNaNLosesAgainstNumbers(t *testing.T) {
	dir := t.TempDir()
	for i, v := range []float64{math.NaN(), 3, math.NaN()} {
		p := newProcess(t, dir, strconv.Itoa(i), int64(i))
		setGauge(p.add(gauge("min", metric.ModeMin)), v)
		setGauge(p.add(gauge("max", metric.ModeMax)), v)
		setGauge(p.add(gauge("nan", metric.ModeMax)), math.NaN())
	}
	got := gather(t, openDir(t, dir, Options{}))
	require.EqualValues(t, 3, got["min"])
	require.EqualValues(t, 3, got["max"])
	require.True(t, math.IsNaN(got["nan"]))
}

func TestProcessLabels(t *testing.T) {
	dir, elsewhere := t.TempDir(), t.TempDir()
	schema := gauge("g", metric.ModeAll)
	for i, v := range []float64{1, 2} { // two dead ones, the newest wins
		p := newProcess(t, elsewhere, "slot-1", int64(i))
		setGauge(p.add(schema), v)
		die(t, p.Store, dir)
	}
	a := openDir(t, dir, Options{})
	got := gather(t, a)
	require.EqualValues(t, 2, got[`g{pid="slot-1"}`])
	require.Len(t, prefixed(got, "g{"), 1)

	eldest := newProcess(t, dir, "slot-1", 10) // a living one wins against the dead
	setGauge(eldest.add(schema), 3)
	got = gather(t, a)
	require.EqualValues(t, 3, got[`g{pid="slot-1"}`])
	require.Len(t, prefixed(got, "g{"), 1)

	younger := newProcess(t, dir, "slot-1", 20) // of two living ones the younger gets a suffix
	setGauge(younger.add(schema), 4)
	got = gather(t, a)
	h := younger.Header()
	require.EqualValues(t, 3, got[`g{pid="slot-1"}`])
	require.EqualValues(t, 4, got[`g{pid="slot-1-`+h.Incarnation.String()[:4]+`"}`])
	require.Len(t, prefixed(got, "g{"), 2)

	own := newProcess(t, dir, "w", 30) // a metric's own label pid stays
	setGauge(own.add(gauge("own", metric.ModeAll, "pid"), "mine"), 5)
	require.EqualValues(t, 5, gather(t, a)[`own{pid="mine",worker_pid="w"}`])
	require.Contains(t, gather(t, openDir(t, dir, Options{ProcessLabel: "worker"})), `g{worker="slot-1"}`)
}

func TestHistogramsOverTheUnionOfBounds(t *testing.T) {
	dir := t.TempDir()
	for i, tc := range []struct {
		bounds []float64
		counts []uint64
	}{
		{[]float64{1, 2}, []uint64{1, 2, 3}},
		{[]float64{2, 5}, []uint64{10, 20, 30}},
	} {
		s := newProcess(t, dir, strconv.Itoa(i), int64(i)).add(histogramSchema("h", tc.bounds...))
		copy(s.Words()[mpm.CellHistogramBuckets:], tc.counts)
		s.Words()[mpm.CellHistogramSum] = math.Float64bits(1.5)
	}
	got := gather(t, openDir(t, dir, Options{}))
	for key, want := range map[string]float64{
		`h_bucket{le="1"}`: 1, `h_bucket{le="2"}`: 13, `h_bucket{le="5"}`: 33, `h_bucket{le="+Inf"}`: 66, "h_count": 66, "h_sum": 3,
	} {
		require.Equal(t, want, got[key], key)
	}
}

func TestInfoAndStates(t *testing.T) {
	dir, elsewhere := t.TempDir(), t.TempDir()
	info := &metric.Schema{Name: "build", Help: "H.", Type: metric.Info}
	enum := func(m metric.Mode) *metric.Schema {
		return &metric.Schema{Name: "e_" + m.String(), Help: "H.", Type: metric.StateSet, Mode: m, States: []string{"up", "down"}}
	}
	write := func(dir, version string, created int64, state uint64) *process {
		p := newProcess(t, dir, version, created)
		f, err := p.AddSchema(info)
		require.NoError(t, err)
		_, err = p.AddSeries(f, nil, metric.MakeLabels("version", version))
		require.NoError(t, err)
		p.add(enum(metric.ModeLiveAll)).Words()[mpm.CellState] = state
		mpm.StoreRecent(p.add(enum(metric.ModeMostRecent)).Words(), math.Float64bits(float64(state)), created)
		return p
	}
	for i, v := range []string{"1", "2"} {
		die(t, write(elsewhere, v, int64(10-i), 0).Store, dir)
	}
	a := openDir(t, dir, Options{})
	got := gather(t, a)
	require.Equal(t, []string{`build_info{version="1"}`}, prefixed(got, "build_info"), "of the newest, since none lives")
	require.Empty(t, prefixed(got, "e_liveall"))
	write(dir, "3", 20, 1)
	write(dir, "4", 30, 1)
	got = gather(t, a)
	require.ElementsMatch(t, []string{`build_info{version="3"}`, `build_info{version="4"}`}, prefixed(got, "build_info"))
	require.EqualValues(t, 1, got[`e_liveall{e_liveall="down",pid="3"}`])
	require.EqualValues(t, 0, got[`e_liveall{e_liveall="up",pid="3"}`])
	require.EqualValues(t, 1, got[`e_mostrecent{e_mostrecent="down"}`])
}

func TestConflicts(t *testing.T) {
	dir := t.TempDir()
	newProcess(t, dir, "a", 1).count(counter("x"), 5)
	a := openDir(t, dir, Options{})
	require.EqualValues(t, 5, gather(t, a)["x_total"])
	canary := newProcess(t, dir, "canary", 2)
	setGauge(canary.add(gauge("x", metric.ModeSum)), 7)       // another type
	setGauge(canary.add(gauge("y_total", metric.ModeSum)), 7) // a derived name
	newProcess(t, dir, "b", 3).count(counter("y"), 1)
	for range 3 {
		got := gather(t, a)
		require.EqualValues(t, 5, got["x_total"], "the incumbent stays while a living process has it")
		require.NotContains(t, got, "x")
		require.EqualValues(t, 2, got["multiprom_merge_conflicts_total"], "each series once")
		require.Len(t, prefixed(got, "y_total"), 1)
	}

	// Help: the newest process's.
	other := counter("x")
	other.Help = "Newer."
	newProcess(t, dir, "c", 9).count(other, 1)
	families, err := a.Gather(context.Background())
	require.NoError(t, err)
	for _, f := range families {
		if f.Name == "x" {
			require.Equal(t, "Newer.", f.Help)
			require.EqualValues(t, 6, f.Series[0].Value)
		}
	}
}

func TestRemovalReachesTheView(t *testing.T) {
	dir := t.TempDir()
	p := newProcess(t, dir, "a", 1)
	f, err := p.AddSchema(counter("c", "l"))
	require.NoError(t, err)
	a := openDir(t, dir, Options{})
	for i := range 200 {
		s, err := p.AddSeries(f, []string{strconv.Itoa(i)}, nil)
		require.NoError(t, err)
		s.Words()[0] = uint64(i)
		got := gather(t, a)
		require.Len(t, prefixed(got, "c_total"), 1)
		require.EqualValues(t, i, got[`c_total{l="`+strconv.Itoa(i)+`"}`])
		s.Remove()
		require.Empty(t, prefixed(gather(t, a), "c_total"))
	}
}

func TestBadFilesAreLeftOut(t *testing.T) {
	dir, elsewhere := t.TempDir(), t.TempDir()
	newProcess(t, dir, "a", 1).count(counter("c"), 1)
	source := newProcess(t, elsewhere, "b", 2)
	source.count(counter("c"), 10)
	good, err := os.ReadFile(source.Path())
	require.NoError(t, err)
	name := func(pid int) string {
		h := source.Header()
		h.PID = pid
		return filepath.Join(dir, h.FileName())
	}
	mutate := func(off int, b byte) []byte {
		out := append([]byte(nil), good...)
		out[off] ^= b
		return out
	}
	require.NoError(t, os.WriteFile(name(1), nil, 0o600))
	require.NoError(t, os.WriteFile(name(2), mutate(60, 1), 0o600))
	require.NoError(t, os.WriteFile(name(3), mutate(8, 0x10), 0o600))
	require.NoError(t, os.WriteFile(name(4), []byte("hello, I am text"), 0o600))
	require.NoError(t, os.WriteFile(name(5), good, 0o600)) // a copy under another name
	require.NoError(t, os.Symlink(source.Path(), name(6)))
	require.NoError(t, mkfifo(name(7)))
	require.NoError(t, os.WriteFile(filepath.Join(dir, filepath.Base(source.Path())), good[:700], 0o600))
	a := openDir(t, dir, Options{})
	got := gather(t, a)
	require.EqualValues(t, 1, got["c_total"])
	for state, want := range map[string]float64{"ok": 1, "corrupt": 3, "unsupported": 1, "foreign": 2, "untrusted": 2} {
		require.Equal(t, want, got[`multiprom_files{state="`+state+`"}`], state)
	}
	for _, f := range inspect.Files(a) {
		require.Equal(t, f.State == inspect.OK, f.Err == nil)
		if f.Err != nil {
			require.ErrorContains(t, f.Err, f.Name)
		}
	}
	got = gather(t, openDir(t, dir, Options{MaxFileBytes: 1000}))
	require.EqualValues(t, 4, got[`multiprom_files{state="toobig"}`])
}

// TestFileCutShortWhileMapped: the aggregator survives, and no counter falls.
func TestFileCutShortWhileMapped(t *testing.T) {
	dir := t.TempDir()
	newProcess(t, dir, "a", 1).count(counter("c"), 1)
	victim := newProcess(t, dir, "victim", 2)
	victim.count(counter("c"), 10)
	a := openDir(t, dir, Options{})
	require.EqualValues(t, 11, gather(t, a)["c_total"])
	require.NoError(t, os.Truncate(victim.Path(), 0))
	got := gather(t, a)
	require.EqualValues(t, 11, got["c_total"], "the last good values stay")
	require.EqualValues(t, 1, got[`multiprom_files{state="corrupt"}`])
	require.NoError(t, os.Remove(victim.Path()))
	require.EqualValues(t, 1, gather(t, a)["c_total"])
}

func TestVanishedDirectory(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "later")
	a := openDir(t, dir, Options{})
	_, err := a.Gather(context.Background())
	require.ErrorIs(t, err, os.ErrNotExist)
	require.NoError(t, os.Mkdir(dir, 0o700))
	newProcess(t, dir, "a", 1).count(counter("c"), 1)
	require.EqualValues(t, 1, gather(t, a)["c_total"])
	require.NoError(t, a.Close())
	_, err = a.Gather(context.Background())
	require.ErrorIs(t, err, ErrClosed)
	_, err = Open("", Options{})
	require.Error(t, err)
}

func TestMarkedAndClosed(t *testing.T) {
	dir := t.TempDir()
	for i := range 2 {
		p := newProcess(t, dir, strconv.Itoa(i), int64(i))
		setGauge(p.add(gauge("g", metric.ModeLiveSum)), 1)
		p.count(counter("c"), 1)
		if i == 0 {
			require.NoError(t, mpm.MarkDead(p.Path()))
		} else {
			require.NoError(t, p.Close())
		}
	}
	got := gather(t, openDir(t, dir, Options{}))
	require.NotContains(t, got, "g")
	require.EqualValues(t, 2, got["c_total"])
	require.EqualValues(t, 1, got[`multiprom_processes{state="marked"}`])
	require.EqualValues(t, 1, got[`multiprom_processes{state="closed"}`])
}

// TestConcurrentScrapes lets writers update and grow while several scrapes
// run: no counter falls, the end is exact. The heap form is for -race.
func TestConcurrentScrapes(t *testing.T) {
	const updates = 20_000
	run := func(t *testing.T, a *Aggregator, store *mpm.Store) {
		f, err := store.AddSchema(counter("c", "l"))
		require.NoError(t, err)
		var writer, readers sync.WaitGroup
		writer.Go(func() {
			var s *mpm.Series
			for i := range updates {
				if i%100 == 0 {
					s, _ = store.AddSeries(f, []string{strconv.Itoa(i)}, nil)
				}
				atomic.AddUint64(&s.Words()[0], 1)
			}
		})
		stop := make(chan struct{})
		for range 3 {
			readers.Go(func() {
				last := 0.0
				for {
					families, err := a.Gather(context.Background())
					if err != nil {
						t.Error(err)
						return
					}
					sum := 0.0
					for key, v := range flatten(families) {
						if len(key) > 7 && key[:7] == "c_total" {
							sum += v
						}
					}
					if sum < last {
						t.Errorf("the sum fell from %v to %v", last, sum)
					}
					last = sum
					select {
					case <-stop:
						return
					default:
					}
				}
			})
		}
		writer.Wait()
		close(stop)
		readers.Wait()
		sum := 0.0
		for _, key := range prefixed(gather(t, a), "c_total") {
			sum += gather(t, a)[key]
			break
		}
		require.EqualValues(t, 100, sum)
		require.Len(t, prefixed(gather(t, a), "c_total"), updates/100)
	}
	t.Run("heap", func(t *testing.T) {
		s := mpm.NewHeap(mpm.Options{})
		run(t, fromStore(s, Options{}), s)
	})
	t.Run("file", func(t *testing.T) {
		dir := t.TempDir()
		run(t, openDir(t, dir, Options{}), newProcess(t, dir, "a", 1).Store)
	})
}

func TestWipe(t *testing.T) {
	dir, elsewhere := t.TempDir(), t.TempDir()
	dead := newProcess(t, elsewhere, "dead", 1)
	deadPath := die(t, dead.Store, dir)
	live := newProcess(t, dir, "live", 2)
	for _, name := range []string{"notes.txt", "counter_1.db", ".7-00000000000000000000000000000000.tmp"} {
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), nil, 0o600))
	}
	require.NoError(t, os.Mkdir(filepath.Join(dir, "counter_2.db"), 0o700))
	outside := filepath.Join(elsewhere, "outside")
	require.NoError(t, os.WriteFile(outside, nil, 0o600))
	require.NoError(t, os.Symlink(outside, filepath.Join(dir, "counter_3.db")))

	_, err := Wipe(dir, false)
	require.ErrorIs(t, err, ErrInUse)
	require.ErrorContains(t, err, filepath.Base(live.Path()))
	require.FileExists(t, deadPath, "nothing is removed")

	removed, err := Wipe(dir, true)
	require.NoError(t, err)
	require.ElementsMatch(t, []string{filepath.Base(deadPath), "counter_1.db", ".7-00000000000000000000000000000000.tmp"}, removed)
	require.FileExists(t, live.Path())
	require.FileExists(t, filepath.Join(dir, "notes.txt"))
	require.FileExists(t, outside)
	require.DirExists(t, filepath.Join(dir, "counter_2.db"))

	d, unlock, err := compact.LockDir(dir)
	require.NoError(t, err)
	_, err = Wipe(dir, true)
	require.ErrorIs(t, err, ErrBusy)
	require.NoError(t, unlock())
	require.NoError(t, d.Close())
}
