package multiproc

import (
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/multiprom/multiprom/internal/environ"
	"github.com/multiprom/multiprom/internal/mpm"
	"github.com/multiprom/multiprom/metric"
)

// expiring is a Set whose clock a test moves, and whose janitor runs when the test says so. Its
// TTL is 80 s, of which the guard is 10 s: a series expires 130 s after it was active.
type expiring struct {
	*Set
	t   *testing.T
	now time.Time
}

func newExpiring(t *testing.T, opts SetOptions) *expiring {
	e := &expiring{t: t, now: time.Unix(1e9, 0)}
	opts.TTL, opts.Now = 80*time.Second, func() time.Time { return e.now }
	e.Set = NewSet(opts)
	t.Cleanup(func() { e.Close() })
	return e
}

// onBoth runs a test on a Set of each backing.
func onBoth(t *testing.T, test func(t *testing.T, e *expiring)) {
	t.Run("heap", func(t *testing.T) { test(t, newExpiring(t, SetOptions{})) })
	t.Run("file", func(t *testing.T) { test(t, newExpiring(t, SetOptions{Dir: t.TempDir()})) })
}

// run lets time pass, and the janitor runs.
func (e *expiring) run(seconds int) {
	e.now = e.now.Add(time.Duration(seconds) * time.Second)
	e.look(time.Time{})
}

// idle lets so much time pass that everything expires, with all runs of the janitor.
func (e *expiring) idle() {
	for range 8 {
		e.run(20)
	}
}

// counted returns a counter of the header.
func (e *expiring) counted(c mpm.Counter) uint64 {
	r := e.store.Load().Reader(nil)
	require.NoError(e.t, r.Refresh())
	return r.Count(c)
}

// row is what a reader sees of a series.
type row struct {
	created, active int64 // seconds after the beginning
	words           []uint64
}

// rows returns the live series of the store by family and label values.
func (e *expiring) rows() map[string]row {
	e.t.Helper()
	store := e.store.Load()
	r := store.Reader(nil)
	if store.Path() != "" {
		var err error
		r, err = mpm.Open(store.Path(), mpm.ReadOptions{})
		require.NoError(e.t, err)
		defer r.Close()
	}
	require.NoError(e.t, r.Refresh())
	_, damaged := r.Damaged()
	require.Zero(e.t, damaged)
	out := map[string]row{}
	for _, s := range r.Series() {
		at := row{words: append([]uint64(nil), s.Words()...), created: s.CreatedNanos()/1e9 - 1e9}
		if !s.Active().IsZero() {
			at.active = (s.Active().UnixNano()+1<<26)/1e9 - 1e9
		}
		out[s.Schema.Name+"/"+strings.Join(s.Values(), "/")] = at
	}
	return out
}

// collected lets the garbage collector find what nobody holds, until the Vec has cleaned up.
func (e *expiring) collected(done func() bool) {
	e.t.Helper()
	require.Eventually(e.t, func() bool {
		runtime.GC()
		return done()
	}, 30*time.Second, time.Millisecond)
}

// TestIdleSeriesExpire: a series that nobody updates goes after a TTL and a half and the guard.
func TestIdleSeriesExpire(t *testing.T) {
	onBoth(t, func(t *testing.T, e *expiring) {
		vec := must(e.NewCounterVec(CounterOpts{Name: "c", Help: "C."}, []string{"l"}))
		busy := vec.WithLabelValues("busy")
		busy.Inc()
		vec.WithLabelValues("idle").Inc()
		single := must(e.NewCounter(CounterOpts{Name: "single", Help: "S."}))
		single.Inc()
		never := must(e.NewCounterVec(CounterOpts{Name: "never", Help: "N.", TTL: metric.NoLimit}, []string{"l"}))
		never.WithLabelValues("x").Inc()
		info := must(e.NewInfoVec(InfoOpts{Name: "i", Help: "I."}, []string{"l"}))
		require.NoError(t, info.WithLabelValues("x").Set(nil))
		e.run(0) // sees them for the first time
		for range 6 {
			busy.Inc()
			e.run(20)
		}
		rows := e.rows()
		require.EqualValues(t, 0, rows["c/idle"].active)
		require.EqualValues(t, 120, rows["c/busy"].active)
		require.EqualValues(t, 0, rows["c/busy"].created)
		require.EqualValues(t, 7, rows["c/busy"].words[0])
		e.run(10)
		require.NotContains(t, e.rows(), "c/idle")
		e.idle()
		rows = e.rows()
		require.Len(t, rows, 3)
		require.Contains(t, rows, "single/")
		require.Contains(t, rows, "never/x")
		require.Contains(t, rows, "i/x")
		require.EqualValues(t, 2, e.counted(mpm.ExpiredSeries))
		require.Zero(t, vec.v.size.Load())
	})
}

