package aggregate

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/multiprom/multiprom/aggregate/internal/compact"
	"github.com/multiprom/multiprom/aggregate/internal/sum"
	"github.com/multiprom/multiprom/internal/actions"
	"github.com/multiprom/multiprom/internal/mpm"
	"github.com/multiprom/multiprom/metric"
)

// TestRecentsAreWhatTheyStandFor: whatever compactors keep, in whatever groups and at
// whatever time, readers choose as they would among all values. How many are ahead, the
// compactor's own clock sees what it saw before.
func TestRecentsAreWhatTheyStandFor(t *testing.T) {
	const hour = int64(time.Hour)
	r := rand.New(rand.NewPCG(1, 2))
	best := func(rs []sum.Recent, now int64) (c sum.Pick) {
		for _, one := range rs {
			c.Recent(one, now)
		}
		return c
	}
	later := 0
	for round := range 20_000 {
		few := round%2 == 0
		var all []sum.Recent
		groups := []sum.Recents{nil}
		now, full := 10*hour, false
		for range 1 + r.IntN(40) {
			one := sum.Recent{Value: []float64{1, 2, math.Inf(1), math.NaN()}[r.IntN(4)], Nanos: now + r.Int64N(200)*hour/100 - hour}
			switch {
			case r.IntN(10) == 0:
				one.Nanos = []int64{0, -5, math.MinInt64, math.MaxInt64, now, now + int64(sum.MaxAhead), now + int64(sum.MaxAhead) + 1}[r.IntN(7)]
			case few:
				one.Nanos = now + (r.Int64N(12)-5)*hour
			}
			all = append(all, one)
			at := r.IntN(len(groups))
			groups[at] = groups[at].Add(one, now)
			full = full || len(groups[at]) == sum.MaxRecents
			actions.List{
				{Weight: 1, Name: "a further group", Do: func() { groups = append(groups, nil) }},
				{Weight: 1, Name: "time goes on", Do: func() {
					if few {
						now += r.Int64N(hour) // some have come
					}
				}},
				{Weight: 1, Name: "two groups become one", Do: func() {
					last := len(groups) - 1
					for _, one := range groups[last] {
						groups[0] = groups[0].Add(one, now)
						full = full || len(groups[0]) == sum.MaxRecents
					}
					groups = groups[:max(1, last)]
				}},
				{Weight: 5, Name: "nothing"},
			}.Random(r)
		}
		if few && full {
			continue // what it has dropped may have come since
		}
		kept := slices.Concat(groups...)
		clocks := []int64{now}
		if !full {
			later++
			clocks = append(clocks, now-int64(sum.MaxAhead), now+int64(sum.MaxAhead), now+hour/2, now+3*hour, now+20*hour, math.MaxInt64)
		}
		for _, g := range groups {
			require.LessOrEqual(t, len(g), sum.MaxRecents)
			again, err := sum.UnpackRecents(nil, g.Pack())
			require.NoError(t, err)
			require.Equal(t, fmt.Sprint(g), fmt.Sprint(again))
		}
		for _, clock := range clocks {
			want, got := best(all, clock), best(kept, clock)
			require.Equal(t, fmt.Sprint(want), fmt.Sprint(got), "%v\n%v\nat %d", all, groups, clock)
			r.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
			require.Equal(t, fmt.Sprint(want), fmt.Sprint(best(all, clock)), "in another order")
		}
	}
	require.Greater(t, later, 10_000)
}

// TestClockThatIsFast: what a process has set while its clock was fast hides no true
// value: not while it lives, nor once it is dead or compacted, and not in a file of
// client_python. By itself it is shown. Its exemplars hide none either.
func TestClockThatIsFast(t *testing.T) {
	start := time.Unix(1_800_000_000, 0)
	gaugeRecent := gauge("g", metric.ModeMostRecent)
	states := &metric.Schema{Name: "e", Help: "H.", Type: metric.StateSet, Mode: metric.ModeMostRecent, States: []string{"off", "on"}}
	for _, ahead := range []time.Duration{10 * time.Minute, time.Hour, 24 * time.Hour, 50 * 365 * 24 * time.Hour} {
		for _, becomes := range []string{"lives", "dead", "compacted"} {
			for _, python := range []bool{false, true} {
				t.Run(fmt.Sprintf("%s %s python=%v", ahead, becomes, python), func(t *testing.T) {
					dir, elsewhere := t.TempDir(), t.TempDir()
					now := start
					clock := func() time.Time { return now }
					opts := Options{NoSelfMetrics: true, Now: clock}
					warm := openDir(t, dir, opts)
					seconds := func(at time.Time) float64 { return float64(at.UnixNano()) / 1e9 }
					set := func(p *process, at time.Time, value float64) {
						mpm.StoreRecent(p.add(gaugeRecent).Words(), math.Float64bits(value), at.UnixNano())
						mpm.StoreRecent(p.add(states).Words(), math.Float64bits(value-1), at.UnixNano())
						p.add(counter("c")).SetExemplar(0, metric.MakeLabels("id", fmt.Sprint(value)), value, at.UnixNano())
					}
					check := func(value float64, on string) {
						t.Helper()
						for range 2 {
							for _, a := range []*Aggregator{warm, openDir(t, dir, opts)} {
								got := gather(t, a)
								require.Equal(t, value, got["g"])
								if !python {
									require.Equal(t, 1.0, got[fmt.Sprintf(`e{e=%q}`, on)])
									require.Contains(t, exemplarsOf(t, a)["c_total"], fmt.Sprintf(`{id="%v"}`, value))
								}
							}
							if becomes == "compacted" {
								_, err := Compact(t.Context(), dir, CompactOptions{Now: clock, Python: true})
								require.NoError(t, err)
							}
						}
					}
					fast := start.Add(ahead)
					if python {
						writePython(t, dir, "gauge_mostrecent_9.db", pySample("g", "g", "", 1, seconds(fast)))
						if becomes == "lives" {
							holdPython(t, dir, "gauge_mostrecent_9.db")
						}
						check(1, "off")
						now = now.Add(time.Minute)
						writePython(t, dir, "gauge_mostrecent_10.db", pySample("g", "g", "", 2, seconds(now)))
					} else {
						where := dir
						if becomes != "lives" {
							where = elsewhere
						}
						p := newProcess(t, where, "fast", fast.Unix())
						set(p, fast, 1)
						if becomes != "lives" {
							die(t, p.Store, dir)
						}
						check(1, "off")
						now = now.Add(time.Minute)
						set(newProcess(t, dir, "right", now.Unix()), now.Add(time.Second), 2) // by NTP, a little ahead
					}
					check(2, "on")
					now = start.Add(ahead / 2)
					check(2, "on")
					// Only a time that has come counts, and then it does.
					now = start.Add(ahead)
					check(1, "off")
					now = now.Add(time.Hour)
					if python {
						writePython(t, dir, "gauge_mostrecent_11.db", pySample("g", "g", "", 2, seconds(now)))
					} else {
						set(newProcess(t, dir, "later", now.Unix()), now, 2)
					}
					check(2, "on")
				})
			}
		}
	}
}

