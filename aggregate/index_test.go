package aggregate

import (
	"math/rand/v2"
	"os"
	"strconv"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/multiprom/multiprom/internal/labelkey"
	"github.com/multiprom/multiprom/internal/mpm"
	"github.com/multiprom/multiprom/metric"
)

// Workers may declare the same labels in another order, or one of them constant:
// their series are the same, whichever file comes first, and a compacted one too.
func TestSeriesOfOtherSchemas(t *testing.T) {
	schemas := []struct {
		schema *metric.Schema
		values []string
	}{
		{counter("c", "a", "b"), []string{"1", "2"}},
		{counter("c", "b", "a"), []string{"2", "1"}},
		{&metric.Schema{Name: "c", Help: "H.", Type: metric.Counter, Const: metric.MakeLabels("a", "1"), Labels: []string{"b"}}, []string{"2"}},
		{&metric.Schema{Name: "c", Help: "H.", Type: metric.Counter, Const: metric.MakeLabels("a", "1", "b", "2")}, nil},
		{counter("c", "a", "b", "x"), []string{"1", "2", ""}},
		{counter("c", "a", "c"), []string{"1", "2"}},
		{counter("c"), nil},
		{&metric.Schema{Name: "c", Help: "H.", Type: metric.Counter, Const: metric.MakeLabels("a", "0"), Labels: []string{"b"}}, []string{"2"}},
		{counter("c", "a", "b"), []string{"2", "1"}},
	}
	want := map[string]float64{
		`c_total{a="1",b="2"}`: 15, `c_total{a="1",b="2",x=""}`: 16, `c_total{a="1",c="2"}`: 32,
		"c_total": 64, `c_total{a="0",b="2"}`: 128, `c_total{a="2",b="1"}`: 256,
	}
	for range 20 {
		dir, elsewhere := t.TempDir(), t.TempDir()
		a := openDir(t, dir, Options{})
		labels := rand.Perm(len(schemas)) // files are read by label
		for _, i := range rand.Perm(len(schemas)) {
			at := dir
			if i%2 == 0 {
				at = elsewhere
			}
			p := newProcess(t, at, strconv.Itoa(labels[i]), int64(i))
			p.count(schemas[i].schema, 1<<i, schemas[i].values...)
			if at == elsewhere {
				die(t, p.Store, dir)
			}
			gather(t, a)
		}
		requireSeries := func(a *Aggregator) {
			t.Helper()
			got := gather(t, a)
			n := 0
			for name, v := range want {
				require.EqualValues(t, v, got[name], name)
			}
			for name := range got {
				if name[0] == 'c' {
					n++
				}
			}
			require.Len(t, want, n, "%v", got)
		}
		requireSeries(a)
		requireSeries(openDir(t, dir, Options{}))
		require.Len(t, compactDir(t, dir).Compacted, 5)
		requireSeries(a)
		requireSeries(openDir(t, dir, Options{}))
	}
}

// Further labels may be in any order, and of a type that has none of a writer of ours.
func TestSeriesWithFurtherLabels(t *testing.T) {
	x, y := metric.Label{Name: "x", Value: "1"}, metric.Label{Name: "y", Value: "2"}
	dir, elsewhere := t.TempDir(), t.TempDir()
	a := openDir(t, dir, Options{})
	for i, further := range []metric.Labels{nil, {x, y}, {y, x}, {x, y}, {y, x}} {
		at := dir
		if i > 2 {
			at = elsewhere
		}
		p := newProcess(t, at, strconv.Itoa(i), int64(i))
		f, err := p.AddSchema(counter("c", "l"))
		require.NoError(t, err)
		s, err := p.AddSeries(f, []string{"v"}, further)
		require.NoError(t, err)
		s.Words()[mpm.CellCounterInts] = 1 << i
		if at == elsewhere {
			die(t, p.Store, dir)
		}
		if i == 3 {
			require.Len(t, compactDir(t, dir).Compacted, 1)
		}
	}
	for _, a := range []*Aggregator{a, openDir(t, dir, Options{})} {
		families, err := a.Gather(t.Context())
		require.NoError(t, err)
		require.Equal(t, "c", families[0].Name)
		require.Len(t, families[0].Series, 2)
		require.Equal(t, `{l="v"}`, families[0].Series[0].Labels.String())
		require.EqualValues(t, 1, families[0].Series[0].Value)
		require.Equal(t, `{l="v",x="1",y="2"}`, families[0].Series[1].Labels.String())
		require.EqualValues(t, 30, families[0].Series[1].Value)
	}
}