// TestHeldSeriesComesBack: an update of a handle that a program has kept begins a new life,
// which has exactly what was counted since.
func TestHeldSeriesComesBack(t *testing.T) {
	onBoth(t, func(t *testing.T, e *expiring) {
		counters := must(e.NewCounterVec(CounterOpts{Name: "c", Help: "C."}, []string{"l"}))
		histograms := must(e.NewHistogramVec(HistogramOpts{Name: "h", Help: "H.", Buckets: []float64{1, 2}}, []string{"l"}))
		summaries := must(e.NewSummaryVec(SummaryOpts{Name: "s", Help: "S."}, []string{"l"}))
		gauges := must(e.NewGaugeVec(GaugeOpts{Name: "g", Help: "G.", Mode: metric.ModeSum}, []string{"l"}))
		recents := must(e.NewGaugeVec(GaugeOpts{Name: "r", Help: "R.", Mode: metric.ModeMostRecent}, []string{"l"}))
		enums := must(e.NewEnumVec(EnumOpts{Name: "e", Help: "E.", States: []string{"a", "b"}}, []string{"l"}))
		c, h, s, g, r, en := counters.WithLabelValues("x"), histograms.WithLabelValues("x"), summaries.WithLabelValues("x"), gauges.WithLabelValues("x"), recents.WithLabelValues("x"), enums.WithLabelValues("x")
		update := func() {
			c.Inc()
			c.Add(0.5)
			h.Observe(1.5)
			h.Observe(7)
			s.Observe(3)
			g.Set(4)
			r.Set(5)
			require.NoError(t, en.Set("b"))
		}
		update()
		update()
		e.run(0)
		e.idle()
		require.Empty(t, e.rows())
		require.EqualValues(t, 6, e.counted(mpm.ExpiredSeries))

		update() // to the same values, where there are some
		e.run(0)
		rows := e.rows()
		require.Len(t, rows, 6)
		for name, row := range rows {
			require.EqualValues(t, 160, row.created, name)
			require.EqualValues(t, 160, row.active, name)
		}
		require.Equal(t, 1.5, c.Value())
		buckets, sum := h.Values()
		require.Equal(t, []metric.Bucket{{UpperBound: 1}, {UpperBound: 2, Count: 1}, {UpperBound: buckets[2].UpperBound, Count: 2}}, buckets)
		require.Equal(t, 8.5, sum)
		count, total := s.Values()
		require.EqualValues(t, 1, count)
		require.Equal(t, 3.0, total)
		require.Equal(t, 4.0, g.Value())
		require.Equal(t, 5.0, r.Value())
		require.EqualValues(t, 1, rows["e/x"].words[0])
		require.EqualValues(t, 6, e.counted(mpm.RevivedSeries))
		require.Same(t, c, counters.WithLabelValues("x"))
		require.Same(t, g, gauges.WithLabelValues("x"))

		// They live as long as others, and expire again.
		e.run(100)
		require.Len(t, e.rows(), 6)
		e.idle()
		require.Empty(t, e.rows())
		require.EqualValues(t, 12, e.counted(mpm.ExpiredSeries))
		runtime.KeepAlive([]any{c, h, s, g, r, en})
	})
}

