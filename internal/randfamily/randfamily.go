package randfamily

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"github.com/multiprom/multiprom/metric"
)

// Source generates families, the same ones for the same seed.
type Source struct{ *rand.Rand }

// New returns a source for that seed.
func New(seed uint64) Source { return Source{rand.New(rand.NewPCG(seed, 1))} }

// Families returns up to six sorted families of any type. Label values and help have any
// characters, and so do names if utf8Names is set. Values are any floats, including those
// that OpenMetrics forbids.
func (r Source) Families(utf8Names bool) []*metric.Family {
	var out []*metric.Family
	for i := range 1 + r.IntN(6) {
		f := &metric.Family{
			Name: fmt.Sprintf("f%d%s", i, r.name(utf8Names)),
			Help: r.text(),
			Type: metric.Type(r.IntN(int(metric.GaugeHistogram) + 1)),
		}
		if f.Type != metric.Info && f.Type != metric.StateSet && r.IntN(3) == 0 {
			f.Name, f.Unit = f.Name+"_seconds", "seconds"
		}
		for j := range 1 + r.IntN(4) {
			f.Series = append(f.Series, r.series(f, j, utf8Names))
		}
		out = append(out, f)
	}
	metric.SortFamilies(out)
	return out
}

func (r Source) series(f *metric.Family, n int, utf8Names bool) metric.Series {
	s := metric.Series{Value: r.float(), Sum: r.float(), Labels: metric.MakeLabels("n", fmt.Sprint(n))}
	for range r.IntN(4) {
		s.Labels = s.Labels.With("l"+r.name(utf8Names), r.text())
	}
	if r.IntN(3) == 0 {
		s.Timestamp = time.UnixMilli(1 + r.Int64N(1e13))
	}
	if r.IntN(3) > 0 {
		s.Created = time.UnixMilli(1 + r.Int64N(1e12))
	}
	switch f.Type {
	case metric.Counter:
		if r.IntN(2) == 0 {
			s.Value = math.Abs(s.Value)
		}
		s.Exemplar = r.exemplar(math.Inf(1), utf8Names)
	case metric.Histogram, metric.GaugeHistogram:
		s.Count = r.Uint64N(1 << 52)
		if f.Type == metric.Histogram && r.IntN(2) == 0 {
			s.Native, s.Count = r.native(utf8Names)
		}
		bounds := r.bounds()
		counts, rest := make([]uint64, len(bounds)+1), s.Count
		for i := range bounds {
			counts[i] = r.Uint64N(rest + 1)
			rest -= counts[i]
		}
		counts[len(bounds)] = rest
		s.Buckets = metric.Cumulate(bounds, counts)
		for i := range s.Buckets {
			s.Buckets[i].Exemplar = r.exemplar(s.Buckets[i].UpperBound, utf8Names)
		}
		s.NoSum = s.Native == nil && r.IntN(5) == 0
	case metric.Summary:
		s.Count = r.Uint64N(1 << 50)
		for i := range r.IntN(3) {
			q := float64(i) / 4
			if i == 0 {
				q = []float64{0, 1e-7, 1e-4, 0.1}[r.IntN(4)]
			}
			s.Quantiles = append(s.Quantiles, metric.Quantile{Q: q, Value: r.float()})
		}
		s.NoSum = r.IntN(5) == 0
	case metric.StateSet:
		for i := range 1 + r.IntN(4) {
			s.States = append(s.States, metric.State{Name: fmt.Sprint(i, r.text()), On: r.IntN(2) == 0})
		}
	}
	return s
}

