package aggregate

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/multiprom/multiprom/internal/mpm"
	"github.com/multiprom/multiprom/metric"
)

// timed returns options with a clock that the test moves.
func timed(now *time.Time, ttl map[string]time.Duration) Options {
	return Options{NoSelfMetrics: true, TTL: ttl, Now: func() time.Time { return *now }}
}

// TestTTLOfClientPython: a series of client_python is hidden while it is idle, and comes back with
// all that it has counted. Series without labels stay.
func TestTTLOfClientPython(t *testing.T) {
	dir := t.TempDir()
	now := time.Unix(1_000_000, 0)
	ttl := map[string]time.Duration{"c_total": time.Minute, "h": time.Minute, "g": time.Minute, "plain": time.Minute}
	write := func(id string, x, y float64) {
		writePython(t, dir, "counter_"+id+".db", pySample("c", "c_total", `"l": "x"`, x, 0), pySample("c", "c_total", `"l": "y"`, y, 0), pySample("plain", "plain_total", "", 1, 0))
		writePython(t, dir, "histogram_"+id+".db", pySample("h", "h_sum", `"l": "x"`, x, 0), pySample("h", "h_bucket", `"l": "x", "le": "+Inf"`, x, 0))
		writePython(t, dir, "gauge_all_"+id+".db", pySample("g", "g", `"l": "x"`, x, 0), pySample("g", "g", `"l": "y"`, y, 0))
	}
	a := openDir(t, dir, timed(&now, ttl))
	write("1", 1, 1)
	x := map[string]float64{`c_total{l="x"}`: 1, `h_sum{l="x"}`: 1, `h_count{l="x"}`: 1, `h_bucket{l="x",le="+Inf"}`: 1, `g{l="x",pid="1"}`: 1}
	with := func(of map[string]float64, more map[string]float64) map[string]float64 {
		out := map[string]float64{"plain_total": 1}
		for _, m := range []map[string]float64{of, more} {
			for k, v := range m {
				out[k] = v
			}
		}
		return out
	}
	y := map[string]float64{`c_total{l="y"}`: 1, `g{l="y",pid="1"}`: 1}
	require.Equal(t, with(x, y), gather(t, a))
	now = now.Add(time.Minute - 1)
	write("1", 1, 2)
	y = map[string]float64{`c_total{l="y"}`: 2, `g{l="y",pid="1"}`: 2}
	require.Equal(t, with(x, y), gather(t, a))
	now = now.Add(1)
	require.Equal(t, with(nil, y), gather(t, a), "x is idle")
	require.Equal(t, with(nil, y), flatten(show(t, a)))
	require.Equal(t, with(x, y), gather(t, openDir(t, dir, timed(&now, ttl))), "a new reader knows nothing yet")
	now = now.Add(time.Hour)
	require.Equal(t, with(nil, nil), gather(t, a))
	write("1", 5, 2)
	x = map[string]float64{`c_total{l="x"}`: 5, `h_sum{l="x"}`: 5, `h_count{l="x"}`: 5, `h_bucket{l="x",le="+Inf"}`: 5, `g{l="x",pid="1"}`: 5}
	require.Equal(t, with(x, nil), gather(t, a))
	require.Equal(t, with(x, y), gather(t, openDir(t, dir, Options{NoSelfMetrics: true})), "without the option")
}

// TestTTLOfFilesWithout: the option is also for native files whose program sets no TTL.
func TestTTLOfFilesWithout(t *testing.T) {
	dir := t.TempDir()
	now := time.Unix(1_000_000, 0)
	a := openDir(t, dir, timed(&now, map[string]time.Duration{"c": time.Minute, "i": time.Minute}))
	p := startAt(t, dir, &now)
	s := p.series(5)
	plain, err := p.AddSchema(&metric.Schema{Name: "i", Help: "I.", Type: metric.Info})
	require.NoError(t, err)
	_, err = p.AddSeries(plain, nil, metric.MakeLabels("version", "1"))
	require.NoError(t, err)
	info := map[string]float64{`i_info{version="1"}`: 1}
	all := func(n float64) map[string]float64 {
		return map[string]float64{`c_total{l="x"}`: n, `i_info{version="1"}`: 1}
	}
	require.Equal(t, all(5), gather(t, a))
	now = now.Add(time.Minute)
	require.Equal(t, info, gather(t, a))
	now = now.Add(time.Hour)
	s.Words()[mpm.CellCounterInts] = 6
	require.Equal(t, all(6), gather(t, a))
	now = now.Add(time.Minute - 1)
	require.Equal(t, all(6), gather(t, a))
	other := startAt(t, dir, &now)
	other.series(1)
	now = now.Add(time.Minute - 1)
	require.Equal(t, all(7), gather(t, a), "a new process has it")
	now = now.Add(1)
	require.Equal(t, all(7), gather(t, a), "the reader has seen that later")
	now = now.Add(time.Minute)
	require.Equal(t, info, gather(t, a))
}