// TestUpdateAfterTheEnd: a series that was idle until its end, and is updated before the janitor
// has it expire, begins a new life without having expired.
func TestUpdateAfterTheEnd(t *testing.T) {
	onBoth(t, func(t *testing.T, e *expiring) {
		vec := must(e.NewCounterVec(CounterOpts{Name: "c", Help: "C."}, []string{"l"}))
		c := vec.WithLabelValues("x")
		c.Add(5)
		e.run(0)
		e.run(121) // less than a guard before its end
		c.Inc()
		e.run(0)
		require.EqualValues(t, 0, e.rows()["c/x"].active, "the next run decides")
		e.run(9)
		require.Equal(t, 1.0, c.Value())
		require.EqualValues(t, 130, e.rows()["c/x"].created)
		require.Zero(t, e.counted(mpm.ExpiredSeries))
		require.EqualValues(t, 1, e.counted(mpm.RevivedSeries))

		// One that is updated early enough keeps its life.
		e.run(119)
		c.Inc()
		e.run(0)
		require.Equal(t, 2.0, c.Value())
		require.EqualValues(t, 130, e.rows()["c/x"].created)
		require.EqualValues(t, 249, e.rows()["c/x"].active)
	})
}

// TestLookupRevives: a lookup of an expired series finds the handle that a program still has,
// and never makes a second one.
func TestLookupRevives(t *testing.T) {
	onBoth(t, func(t *testing.T, e *expiring) {
		vec := must(e.NewCounterVec(CounterOpts{Name: "c", Help: "C.", MaxSeries: 1}, []string{"l"}))
		held := vec.WithLabelValues("x")
		held.Add(3)
		vec.WithLabelValues("beyond the limit").Inc()
		e.run(0)
		e.idle()
		require.Len(t, e.rows(), 1, "the overflow series never expires")
		require.Same(t, held, vec.WithLabelValues("x"))
		require.EqualValues(t, 160, e.rows()["c/x"].created)
		require.Zero(t, held.Value())
		held.Inc()
		require.EqualValues(t, 1, e.rows()["c/x"].words[0])
	})
}

// TestDeletedAfterExpiry: what is deleted does not come back.
func TestDeletedAfterExpiry(t *testing.T) {
	for name, remove := range map[string]func(*CounterVec){
		"DeleteLabelValues":  func(v *CounterVec) { v.DeleteLabelValues("x") },
		"DeletePartialMatch": func(v *CounterVec) { v.DeletePartialMatch(Labels{"l": "x"}) },
		"Reset":              func(v *CounterVec) { v.Reset() },
	} {
		t.Run(name, func(t *testing.T) {
			onBoth(t, func(t *testing.T, e *expiring) {
				vec := must(e.NewCounterVec(CounterOpts{Name: "c", Help: "C."}, []string{"l"}))
				held := vec.WithLabelValues("x")
				held.Inc()
				e.run(0)
				e.idle()
				remove(vec)
				held.Inc()
				e.run(20)
				require.Empty(t, e.rows())
				vec.WithLabelValues("x").Add(7)
				require.NotSame(t, held, vec.WithLabelValues("x"))
				held.Inc()
				e.run(20)
				require.EqualValues(t, 7, e.rows()["c/x"].words[0])
				require.Zero(t, len(vec.v.expired.all))
			})
		})
	}
}

// TestExpiredHandleIsDropped: the space of a series that nobody holds is used again. An update
// that came after the last comparison is not lost.
func TestExpiredHandleIsDropped(t *testing.T) {
	for _, late := range []bool{false, true} {
		for _, replaced := range []bool{false, true} {
			t.Run("late "+strconv.FormatBool(late)+", replaced "+strconv.FormatBool(replaced), func(t *testing.T) {
				e := newExpiring(t, SetOptions{KeepRemoved: metric.KeepNone})
				counters := must(e.NewCounterVec(CounterOpts{Name: "c", Help: "C."}, []string{"l"}))
				gauges := must(e.NewGaugeVec(GaugeOpts{Name: "g", Help: "G.", Mode: metric.ModeSum}, []string{"l"}))
				func() {
					c, g := counters.WithLabelValues("x"), gauges.WithLabelValues("x")
					c.Add(5)
					g.Set(5)
					e.run(0)
					e.idle()
					if late {
						c.Add(2)
						g.Set(2)
					}
					runtime.KeepAlive(c)
					runtime.KeepAlive(g)
				}()
				if replaced {
					// The weak pointers are nil before the cleanups have run.
					counters.v.mu.Lock()
					gauges.v.mu.Lock()
					e.collected(func() bool {
						return counters.v.expired.all[0].series.Value() == nil && gauges.v.expired.all[0].series.Value() == nil
					})
					counters.v.addLocked(hashValues([]string{"x"}), []string{"x"})
					gauges.v.addLocked(hashValues([]string{"x"}), []string{"x"})
					counters.v.mu.Unlock()
					gauges.v.mu.Unlock()
				}
				store := e.store.Load()
				e.collected(func() bool {
					counters.v.mu.Lock()
					gauges.v.mu.Lock()
					defer counters.v.mu.Unlock()
					defer gauges.v.mu.Unlock()
					// What is released is used again, if a new series needs space.
					none := len(counters.v.expired.all)+len(gauges.v.expired.all) == 0
					return none && (late && !replaced || store.Released() == 2)
				})
				rows := e.rows()
				if !late && !replaced {
					require.Empty(t, rows)
					return
				}
				want := 0.0
				if late {
					want = 2
				}
				require.Equal(t, want, counters.WithLabelValues("x").Value())
				require.Equal(t, want, gauges.WithLabelValues("x").Value())
				require.Len(t, rows, 2)
			})
		}
	}
}

