package aggregate

import (
	"fmt"
	"math"
	"math/rand/v2"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/multiprom/multiprom/internal/form"
	"github.com/multiprom/multiprom/internal/mpm"
	"github.com/multiprom/multiprom/metric"
)

// given is what one process says of one series, in the terms of a test.
type given struct {
	process string
	live    bool
	schema  *metric.Schema
	label   string
	value   float64 // counter, gauge, sum
	set     bool
	nanos   int64
	counts  []uint64 // histogram
	count   uint64   // summary
}

// reference merges in the plainest way: it looks at everything for every
// sample. It is the oracle of TestMergeAgainstReference.
func reference(all []given) map[string]float64 {
	out := map[string]float64{}
	for _, g := range all {
		var same []given // of the series, those that take part
		for _, o := range all {
			if o.schema.Name == g.schema.Name && o.label == g.label && (o.live || !o.schema.Mode.Live()) {
				same = append(same, o)
			}
		}
		if len(same) == 0 {
			continue
		}
		key := func(suffix string, extra ...string) string {
			return g.schema.Name + suffix + metric.MakeLabels(append([]string{"l", g.label}, extra...)...).String()
		}
		switch g.schema.Type {
		case metric.Counter:
			out[key("_total")] = sumOf(same)
		case metric.Summary:
			out[key("_sum")] = sumOf(same)
			n := uint64(0)
			for _, o := range same {
				n += o.count
			}
			out[key("_count")] = float64(n)
		case metric.Histogram:
			out[key("_sum")] = sumOf(same)
			bounds := map[float64]bool{math.Inf(1): true}
			for _, o := range all {
				if o.schema.Name == g.schema.Name {
					for _, b := range o.schema.Bounds {
						bounds[b] = true
					}
				}
			}
			for le := range bounds {
				n := uint64(0)
				for _, o := range same {
					for i, c := range o.counts {
						if i == len(o.schema.Bounds) && math.IsInf(le, 1) || i < len(o.schema.Bounds) && o.schema.Bounds[i] <= le {
							n += c
						}
					}
				}
				out[key("_bucket", "le", form.FormatFloat(le))] = float64(n)
				if math.IsInf(le, 1) {
					out[key("_count")] = float64(n)
				}
			}
		case metric.Gauge:
			if g.schema.Mode.Base() == metric.ModeAll {
				if g.live || !g.schema.Mode.Live() {
					out[key("", "pid", g.process)] = g.value
				}
				continue
			}
			out[key("")] = gaugeOf(g.schema.Mode.Base(), same)
		}
	}
	return out
}

func sumOf(gs []given) (sum float64) {
	for _, g := range gs {
		sum += g.value
	}
	return sum
}

func gaugeOf(mode metric.Mode, gs []given) float64 {
	var best *given
	sum := 0.0
	for i, g := range gs {
		if !g.set {
			continue
		}
		sum += g.value
		if best == nil ||
			mode == metric.ModeMin && g.value < best.value ||
			mode == metric.ModeMax && g.value > best.value ||
			mode == metric.ModeMostRecent && (g.nanos > best.nanos || g.nanos == best.nanos && g.value > best.value) {
			best = &gs[i]
		}
	}
	switch {
	case best == nil:
		return 0
	case mode == metric.ModeSum:
		return sum
	}
	return best.value
}

// TestMergeAgainstReference builds random directories and compares every
// sample. Values are multiples of 1/4, so that sums are exact in any order.
func TestMergeAgainstReference(t *testing.T) {
	for seed := range uint64(40) {
		t.Run(strconv.FormatUint(seed, 10), func(t *testing.T) {
			r := rand.New(rand.NewPCG(seed, 1))
			dir, elsewhere := t.TempDir(), t.TempDir()
			a := openDir(t, dir, Options{NoSelfMetrics: true, Now: func() time.Time { return time.Unix(1, 0) }})
			var all []given
			for p := range 1 + r.IntN(5) {
				live := r.IntN(3) > 0
				where := elsewhere
				if live {
					where = dir
				}
				name := fmt.Sprintf("p%d", p)
				proc := newProcess(t, where, name, int64(p))
				all = append(all, randomProcess(t, r, proc, name, live)...)
				if !live {
					die(t, proc.Store, dir)
				}
				if r.IntN(3) == 0 {
					compactDir(t, dir)
				}
				if r.IntN(2) == 0 {
					require.Equal(t, reference(all), gather(t, a)) // a warm plan that grows
				}
			}
			require.Equal(t, reference(all), gather(t, a))
			require.Equal(t, reference(all), gather(t, openDir(t, dir, Options{NoSelfMetrics: true})))
		})
	}
}