// TestClocksThatDifferALittle: values of clocks that differ by seconds stay in the order
// of their times, whether the reader's clock is later than theirs, between them or earlier.
func TestClocksThatDifferALittle(t *testing.T) {
	dir := t.TempDir()
	now := time.Unix(1_800_000_000, 0)
	a := openDir(t, dir, Options{NoSelfMetrics: true, Now: func() time.Time { return now }})
	schema := gauge("g", metric.ModeMostRecent)
	slow, fast := newProcess(t, dir, "slow", 1).add(schema), newProcess(t, dir, "fast", 1).add(schema)
	for second := range 120 {
		at := time.Unix(1_800_000_000+int64(second), 0)
		mpm.StoreRecent(slow.Words(), math.Float64bits(1), at.Add(-3*time.Second).UnixNano())
		mpm.StoreRecent(fast.Words(), math.Float64bits(2), at.Add(3*time.Second).UnixNano())
		for _, reader := range []time.Duration{-30 * time.Second, -3 * time.Second, 0, 2 * time.Second, 3 * time.Second, time.Minute} {
			now = at.Add(reader)
			require.EqualValues(t, 2, gather(t, a)["g"])
		}
	}
}

// TestHostileTimesStayFew: the archive does not grow with processes whose clocks
// are all wrong.
func TestHostileTimesStayFew(t *testing.T) {
	dir, elsewhere := t.TempDir(), t.TempDir()
	now := time.Unix(1_800_000_000, 0)
	clock := func() time.Time { return now }
	for i := range 40 {
		p := newProcess(t, elsewhere, "w", int64(i))
		at := now.Add(time.Duration(i+1) * time.Hour).UnixNano()
		mpm.StoreRecent(p.add(gauge("g", metric.ModeMostRecent)).Words(), math.Float64bits(float64(i)), at)
		p.add(counter("c")).SetExemplar(0, metric.MakeLabels("id", fmt.Sprint(i)), 1, at)
		die(t, p.Store, dir)
		if i%3 == 0 {
			before := gather(t, openDir(t, dir, Options{NoSelfMetrics: true, Now: clock}))
			_, err := Compact(t.Context(), dir, CompactOptions{Now: clock})
			require.NoError(t, err)
			require.Equal(t, before, gather(t, openDir(t, dir, Options{NoSelfMetrics: true, Now: clock})))
		}
	}
	a := openDir(t, dir, Options{NoSelfMetrics: true, Now: clock})
	require.EqualValues(t, 39, gather(t, a)["g"])
	for _, f := range a.snapshot.Archive.Loaded {
		for i := range f.Series.Len() {
			require.LessOrEqual(t, len(f.Series.AppendWords(nil, i)), 2*sum.MaxRecents)
			require.LessOrEqual(t, len(f.Series.Exemplars(i)), compact.MaxExemplars)
		}
	}
}

// TestTimesOfClientPython: any time that is one counts, in the order of their seconds.
func TestTimesOfClientPython(t *testing.T) {
	of := func(seconds float64) int64 { return sum.RecentOfPython([]uint64{0, math.Float64bits(seconds)}).Nanos }
	for _, never := range []float64{0, math.Copysign(0, -1), -5, math.NaN(), math.Inf(-1)} {
		require.Zero(t, of(never), "%v", never)
	}
	require.EqualValues(t, 1, of(math.SmallestNonzeroFloat64))
	require.EqualValues(t, 1_500_000_000, of(1.5))
	require.EqualValues(t, int64(1_700_000_000_250_000_000), of(1_700_000_000.25))
	r := rand.New(rand.NewPCG(3, 4))
	for range 200_000 {
		a := math.Ldexp(1+r.Float64(), r.IntN(1024))
		if r.IntN(2) == 0 {
			a = (1 << 62) / 1e9 * (1 + (r.Float64()-0.5)*1e-9) // where nanoseconds end
		}
		b := math.Nextafter(a, math.Inf(1))
		require.LessOrEqual(t, of(a), of(b), "%v", a)
		require.Positive(t, of(a))
		if a > 1<<23 { // floats below are closer than nanoseconds
			require.Less(t, of(a), of(b), "%v", a)
		}
	}
	require.Less(t, of(math.MaxFloat64), of(math.Inf(1)))
}