// TestExpiredSeriesBecomeFree: the janitor makes free space of series that have expired, also in
// a process that makes no new ones. Readers have nothing of them any more.
func TestExpiredSeriesBecomeFree(t *testing.T) {
	e := newExpiring(t, SetOptions{KeepRemoved: metric.KeepNone})
	vec := must(e.NewCounterVec(CounterOpts{Name: "c", Help: "C."}, []string{"l"}))
	for i := range 1000 {
		vec.WithLabelValues(strconv.Itoa(i)).Inc()
	}
	e.run(0)
	e.idle()
	r := e.store.Load().Reader(nil)
	e.collected(func() bool {
		e.run(20)
		require.NoError(t, r.Refresh())
		return len(r.Removed()) == 0
	})
	require.Empty(t, r.Series())
}

// TestResetWithTTL: a series that is set back counts from there, live or expired.
func TestResetWithTTL(t *testing.T) {
	onBoth(t, func(t *testing.T, e *expiring) {
		vec := must(e.NewCounterVec(CounterOpts{Name: "c", Help: "C."}, []string{"l"}))
		c := vec.WithLabelValues("x")
		c.Add(5)
		e.run(0)
		c.Reset()
		e.run(20)
		c.Add(2)
		e.run(20)
		require.Equal(t, 2.0, c.Value())
		e.idle()
		c.Reset()
		require.Zero(t, c.Value())
		c.Add(3)
		e.run(20)
		require.Equal(t, 3.0, c.Value())
		require.EqualValues(t, 3, e.rows()["c/x"].words[0])
		require.EqualValues(t, 200, e.rows()["c/x"].created)
	})
}

// TestOtherProcesses: a series lasts as long as any process updates it.
func TestOtherProcesses(t *testing.T) {
	dir := t.TempDir()
	a, b := newExpiring(t, SetOptions{Dir: dir}), newExpiring(t, SetOptions{Dir: dir})
	define := func(e *expiring, labels ...string) *CounterVec {
		return must(e.NewCounterVec(CounterOpts{Name: "c", Help: "C."}, labels))
	}
	ofA, ofB := define(a, "l", "m"), define(b, "m", "l")
	ofA.WithLabelValues("x", "y").Inc()
	held := ofB.WithLabelValues("y", "x")
	held.Inc()
	run := func(seconds int) {
		a.run(seconds)
		b.run(seconds)
	}
	run(0)
	for range 10 {
		held.Inc()
		run(20)
	}
	require.EqualValues(t, 0, a.rows()["c/x/y"].active)
	require.EqualValues(t, 200, b.rows()["c/y/x"].active)
	require.Zero(t, a.counted(mpm.ExpiredSeries), "the other process has it")

	// An update of the process that was idle belongs to the same life.
	ofA.WithLabelValues("x", "y").Inc()
	run(20)
	require.EqualValues(t, 0, a.rows()["c/x/y"].created)
	require.EqualValues(t, 2, a.rows()["c/x/y"].words[0])
	for range 8 {
		run(20)
	}
	require.EqualValues(t, 1, a.counted(mpm.ExpiredSeries))
	require.EqualValues(t, 1, b.counted(mpm.ExpiredSeries))
	require.Empty(t, a.rows())

	// Gauges of mode all are of one process each.
	ga := must(a.NewGaugeVec(GaugeOpts{Name: "g", Help: "G."}, []string{"l"}))
	gb := must(b.NewGaugeVec(GaugeOpts{Name: "g", Help: "G."}, []string{"l"}))
	ga.WithLabelValues("x").Set(1)
	for range 9 {
		gb.WithLabelValues("x").Set(1)
		run(20)
	}
	require.EqualValues(t, 2, a.counted(mpm.ExpiredSeries))
	require.Contains(t, b.rows(), "g/x")
}