// TestIdleDirectory: a series is gone at the first scrape after its TTL although nothing in the
// directory has changed, and a scrape before that looks at no row again.
func TestIdleDirectory(t *testing.T) {
	d := &oneDirectory{t: t, dir: t.TempDir(), now: time.Unix(1_000_000, 0)}
	opts := timed(&d.now, nil)
	opts.NoSelfMetrics = false
	a := openDir(t, d.dir, opts)
	p := d.start(true)
	d.update(p, "x", 5)
	hidden := func() float64 { return gather(t, a)["multiprom_hidden_series"] }
	require.Zero(t, hidden())
	d.now = d.now.Add(testTTL - time.Second)
	require.Zero(t, hidden())
	require.EqualValues(t, 5, gather(t, a)[`c_total{l="x"}`])
	d.now = d.now.Add(time.Second)
	require.EqualValues(t, 1, hidden())
	require.NotContains(t, gather(t, a), `c_total{l="x"}`)
	d.now = d.now.Add(-time.Minute) // the clock was set back
	require.Zero(t, hidden())
}

// TestSlowReader: if the time of a series passes while the files are read, they are read once
// more. A series whose time has passed even then is hidden, and one that was updated is not.
func TestSlowReader(t *testing.T) {
	d := &oneDirectory{t: t, dir: t.TempDir(), now: time.Unix(1_000_000, 0)}
	slow, readings := time.Duration(0), 0
	meanwhile := func() {}
	opts := Options{NoSelfMetrics: true, Now: func() time.Time {
		if readings++; readings == 2 {
			d.now = d.now.Add(slow) // it ends
			meanwhile()
		}
		return d.now
	}}
	a := openDir(t, d.dir, opts)
	scrape := func() map[string]float64 {
		readings = 0
		families, err := a.Gather(context.Background())
		require.NoError(t, err)
		return flatten(families)
	}
	p := d.start(true)
	x := d.update(p, "x", 5)
	d.update(p, "y", 7)
	want := map[string]float64{`c_total{l="x"}`: 5, `c_total{l="y"}`: 7}
	require.Equal(t, want, scrape())
	require.Equal(t, 3, readings, "before, after, and for the merge")
	d.now = d.now.Add(testTTL - time.Second)
	require.Equal(t, want, scrape())
	slow = 2 * time.Second
	meanwhile = func() {
		d.update(p, "x", 1)
		d.janitor(x)
	}
	require.Equal(t, map[string]float64{`c_total{l="x"}`: 6}, scrape())
	require.Equal(t, 5, readings, "two more")
}

// TestTTLInTheArchive: series that only dead processes have expire in the archive too, and leave
// it when there are enough of them.
func TestTTLInTheArchive(t *testing.T) {
	d := &oneDirectory{t: t, dir: t.TempDir(), elsewhere: t.TempDir(), now: time.Unix(1_000_000, 0)}
	opts := CompactOptions{Now: func() time.Time { return d.now }}
	compact := func() *CompactResult {
		r, err := Compact(context.Background(), d.dir, opts)
		require.NoError(t, err)
		return r
	}
	p := d.start(false)
	d.update(p, "x", 5)
	die(t, p.Store, d.dir)
	a := openDir(t, d.dir, timed(&d.now, nil))
	require.Equal(t, 1, compact().Series)
	require.Equal(t, map[string]float64{`c_total{l="x"}`: 5}, gather(t, a))
	d.now = d.now.Add(testTTL)
	require.Empty(t, gather(t, a))
	require.Equal(t, 1, compact().Series, "its life has not ended")
	d.now = d.now.Add(testTTL/2 + testGuard)
	require.Zero(t, compact().Series)
	require.Empty(t, gather(t, a))
	size := compact().Bytes
	d.now = d.now.Add(time.Hour)
	require.Equal(t, size, compact().Bytes)
}

// TestTTLByOptionInTheArchive: what client_python has counted expires in the archive, too. Its
// files say no time, so it counts as updated when it is compacted.
func TestTTLByOptionInTheArchive(t *testing.T) {
	dir := t.TempDir()
	now := time.Unix(1_000_000, 0)
	ttl := map[string]time.Duration{"c": time.Minute}
	writePython(t, dir, "counter_1.db", pySample("c", "c_total", `"l": "x"`, 5, 0))
	writePython(t, dir, "counter_2.db", pySample("c", "c_total", `"l": "y"`, 7, 0))
	release := holdPython(t, dir, "counter_2.db")
	compact := func() *CompactResult {
		r, err := Compact(context.Background(), dir, CompactOptions{Python: true, TTL: ttl, Now: func() time.Time { return now }})
		require.NoError(t, err)
		return r
	}
	require.Equal(t, 1, compact().Series)
	a := openDir(t, dir, timed(&now, ttl))
	both := map[string]float64{`c_total{l="x"}`: 5, `c_total{l="y"}`: 7}
	require.Equal(t, both, gather(t, a))
	now = now.Add(time.Minute)
	require.Empty(t, gather(t, a))
	require.Equal(t, both, gather(t, openDir(t, dir, Options{NoSelfMetrics: true, Now: func() time.Time { return now }})), "without the option")
	now = now.Add(time.Minute)
	release()
	require.Equal(t, 1, compact().Series, "x has left, and y has come")
	require.Equal(t, map[string]float64{`c_total{l="y"}`: 7}, gather(t, openDir(t, dir, Options{NoSelfMetrics: true})))
}
