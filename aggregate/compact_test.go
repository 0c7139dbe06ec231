package aggregate

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/multiprom/multiprom/aggregate/internal/compact"
	"github.com/multiprom/multiprom/aggregate/internal/sum"
	"github.com/multiprom/multiprom/internal/mpm"
	"github.com/multiprom/multiprom/internal/options"
	"github.com/multiprom/multiprom/metric"
)

// TestCompactionChangesNothing compacts random processes at random moments. No bit of
// the view may change by it: not of a sum of floats, not a created time.
func TestCompactionChangesNothing(t *testing.T) {
	for seed := range uint64(60) {
		t.Run(strconv.FormatUint(seed, 10), func(t *testing.T) {
			r := rand.New(rand.NewPCG(seed, 2))
			dir, elsewhere := t.TempDir(), t.TempDir()
			now := time.Unix(1, 0)
			opts := Options{NoSelfMetrics: true, Now: func() time.Time { return now }}
			warm := openDir(t, dir, opts)
			var kept []*mpm.Series // of living processes
			for p := range 2 + r.IntN(6) {
				live := r.IntN(4) == 0
				where := elsewhere
				if live {
					where = dir
				}
				proc := newTickingProcess(t, where, fmt.Sprintf("p%d", r.IntN(3)), time.Unix(int64(p), 0))
				series := randomInstruments(t, r, proc)
				if live {
					kept = append(kept, series...)
				} else {
					die(t, proc.Store, dir)
				}
				for _, s := range kept {
					if r.IntN(5) == 0 {
						s.Remove()
					}
				}
				if r.IntN(2) > 0 {
					continue
				}
				before := viewsLater(t, warm, &now)
				require.Equal(t, before, viewsLater(t, openDir(t, dir, opts), &now))
				_, err := Compact(t.Context(), dir, CompactOptions{Now: opts.Now})
				require.NoError(t, err)
				require.Equal(t, before, viewsLater(t, warm, &now))
				require.Equal(t, before, viewsLater(t, openDir(t, dir, opts), &now))
				require.Equal(t, before, viewsLater(t, warm, &now))
				now = now.Add(time.Duration(r.Int64N(int64(2 * time.Hour))))
			}
		})
	}
}

// viewsLater returns the views of readers whose clocks are slow by what is still
// believed, right, and ahead.
func viewsLater(t *testing.T, a *Aggregator, now *time.Time) (views [][]string) {
	defer func(was time.Time) { *now = was }(*now)
	was := *now
	for _, d := range []time.Duration{-sum.MaxAhead, 0, sum.MaxAhead, 59 * time.Minute, time.Hour, 25 * time.Hour} {
		*now = was.Add(d)
		views = append(views, view(t, a))
	}
	return views
}

func TestCompactionLeavesOneFile(t *testing.T) {
	dir, elsewhere := t.TempDir(), t.TempDir()
	live := newProcess(t, dir, "live", 9)
	live.count(counter("c"), 1)
	var dead []string
	for i := range 20 {
		p := newProcess(t, elsewhere, "slot", int64(i))
		p.count(counter("c"), 1)
		p.Count(mpm.InvalidUpdates, 2)
		setGauge(p.add(gauge("g", metric.ModeAll)), float64(i))
		dead = append(dead, filepath.Base(die(t, p.Store, dir)))
	}
	require.NoError(t, os.WriteFile(filepath.Join(dir, ".7-00000000000000000000000000000000.tmp"), nil, 0o600))
	a := openDir(t, dir, Options{})
	check := func() {
		got := gather(t, a)
		require.EqualValues(t, 21, got["c_total"])
		require.EqualValues(t, 19, got[`g{pid="slot"}`])
		require.EqualValues(t, 40, got["multiprom_invalid_updates_total"])
	}
	check()

	seen := 0
	plan, err := Compact(t.Context(), dir, CompactOptions{DryRun: true, Progress: func(done, total int) {
		seen++
		require.Equal(t, []int{seen, 22}, []int{done, total})
	}})
	require.NoError(t, err)
	require.ElementsMatch(t, dead, plan.Compacted)
	require.Len(t, names(t, dir), 22, "a dry run changes nothing")
	few, err := Compact(t.Context(), dir, CompactOptions{Threshold: 21})
	require.NoError(t, err)
	require.Empty(t, few.Compacted)
	require.Equal(t, []string{".7-00000000000000000000000000000000.tmp"}, few.Removed)
	check()

	r := compactDir(t, dir)
	require.ElementsMatch(t, dead, r.Compacted)
	require.Empty(t, r.Left)
	require.Equal(t, 1, r.Living)
	require.ElementsMatch(t, []string{mpm.ArchiveName, filepath.Base(live.Path())}, names(t, dir))
	check()
	got := gather(t, openDir(t, dir, Options{}))
	require.EqualValues(t, 20, got["multiprom_compacted_processes_total"])
	require.EqualValues(t, 1, got["multiprom_compactions_total"])
	require.EqualValues(t, r.Bytes, got["multiprom_archive_bytes"])
	require.EqualValues(t, 3, got["multiprom_read_series"], "two of the archive, one of the living")
	require.Empty(t, compactDir(t, dir).Compacted, "there is nothing left to compact")
}

