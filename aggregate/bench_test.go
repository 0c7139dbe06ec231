package aggregate

import (
	"context"
	"os"
	"strconv"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/multiprom/multiprom/internal/mpm"
	"github.com/multiprom/multiprom/internal/views"
)

// BenchmarkMergeAfter merges 8 processes of 20,000 counters each, right after what
// changes the plan.
func BenchmarkMergeAfter(b *testing.B) {
	const processes, series = 8, 20_000
	start := func(b *testing.B, dir string, i int) (*mpm.Store, *mpm.SchemaRef) {
		s, err := mpm.Create(dir, mpm.Options{Label: strconv.Itoa(i)})
		require.NoError(b, err)
		fam, err := s.AddSchema(counter("c", "l"))
		require.NoError(b, err)
		for j := range series {
			one, err := s.AddSeries(fam, []string{strconv.Itoa(j)}, nil)
			require.NoError(b, err)
			one.Words()[mpm.CellCounterInts] = 1
		}
		return s, fam
	}
	run := func(name string, change func(b *testing.B, dir string, s *mpm.Store, fam *mpm.SchemaRef, gather func())) {
		b.Run(name, func(b *testing.B) {
			dir := b.TempDir()
			s, fam := start(b, dir, 0)
			for i := range processes - 1 {
				start(b, dir, i+1)
			}
			a := newAggregator(dir, Options{NoSelfMetrics: true})
			defer a.Close()
			gather := func() {
				views.Show(context.Background(), a, func(_ []views.Family, err error) { require.NoError(b, err) })
			}
			b.ResetTimer()
			for range b.N {
				b.StopTimer()
				gather()
				change(b, dir, s, fam, gather)
				b.StartTimer()
				gather()
			}
		})
	}
	another := func(b *testing.B, dir string) (path string) {
		s, _ := start(b, b.TempDir(), processes)
		return die(b, s, dir)
	}
	run("nothing", func(*testing.B, string, *mpm.Store, *mpm.SchemaRef, func()) {})
	with := ""
	run("nothing, with 1,000 that one has removed", func(b *testing.B, dir string, _ *mpm.Store, _ *mpm.SchemaRef, _ func()) {
		if with == dir {
			return
		}
		with = dir
		s, err := mpm.Create(dir, mpm.Options{Label: "removes"})
		require.NoError(b, err)
		fam, err := s.AddSchema(counter("c", "l"))
		require.NoError(b, err)
		for j := range 1000 {
			one, err := s.AddSeries(fam, []string{strconv.Itoa(j)}, nil)
			require.NoError(b, err)
			one.Words()[mpm.CellCounterInts] = 1
			one.Remove()
		}
	})
	run("removal", func(b *testing.B, _ string, s *mpm.Store, fam *mpm.SchemaRef, _ func()) {
		one, err := s.AddSeries(fam, []string{"removed"}, nil)
		require.NoError(b, err)
		one.Remove()
	})
	run("end", func(b *testing.B, dir string, _ *mpm.Store, _ *mpm.SchemaRef, gather func()) {
		path := another(b, dir)
		gather()
		require.NoError(b, os.Remove(path))
	})
	run("compact", func(b *testing.B, dir string, _ *mpm.Store, _ *mpm.SchemaRef, gather func()) {
		another(b, dir)
		gather()
		compactDir(b, dir)
	})
}
