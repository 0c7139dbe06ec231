package aggregate

import (
	"context"
	"fmt"
	"math"
	"os"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/multiprom/multiprom/internal/mpm"
	"github.com/multiprom/multiprom/internal/views"
	"github.com/multiprom/multiprom/metric"
)

func counter(name string, labels ...string) *metric.Schema {
	return &metric.Schema{Name: name, Help: "Help of " + name + ".", Type: metric.Counter, Labels: labels}
}

func gauge(name string, m metric.Mode, labels ...string) *metric.Schema {
	return &metric.Schema{Name: name, Help: "H.", Type: metric.Gauge, Mode: m, Labels: labels}
}

func histogramSchema(name string, bounds ...float64) *metric.Schema {
	return &metric.Schema{Name: name, Help: "H.", Type: metric.Histogram, Bounds: bounds}
}

func setGauge(s *mpm.Series, v float64) {
	atomic.StoreUint64(&s.Words()[mpm.CellGauge], math.Float64bits(v))
}

// process is one store of a test, with its creation time chosen.
type process struct {
	*mpm.Store
	t testing.TB
}

func newProcess(t testing.TB, dir, label string, created int64) *process {
	t.Helper()
	s, err := mpm.Create(dir, mpm.Options{Label: label, Now: func() time.Time { return time.Unix(created, 0) }})
	require.NoError(t, err)
	return &process{s, t}
}

// newTickingProcess is newProcess with a clock that moves a millisecond each
// time that it is read, beginning at start.
func newTickingProcess(t testing.TB, dir, label string, start time.Time) *process {
	t.Helper()
	var ticks atomic.Int64
	s, err := mpm.Create(dir, mpm.Options{Label: label, Now: func() time.Time {
		return start.Add(time.Duration(ticks.Add(1)) * time.Millisecond)
	}})
	require.NoError(t, err)
	return &process{s, t}
}

// add adds a family with one series and returns the latter.
func (p *process) add(schema *metric.Schema, values ...string) *mpm.Series {
	p.t.Helper()
	f, err := p.AddSchema(schema)
	require.NoError(p.t, err)
	s, err := p.AddSeries(f, values, nil)
	require.NoError(p.t, err)
	return s
}

func (p *process) count(schema *metric.Schema, n uint64, values ...string) *mpm.Series {
	p.t.Helper()
	s := p.add(schema, values...)
	atomic.AddUint64(&s.Words()[mpm.CellCounterInts], n)
	return s
}

func openDir(t testing.TB, dir string, opts Options) *Aggregator {
	t.Helper()
	a, err := Open(dir, opts)
	require.NoError(t, err)
	t.Cleanup(func() { a.Close() })
	return a
}

func gather(t testing.TB, a *Aggregator) map[string]float64 {
	t.Helper()
	families, err := a.Gather(context.Background())
	require.NoError(t, err)
	return flatten(families)
}

func flatten(families []*metric.Family) map[string]float64 {
	out := map[string]float64{}
	for _, f := range families {
		for s := range f.Samples() {
			out[s.Name+s.Labels.String()] = s.Value
		}
	}
	return out
}

func prefixed(m map[string]float64, prefix string) (keys []string) {
	for k := range m {
		if len(k) >= len(prefix) && k[:len(prefix)] == prefix {
			keys = append(keys, k)
		}
	}
	return keys
}

func compactDir(t testing.TB, dir string) *CompactResult {
	t.Helper()
	r, err := Compact(context.Background(), dir, CompactOptions{})
	require.NoError(t, err)
	return r
}

// names lists the files of a directory.
func names(t testing.TB, dir string) (out []string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	require.NoError(t, err)
	for _, e := range entries {
		out = append(out, e.Name())
	}
	return out
}

// view returns all that a scrape yields as lines, created times, help and the
// last bit of each value included.
func view(t testing.TB, a *Aggregator) (lines []string) {
	t.Helper()
	families, err := a.Gather(context.Background())
	require.NoError(t, err)
	lines = linesOf(families)
	views.Show(context.Background(), a, func(again []views.Family, err error) {
		require.NoError(t, err)
		require.Equal(t, lines, linesOf(views.Whole(again)))
	})
	return lines
}

func linesOf(families []*metric.Family) (lines []string) {
	for _, f := range families {
		lines = append(lines, fmt.Sprintf("# %s %s %q %q", f.Name, f.Type, f.Help, f.Unit))
		for i := range f.Series {
			lines = append(lines, fmt.Sprintf("created %v", f.Series[i].Created.UnixNano()))
			lines = append(lines, linesOfNative(&f.Series[i])...)
		}
		for s := range f.Samples() {
			lines = append(lines, fmt.Sprintf("%s%s %x", s.Name, s.Labels, s.Value))
			if x := s.Exemplar; x != nil {
				lines = append(lines, fmt.Sprintf("exemplar %s %x %d", x.Labels, x.Value, x.Timestamp.UnixNano()))
			}
		}
	}
	return lines
}