func TestCompactionNeverTouchesWhatItDoesNotUnderstand(t *testing.T) {
	dir, elsewhere := t.TempDir(), t.TempDir()
	for i, c := range []struct {
		name   string
		reason error
		change func(b []byte)
	}{
		{"flipped bit in a record", compact.ErrNotUnderstood, func(b []byte) { b[512+64+100] ^= 1 }},
		{"record of a newer kind", compact.ErrNotUnderstood, func(b []byte) { b[512+64+4] = 77 }},
		{"corrupt header", mpm.ErrCorrupt, func(b []byte) { b[24] ^= 1 }},
		{"newer version", mpm.ErrUnsupported, func(b []byte) { b[8] = 2 }},
		{"not ours", mpm.ErrForeign, func(b []byte) { b[0] = 'x' }},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := newProcess(t, elsewhere, strconv.Itoa(i), int64(i))
			p.count(counter("c_"+strconv.Itoa(i)+"_with_a_rather_long_name_to_have_bytes_to_flip_in_the_record_of_the_family"), 5)
			path := die(t, p.Store, dir)
			b, err := os.ReadFile(path)
			require.NoError(t, err)
			c.change(b)
			require.NoError(t, os.WriteFile(path, b, 0o600))
			r := compactDir(t, dir)
			require.Empty(t, r.Compacted)
			require.Len(t, r.Left, 1)
			require.Equal(t, filepath.Base(path), r.Left[0].Name)
			require.ErrorIs(t, r.Left[0].Reason, c.reason)
			require.FileExists(t, path)
			require.NoError(t, os.Remove(path))
		})
	}
}

func TestCompactionOfMarkedProcessesIsByOption(t *testing.T) {
	dir, elsewhere := t.TempDir(), t.TempDir()
	p := newProcess(t, elsewhere, "a", 1)
	p.count(counter("c"), 5)
	path := die(t, p.Store, dir)
	setLiveness(t, path, mpm.LivenessNone)
	r := compactDir(t, dir)
	require.ErrorIs(t, r.Left[0].Reason, compact.ErrNoLiveness)
	r, err := Compact(t.Context(), dir, CompactOptions{Marked: true})
	require.NoError(t, err)
	require.ErrorIs(t, r.Left[0].Reason, compact.ErrNoLiveness, "it is not marked yet")
	require.NoError(t, mpm.MarkDead(path))
	require.ErrorIs(t, compactDir(t, dir).Left[0].Reason, compact.ErrNoLiveness)
	r, err = Compact(t.Context(), dir, CompactOptions{Marked: true})
	require.NoError(t, err)
	require.Equal(t, []string{filepath.Base(path)}, r.Compacted)
	require.EqualValues(t, 5, gather(t, openDir(t, dir, Options{}))["c_total"])
}