// TestTTLOfTheEnvironment: MULTIPROM_TTL is read when the store opens, also by series that were
// made before.
func TestTTLOfTheEnvironment(t *testing.T) {
	env := map[string]string{}
	s, _ := environment(t, env)
	early := must(s.NewGaugeVec(GaugeOpts{Name: "early", Help: "E."}, []string{"l"}))
	c := must(s.NewCounterVec(CounterOpts{Name: "c", Help: "C."}, []string{"l"}))
	never := must(s.NewCounterVec(CounterOpts{Name: "never", Help: "N."}, []string{"l"}))
	own := must(s.NewCounterVec(CounterOpts{Name: "own", Help: "O.", TTL: time.Minute}, []string{"l"}))
	early.WithLabelValues("x")
	env[environ.TTL] = "15m,c_total=90.5s, never=never"
	early.WithLabelValues("x").Set(3)
	early.WithLabelValues("x").Add(1)
	late := must(s.NewCounterVec(CounterOpts{Name: "late", Help: "L."}, []string{"l"}))
	for in, want := range map[*instrument]time.Duration{
		early.v.in: 15 * time.Minute, c.v.in: 91 * time.Second, never.v.in: 0, own.v.in: time.Minute, late.v.in: 15 * time.Minute,
	} {
		require.Equal(t, want, in.schema.TTL, in.schema.Name)
	}
	require.Equal(t, 4.0, early.WithLabelValues("x").Value())
	require.EqualValues(t, 2, early.WithLabelValues("x").s.load()[mpm.CellUpdates])
	s.mu.Lock()
	require.Equal(t, 15*time.Second, s.janitorPeriod())
	require.NotNil(t, s.janitor)
	s.mu.Unlock()
	env[environ.TTL] = "1h"
	require.ErrorIs(t, s.Open(), ErrTooLate)
	_, err := s.NewCounterVec(CounterOpts{Name: "own", Help: "O.", TTL: time.Hour}, []string{"l"})
	require.ErrorContains(t, err, "the TTL is 1h0m0s, not 1m0s")

	for text, says := range map[string]string{
		"x": "it is no duration", "0": "it is 0", "1s": "it is 1s: the shortest is 10s", "-1m": "it is -1m0s: it must not be negative",
		"1m,2m": "another one before", "a=1m,a=2m": "another one before", "a=": "no duration", "\xff=1m": "name",
	} {
		env := map[string]string{environ.TTL: text}
		s, _ := environment(t, env)
		require.ErrorContains(t, s.Open(), says, text)
		require.ErrorContains(t, s.Open(), environ.TTL)
	}
}

// TestNoJanitorWithoutTTL: a Set without a TTL has no timer, and its Vecs nothing to watch.
func TestNoJanitorWithoutTTL(t *testing.T) {
	s := NewSet(SetOptions{})
	defer s.Close()
	vec := must(s.NewCounterVec(CounterOpts{Name: "c", Help: "C."}, []string{"l"}))
	vec.WithLabelValues("x").Inc()
	s.look(time.Time{})
	require.Nil(t, s.janitor)
	require.Nil(t, vec.v.table.Load().watches)

	with := must(s.NewCounterVec(CounterOpts{Name: "d", Help: "D.", TTL: time.Hour}, []string{"l"}))
	with.WithLabelValues("x").Inc()
	require.NotNil(t, s.janitor)
	s.look(time.Now().Add(-time.Hour))
	require.NotNil(t, with.v.table.Load().watches)
	require.True(t, s.Remove(with))
	s.clean()
	require.Nil(t, s.janitor)
}