// TestSpansInFreedPlaces: series that take the places of others make one span as well.
func TestSpansInFreedPlaces(t *testing.T) {
	dir, elsewhere := t.TempDir(), t.TempDir()
	a := openDir(t, dir, Options{})
	newProcess(t, dir, "other", 1).count(counter("c"), 1) // keeps the family
	for round := range 3 {
		p := newProcess(t, elsewhere, "w", int64(round))
		f, err := p.AddSchema(counter("c", "l"))
		require.NoError(t, err)
		for i := range 20 {
			_, err = p.AddSeries(f, []string{strconv.Itoa(20*round + i)}, nil)
			require.NoError(t, err)
		}
		path := die(t, p.Store, dir)
		gather(t, a)
		for _, f := range a.snapshot.Files {
			require.Equal(t, 1, a.table.SpansOf(f), f.Name)
		}
		require.NoError(t, os.Remove(path))
		gather(t, a)
	}
}

// TestSymbolsThatLookAlike: the text of labels with their names may be that of other labels
// without them.
func TestSymbolsThatLookAlike(t *testing.T) {
	const nul = "\x00"
	require.Equal(t, mpm.AppendString(nil, nul), labelkey.Append(nil, metric.MakeLabels(nul, "")))
	dir := t.TempDir()
	a := openDir(t, dir, Options{NoSelfMetrics: true})
	add := func(i int, label string, values ...string) {
		p := newProcess(t, dir, strconv.Itoa(i), int64(i))
		f, err := p.AddSchema(counter("c", label))
		require.NoError(t, err)
		for _, v := range values {
			s, err := p.AddSeries(f, []string{v}, nil)
			require.NoError(t, err)
			s.Words()[mpm.CellCounterInts] = 1 << i
		}
		gather(t, a)
	}
	add(0, "l", "a")
	add(1, nul, "")
	add(2, "l", "a", nul)
	add(3, nul, "")
	want := map[string]float64{"c_total{l=\"a\"}": 5, "c_total{l=\"\x00\"}": 4, "c_total{\"\x00\"=\"\"}": 10}
	require.Equal(t, want, gather(t, a))
}

// TestFurtherSymbolsGo: symbols with names go with their series.
func TestFurtherSymbolsGo(t *testing.T) {
	dir := t.TempDir()
	a := openDir(t, dir, Options{NoSelfMetrics: true})
	a.table.RenewMin = 1
	newProcess(t, dir, "other", 1).count(counter("c", "l"), 1, "v")
	for round := range 20 {
		path := die(t, infoProcess(t, t.TempDir(), round).Store, dir)
		require.Len(t, gather(t, a), 2)
		require.NoError(t, os.Remove(path))
		require.Len(t, gather(t, a), 1)
	}
	require.Less(t, a.snapshot.Symbols.Len(), 6)
}

func infoProcess(t *testing.T, dir string, i int) *process {
	p := newProcess(t, dir, "w", int64(i))
	f, err := p.AddSchema(&metric.Schema{Name: "i", Help: "I.", Type: metric.Info})
	require.NoError(t, err)
	_, err = p.AddSeries(f, nil, metric.MakeLabels("version", strconv.Itoa(i)))
	require.NoError(t, err)
	return p
}