func TestCompactionKeepsAsManyDeadAsAsked(t *testing.T) {
	for _, c := range []struct {
		name string
		opts CompactOptions
		want []string
	}{
		{"all", CompactOptions{KeepDead: options.NoLimit}, []string{`g{pid="0"}`, `g{pid="1"}`, `g{pid="2"}`, `g{pid="3"}`}},
		{"two", CompactOptions{KeepDead: 2}, []string{`g{pid="2"}`, `g{pid="3"}`}},
		{"a minute", CompactOptions{KeepDeadFor: time.Minute}, []string{`g{pid="3"}`}},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir, elsewhere := t.TempDir(), t.TempDir()
			for i := range 4 {
				p := newProcess(t, elsewhere, strconv.Itoa(i), int64(i))
				setGauge(p.add(gauge("g", metric.ModeAll)), 1)
				die(t, p.Store, dir)
				c.opts.Now = func() time.Time { return time.Unix(int64(40*i*i), 0) }
				_, err := Compact(t.Context(), dir, c.opts)
				require.NoError(t, err)
			}
			require.ElementsMatch(t, c.want, prefixed(gather(t, openDir(t, dir, Options{})), "g{"))
		})
	}
}

// TestTouchKeepsCleanersAway: stores to mapped pages do not change a file's
// time.
func TestTouchKeepsCleanersAway(t *testing.T) {
	dir := t.TempDir()
	p := newProcess(t, dir, "a", 1)
	old := time.Now().Add(-2 * time.Hour)
	require.NoError(t, os.Chtimes(p.Path(), old, old))
	compactDir(t, dir)
	info, err := os.Stat(p.Path())
	require.NoError(t, err)
	require.Less(t, time.Since(info.ModTime()), time.Hour)
}

// TestDirectoryReplacedWhileItIsLocked: the lock that a compactor holds must be
// that of the directory in which it works.
func TestDirectoryReplacedWhileItIsLocked(t *testing.T) {
	parent, elsewhere := t.TempDir(), t.TempDir()
	dir, away := filepath.Join(parent, "dir"), filepath.Join(parent, "away")
	fill := func() string {
		require.NoError(t, os.Mkdir(dir, 0o700))
		p := newProcess(t, elsewhere, "dead", 1)
		p.count(counter("c"), 1)
		return filepath.Base(die(t, p.Store, dir))
	}
	before := fill()
	var after string
	defer func() { compact.Failpoint = func(string) {} }()
	compact.Failpoint = func(step string) {
		if step == "opened" && after == "" {
			require.NoError(t, os.Rename(dir, away))
			after = fill()
		}
	}
	require.Equal(t, []string{after}, compactDir(t, dir).Compacted)
	require.Equal(t, []string{before}, names(t, away), "nobody holds the lock of that one")
	require.Equal(t, []string{mpm.ArchiveName}, names(t, dir))
}

// TestCompactionTakesOnlyWhatReadersTake: of every schema that a file may hold,
// the archive takes what the next reader understands.
func TestCompactionTakesOnlyWhatReadersTake(t *testing.T) {
	dir, elsewhere := t.TempDir(), t.TempDir()
	a := openDir(t, dir, Options{})
	for kind := metric.Type(0); kind.Valid(); kind++ {
		for mode := metric.Mode(0); mode.Valid(); mode++ {
			schema := &metric.Schema{Name: fmt.Sprintf("m_%d_%d", kind, mode), Help: "H.", Type: kind, Mode: mode}
			switch kind {
			case metric.Histogram:
				schema.Bounds = []float64{1}
			case metric.StateSet:
				schema.States = []string{"a"}
			}
			if mpm.CheckFits(schema) != nil {
				continue
			}
			p := newProcess(t, elsewhere, "a", 1)
			p.add(schema)
			die(t, p.Store, dir)
		}
	}
	r := compactDir(t, dir)
	require.NotEmpty(t, r.Compacted)
	for _, left := range r.Left {
		require.ErrorIs(t, left.Reason, compact.ErrNotUnderstood)
	}
	gather(t, a)
	require.Empty(t, compactDir(t, dir).Compacted)
}

