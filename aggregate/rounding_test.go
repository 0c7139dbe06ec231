package aggregate

import (
	"fmt"
	"math"
	"math/big"
	"strconv"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/multiprom/multiprom/internal/mpm"
	"github.com/multiprom/multiprom/metric"
)

// setCounter gives a counter's two words values: whole increments, and all others.
func setCounter(s *mpm.Series, ints uint64, rest float64) {
	atomic.StoreUint64(&s.Words()[mpm.CellCounterInts], ints)
	atomic.StoreUint64(&s.Words()[mpm.CellCounterFloat], math.Float64bits(rest))
}

// TestCountersAreRoundedOnce: whatever the parts are, a counter is their exact sum, rounded
// to the nearest float, in a first scrape, in a later one, and from the archive.
func TestCountersAreRoundedOnce(t *testing.T) {
	type part struct {
		ints uint64
		rest float64
	}
	const exact = 1 << 53 // the last whole number before floats have gaps
	for name, parts := range map[string][]part{
		"whole ones in a gap":            {{exact + 1, 0}, {0, 1}},
		"whole ones in a gap, in one":    {{exact + 1, 1}},
		"a fraction's rest decides":      {{1, exact}, {0, 1}},
		"fractions that are far apart":   {{1, 1e16}, {1, 0.5}, {0, 1e-9}},
		"over 2^64":                      {{1 << 63, 0}, {1 << 63, 0}, {1 << 63, 0}},
		"over 2^64, and a little":        {{math.MaxUint64, 0}, {4097, 0}, {0, 0.25}},
		"twice over 2^64":                {{math.MaxUint64, 1}, {math.MaxUint64, 1}, {math.MaxUint64, 1}},
		"small ones, as nearly all are":  {{1, 0.5}, {2, 0.25}},
		"nothing but what is fractional": {{0, 0.1}, {0, 0.2}, {0, 0.3}},
	} {
		t.Run(name, func(t *testing.T) {
			sum := new(big.Float).SetPrec(2200)
			for _, p := range parts {
				sum.Add(sum, new(big.Float).SetPrec(2200).SetUint64(p.ints))
				sum.Add(sum, new(big.Float).SetPrec(2200).SetFloat64(p.rest))
			}
			want, _ := sum.Float64()

			dir, elsewhere := t.TempDir(), t.TempDir()
			warm := openDir(t, dir, Options{})
			check := func(when string) {
				t.Helper()
				require.Equal(t, want, gather(t, warm)["c_total"], when)
				require.Equal(t, want, gather(t, openDir(t, dir, Options{}))["c_total"], "cold, %s", when)
			}
			var processes []*process
			var series []*mpm.Series
			for i := range parts {
				p := newProcess(t, dir, string(rune('a'+i)), int64(i+1))
				processes, series = append(processes, p), append(series, p.add(counter("c")))
			}
			gather(t, warm)
			for i, p := range parts {
				setCounter(series[i], p.ints, p.rest)
			}
			check("words that moved")
			for i, p := range processes[:len(processes)-1] {
				die(t, p.Store, elsewhere)
				die(t, p.Store, dir)
				check("some have died")
				if i%2 == 0 {
					require.Len(t, compactDir(t, dir).Compacted, 1)
					check("some are in the archive")
				}
			}
			die(t, processes[len(processes)-1].Store, dir)
			compactDir(t, dir)
			check("all are in the archive")
		})
	}
}

// TestSumsThatAreNoNumber: an infinity stays in the sum of a series whatever is added
// after it, in families whose sums are in the totals and in those that have accumulators.
func TestSumsThatAreNoNumber(t *testing.T) {
	inf := math.Inf(1)
	for _, same := range []bool{true, false} {
		dir := t.TempDir()
		a := openDir(t, dir, Options{NoSelfMetrics: true})
		for i, v := range []float64{1, inf, 2.5, -inf} {
			bounds := []float64{1, 2}
			if !same {
				bounds = append(bounds, float64(3+i))
			}
			p := newProcess(t, dir, strconv.Itoa(i), int64(i))
			p.add(histogramSchema("h", bounds...)).Words()[mpm.CellHistogramSum] = math.Float64bits(v)
			p.add(gauge("g", metric.ModeSum)).Words()[mpm.CellGauge] = math.Float64bits(v)
			p.add(&metric.Schema{Name: "s", Type: metric.Summary}).Words()[mpm.CellSummarySum] = math.Float64bits(v)
			want := []float64{1, inf, inf, math.NaN()}[i]
			for range 2 {
				got := gather(t, a)
				for _, name := range []string{"h_sum", "g", "s_sum"} {
					require.Equal(t, fmt.Sprint(want), fmt.Sprint(got[name]), "%s after %v", name, v)
				}
			}
		}
	}
}