func randomProcess(t *testing.T, r *rand.Rand, p *process, name string, live bool) (all []given) {
	schemas := []*metric.Schema{counter("c", "l"), {Name: "s", Help: "S.", Type: metric.Summary, Labels: []string{"l"}}}
	bounds := [][]float64{{1, 2, 3}, {2, 4}}[r.IntN(2)]
	schemas = append(schemas, &metric.Schema{Name: "h", Help: "H.", Type: metric.Histogram, Labels: []string{"l"}, Bounds: bounds})
	for m := metric.ModeAll; m.Valid(); m++ {
		schemas = append(schemas, gauge("g_"+m.String(), m, "l"))
	}
	r.Shuffle(len(schemas), func(i, j int) { schemas[i], schemas[j] = schemas[j], schemas[i] })
	for _, schema := range schemas {
		f, err := p.AddSchema(schema)
		require.NoError(t, err)
		series := r.IntN(4)
		if schema.Type == metric.Histogram {
			series++ // its bounds count from its schema on
		}
		for n := range series {
			s, err := p.AddSeries(f, []string{strconv.Itoa(n)}, nil)
			require.NoError(t, err)
			g := given{process: name, live: live, schema: schema, label: strconv.Itoa(n)}
			g.write(r, s.Words())
			all = append(all, g)
		}
	}
	return all
}

// write chooses values and writes them as an instrument would.
func (g *given) write(r *rand.Rand, w []uint64) {
	whole, quarters := uint64(r.IntN(1000)), float64(r.IntN(8))/4
	bits := math.Float64bits(quarters)
	switch g.schema.Type {
	case metric.Counter:
		w[mpm.CellCounterInts], w[mpm.CellCounterFloat] = whole, bits
		g.value = float64(whole) + quarters
	case metric.Summary:
		w[mpm.CellSummaryCount], w[mpm.CellSummarySum] = whole, bits
		g.count, g.value = whole, quarters
	case metric.Histogram:
		w[mpm.CellHistogramSum] = bits
		g.value = quarters
		for i := range w[mpm.CellHistogramBuckets:] {
			w[mpm.CellHistogramBuckets+i] = uint64(r.IntN(50))
		}
		g.counts = append(g.counts, w[mpm.CellHistogramBuckets:]...)
	case metric.Gauge:
		if g.set = r.IntN(3) > 0; !g.set {
			return
		}
		g.value, g.nanos = quarters-1, int64(1+r.IntN(1_000_000))
		if g.schema.Mode.Base() == metric.ModeMostRecent {
			mpm.StoreRecent(w, math.Float64bits(g.value), g.nanos)
		} else {
			w[mpm.CellGauge] = math.Float64bits(g.value)
		}
	}
}

// benchDir fills a directory with 8 processes of 5,000 values each: counters,
// and histograms of 12 buckets.
func benchDir(b *testing.B) string {
	dir := b.TempDir()
	for p := range 8 {
		proc := newProcess(b, dir, strconv.Itoa(p), int64(p))
		c, err := proc.AddSchema(counter("c", "l"))
		require.NoError(b, err)
		h, err := proc.AddSchema(&metric.Schema{
			Name: "h", Help: "H.", Type: metric.Histogram, Labels: []string{"l"}, Bounds: []float64{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11},
		})
		require.NoError(b, err)
		for i := range 2400 {
			_, err := proc.AddSeries(c, []string{strconv.Itoa(i)}, nil)
			require.NoError(b, err)
		}
		for i := range 200 {
			_, err := proc.AddSeries(h, []string{strconv.Itoa(i)}, nil)
			require.NoError(b, err)
		}
	}
	return dir
}

func BenchmarkMerge8x5000(b *testing.B) {
	dir := benchDir(b)
	b.Run("cold", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			a, err := Open(dir, Options{})
			require.NoError(b, err)
			gatherOnly(b, a)
			require.NoError(b, a.Close())
		}
	})
	b.Run("warm", func(b *testing.B) {
		a := openDir(b, dir, Options{})
		gatherOnly(b, a)
		b.ReportAllocs()
		for b.Loop() {
			gatherOnly(b, a)
		}
	})
}

func gatherOnly(b *testing.B, a *Aggregator) {
	if _, err := a.Gather(b.Context()); err != nil {
		b.Fatal(err)
	}
}
