package aggregate

import (
	"context"
	"fmt"
	"strconv"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/multiprom/multiprom/internal/mpm"
	"github.com/multiprom/multiprom/internal/views"
)

// BenchmarkMergeBesideRemovals merges one process after it has removed some of its series
// and made as many others.
func BenchmarkMergeBesideRemovals(b *testing.B) {
	for _, live := range []int{1000, 100_000} {
		for _, removals := range []int{0, 50, 500, 5000, 50_000} {
			b.Run(fmt.Sprintf("%d live, %d removals", live, removals), func(b *testing.B) {
				dir := b.TempDir()
				s, err := mpm.Create(dir, mpm.Options{Label: "churn"})
				require.NoError(b, err)
				defer s.Close()
				fam, err := s.AddSchema(counter("c", "l"))
				require.NoError(b, err)
				next := 0
				add := func() *mpm.Series {
					next++
					one, err := s.AddSeries(fam, []string{strconv.Itoa(next)}, nil)
					require.NoError(b, err)
					one.Words()[mpm.CellCounterInts] = 1
					return one
				}
				series := make([]*mpm.Series, live)
				for i := range series {
					series[i] = add()
				}
				a := newAggregator(dir, Options{NoSelfMetrics: true})
				defer a.Close()
				gather := func() {
					(*viewer)(a).View(context.Background(), func(_ []views.Family, err error) { require.NoError(b, err) })
				}
				gather()
				b.ResetTimer()
				for range b.N {
					b.StopTimer()
					for range removals {
						i := next * 7919 % live
						series[i].Remove()
						series[i] = add()
					}
					b.StartTimer()
					gather()
				}
			})
		}
	}
}