// TestOneFileDoesNotBlockCompaction: one of a type that the archive cannot hold stays alone.
func TestOneFileDoesNotBlockCompaction(t *testing.T) {
	dir, elsewhere := t.TempDir(), t.TempDir()
	odd := newProcess(t, elsewhere, "odd", 1)
	odd.add(&metric.Schema{Name: "gh", Help: "H.", Type: metric.GaugeHistogram, Bounds: []float64{1}})
	path := die(t, odd.Store, dir)
	p := newProcess(t, elsewhere, "a", 2)
	p.count(counter("c"), 3)
	die(t, p.Store, dir)
	r := compactDir(t, dir)
	require.Len(t, r.Compacted, 1)
	require.Equal(t, filepath.Base(path), r.Left[0].Name)
	require.ErrorIs(t, r.Left[0].Reason, compact.ErrNotUnderstood)
}

// TestDamagedArchiveBesideLeftovers: a file that was compacted and could not be
// removed is not counted again when the archive cannot be read any more.
func TestDamagedArchiveBesideLeftovers(t *testing.T) {
	dir, elsewhere := t.TempDir(), t.TempDir()
	p := newProcess(t, elsewhere, "a", 1)
	p.count(counter("c"), 10)
	die(t, p.Store, dir)
	compactDir(t, dir)
	die(t, p.Store, dir)
	a := openDir(t, dir, Options{})
	require.EqualValues(t, 10, gather(t, a)["c_total"])
	archive := filepath.Join(dir, mpm.ArchiveName)
	b, err := os.ReadFile(archive)
	require.NoError(t, err)
	b[20] ^= 1
	require.NoError(t, os.WriteFile(archive, b, 0o600))
	require.EqualValues(t, 10, gather(t, a)["c_total"])
	require.EqualValues(t, 1, gather(t, a)[`multiprom_files{state="corrupt"}`])
}

// TestBoundsOfTheDeadTakeEffectWithoutADeath: a pass obeys new bounds of what it
// keeps though nobody has died since the last one, and writes no archive where they
// change nothing.
func TestBoundsOfTheDeadTakeEffectWithoutADeath(t *testing.T) {
	clock := int64(1000)
	now := func() time.Time { return time.Unix(clock, 0) }
	for _, c := range []struct {
		name string
		opts CompactOptions
		want []string
	}{
		{"default", CompactOptions{}, []string{"0", "1", "2", "3"}},
		{"no limit", CompactOptions{KeepDead: options.NoLimit, KeepDeadFor: options.NoLimit}, []string{"0", "1", "2", "3"}},
		{"more than there are", CompactOptions{KeepDead: 5}, []string{"0", "1", "2", "3"}},
		{"two", CompactOptions{KeepDead: 2}, []string{"2", "3"}},
		{"none", CompactOptions{KeepDead: options.KeepNone}, nil},
		{"for no time", CompactOptions{KeepDeadFor: options.KeepNone}, nil},
		{"a minute", CompactOptions{KeepDeadFor: time.Minute}, []string{"3"}},
		{"below the threshold", CompactOptions{KeepDead: 1, Threshold: 100}, []string{"3"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir, elsewhere := t.TempDir(), t.TempDir()
			for i := range 4 {
				p := newProcess(t, elsewhere, strconv.Itoa(i), int64(i))
				setGauge(p.add(gauge("g", metric.ModeAll)), 1)
				p.count(counter("c"), 1)
				die(t, p.Store, dir)
				clock = 1000 + int64(40*i*i)
				_, err := Compact(t.Context(), dir, CompactOptions{Now: now})
				require.NoError(t, err)
			}
			content := func() string {
				b, err := os.ReadFile(filepath.Join(dir, mpm.ArchiveName))
				require.NoError(t, err)
				return string(b)
			}
			before := content()
			c.opts.Now = now
			r, err := Compact(t.Context(), dir, c.opts)
			require.NoError(t, err)
			require.Equal(t, len(c.want) == 4, content() == before, "an archive is written if and only if it changes")
			require.Equal(t, len(c.want)+1, r.Series)

			view := gather(t, openDir(t, dir, Options{}))
			var want []string
			for _, pid := range c.want {
				want = append(want, `g{pid="`+pid+`"}`)
			}
			require.ElementsMatch(t, want, prefixed(view, "g{"))
			require.EqualValues(t, 4, view["c_total"], "counters are kept whatever the bounds are")

			before = content()
			_, err = Compact(t.Context(), dir, c.opts)
			require.NoError(t, err)
			require.Equal(t, before, content(), "the second pass has nothing to do")
		})
	}
}