// native returns native buckets, of which there may be none, and how many observations they
// have.
func (r Source) native(utf8Names bool) (h *metric.NativeHistogram, count uint64) {
	h = &metric.NativeHistogram{Schema: r.IntN(13) - 4}
	if r.IntN(3) > 0 {
		h.ZeroThreshold = []float64{0x1p-128, 1e-3, math.SmallestNonzeroFloat64}[r.IntN(3)]
		h.ZeroCount = r.Uint64N(3)
	}
	h.Positive, h.Negative = r.spans(), r.spans()
	count = h.ZeroCount
	for _, s := range append(slices.Clone(h.Positive), h.Negative...) {
		for _, n := range s.Counts {
			count += n
		}
	}
	for range r.IntN(3) {
		if x := r.exemplar(math.Inf(1), utf8Names); x != nil {
			x.Timestamp = time.Unix(r.Int64N(1e9), r.Int64N(1e9))
			h.Exemplars = append(h.Exemplars, x)
		}
	}
	slices.SortFunc(h.Exemplars, (*metric.Exemplar).Compare)
	return h, count
}

// spans returns up to three spans, within the buckets of every schema.
func (r Source) spans() (out []metric.Span) {
	for i := range r.IntN(4) {
		s := metric.Span{Offset: r.IntN(20), Counts: make([]uint64, 1+r.IntN(6))}
		if i == 0 {
			s.Offset -= 30
		}
		for j := range s.Counts {
			s.Counts[j] = r.Uint64N(1 << r.IntN(50))
		}
		out = append(out, s)
	}
	return out
}

// bounds returns up to four finite bounds in ascending order: small ones near 0, or any.
func (r Source) bounds() []float64 {
	var out []float64
	for range r.IntN(5) {
		b := Bounds[r.IntN(len(Bounds))]
		switch r.IntN(3) {
		case 0:
			b = r.NormFloat64()
		case 1:
			b = math.Float64frombits(r.Uint64() >> r.IntN(2))
		}
		if !math.IsNaN(b) && !math.IsInf(b, 0) {
			out = append(out, b)
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// Bounds are finite numbers that writers have written differently, as bounds or as
// values.
var Bounds = []float64{
	0, math.Copysign(0, -1), 1, -1, 0.1, 10, 1e-4, 1e-5, 99999, 100000, 999999, 1e6, 1234567, 1e15, 1e16, 1e20, 1e21, 1e22, 1 << 53, 1<<53 + 2, 1e100,
	-1e6, -123456.75, math.MaxInt64, math.MaxUint64, math.MaxFloat64, -math.MaxFloat64, math.SmallestNonzeroFloat64, 2.2250738585072014e-308, 5e-5, 0.30000000000000004,
}

// exemplar returns, every second time on average, an exemplar of at most that value.
func (r Source) exemplar(most float64, utf8Names bool) *metric.Exemplar {
	if r.IntN(2) == 0 {
		return nil
	}
	x := &metric.Exemplar{Value: math.Min(most, r.NormFloat64())}
	if r.IntN(3) > 0 {
		x.Labels = metric.MakeLabels("trace", r.text(), "m"+r.name(utf8Names), r.text())
	}
	if r.IntN(2) == 0 {
		x.Timestamp = time.Unix(r.Int64N(1e9), r.Int64N(1e9))
	}
	return x
}

func (r Source) name(utf8Names bool) string {
	alphabet := []string{"a", "Z", "_", "9"}
	if utf8Names {
		alphabet = append(alphabet, ".", " ", "é", "😀", `"`, `\`, "{", "}", "=", ",", "\n", "#")
	}
	return r.join(alphabet) + "x" // so that no name ends with the suffix of a sample name
}

func (r Source) text() string {
	return r.join([]string{"a", " ", "\n", `\`, `"`, "n", "\t", "\r", "é", "😀", "{", "}", "=", ",", "#"})
}

func (r Source) join(alphabet []string) string {
	var b strings.Builder
	for range r.IntN(8) {
		b.WriteString(alphabet[r.IntN(len(alphabet))])
	}
	return b.String()
}

func (r Source) float() float64 {
	switch r.IntN(8) {
	case 0:
		return math.NaN()
	case 1:
		return math.Inf(1 - 2*r.IntN(2))
	case 2:
		return float64(r.Int64())
	case 3:
		return math.Float64frombits(r.Uint64())
	case 4:
		return Bounds[r.IntN(len(Bounds))]
	}
	return r.NormFloat64() * 1000
}
