package prom_test

import (
	"cmp"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/encoding/prototext"
	"google.golang.org/protobuf/proto"

	"github.com/multiprom/multiprom/compat/convert"
	"github.com/multiprom/multiprom/compat/prom"
	"github.com/multiprom/multiprom/internal/actions"
	"github.com/multiprom/multiprom/multiproc"
	"github.com/multiprom/multiprom/registry"
)

// maker is what both sides have: client_golang's functions and a Factory.
type maker struct {
	counter      func(prometheus.CounterOpts) prometheus.Counter
	counterVec   func(prometheus.CounterOpts, []string) *prometheus.CounterVec
	gauge        func(prometheus.GaugeOpts) prometheus.Gauge
	gaugeVec     func(prometheus.GaugeOpts, []string) *prometheus.GaugeVec
	histogram    func(prometheus.HistogramOpts) prometheus.Histogram
	histogramVec func(prometheus.HistogramOpts, []string) *prometheus.HistogramVec
	summary      func(prometheus.SummaryOpts) prometheus.Summary
	summaryVec   func(prometheus.SummaryOpts, []string) *prometheus.SummaryVec
}

var genuine = maker{
	prometheus.NewCounter, prometheus.NewCounterVec, prometheus.NewGauge, prometheus.NewGaugeVec,
	prometheus.NewHistogram, prometheus.NewHistogramVec, prometheus.NewSummary, prometheus.NewSummaryVec,
}

func over(f *prom.Factory) maker {
	return maker{
		f.NewCounter, f.NewCounterVec, f.NewGauge, f.NewGaugeVec,
		f.NewHistogram, f.NewHistogramVec, f.NewSummary, f.NewSummaryVec,
	}
}

// subject is one side: the metrics and a registry that checks them.
type subject struct {
	registry *prometheus.Registry
	counters []prometheus.Counter
	gauges   []prometheus.Gauge
	plain    []prometheus.Observer
	vecs     []*prometheus.MetricVec
}

var labelNames = []string{"method", "code", "path"}

func newSubject(m maker, constant prometheus.Labels, buckets []float64) *subject {
	s := &subject{registry: prometheus.NewPedanticRegistry()}
	opts := func(name string) prometheus.Opts {
		return prometheus.Opts{Namespace: "app", Subsystem: "part", Name: name, Help: "Help of " + name + ".", ConstLabels: constant}
	}
	hopts := func(name string) prometheus.HistogramOpts {
		return prometheus.HistogramOpts{Name: name, Help: "Observed.", ConstLabels: constant, Buckets: buckets}
	}
	sopts := func(name string) prometheus.SummaryOpts {
		return prometheus.SummaryOpts{Namespace: "ns", Name: name, Help: "Observed.", ConstLabels: constant}
	}
	c, g := m.counter(prometheus.CounterOpts(opts("c_total"))), m.gauge(prometheus.GaugeOpts(opts("g")))
	h, sum := m.histogram(hopts("h")), m.summary(sopts("s"))
	cv, gv := m.counterVec(prometheus.CounterOpts(opts("cv_total")), labelNames), m.gaugeVec(prometheus.GaugeOpts(opts("gv")), labelNames)
	hv, sv := m.histogramVec(hopts("hv_seconds"), labelNames), m.summaryVec(sopts("sv"), labelNames)
	s.registry.MustRegister(c, g, h, sum, cv, gv, hv, sv)
	s.counters, s.gauges, s.plain = []prometheus.Counter{c}, []prometheus.Gauge{g}, []prometheus.Observer{h, sum}
	s.vecs = []*prometheus.MetricVec{cv.MetricVec, gv.MetricVec, hv.MetricVec, sv.MetricVec}
	return s
}

// do makes the operation that r chooses, and returns what it says: a result,
// an error or a panic. The same r chooses the same for both sides.
func (s *subject) do(r *rand.Rand) (said string) {
	defer func() {
		if v := recover(); v != nil {
			said = fmt.Sprint("panic: ", v)
		}
	}()
	actions.List{
		{Weight: 1, Name: "update the counter", Do: func() { update(r, s.counters[0]) }},
		{Weight: 1, Name: "update the gauge", Do: func() { update(r, s.gauges[0]) }},
		{Weight: 1, Name: "observe", Do: func() { update(r, s.plain[r.IntN(2)]) }},
		{Weight: 7, Name: "look a series up", Do: func() { said = s.lookUp(r) }},
	}.Random(r)
	return said
}

// lookUp looks a series of a Vec up and updates it, or removes some.
func (s *subject) lookUp(r *rand.Rand) (said string) {
	v := s.vecs[r.IntN(4)]
	names, view := labelNames, v
	if r.IntN(3) == 0 { // by way of a curried view, and sometimes by one of that
		for range 1 + r.IntN(2) {
			i := r.IntN(len(names))
			curried, err := view.CurryWith(prometheus.Labels{names[i]: value(r)})
			if err != nil {
				return err.Error()
			}
			view = curried
			if r.IntN(20) > 0 { // else the label is given once more
				names = append(append([]string{}, names[:i]...), names[i+1:]...)
			}
		}
	}
	values := make([]string, len(names))
	labels := prometheus.Labels{}
	for i := range values {
		values[i] = value(r)
		labels[names[i]] = values[i]
	}
	actions.List{
		{Weight: 1, Name: "a value or label too many", Do: func() {
			values = append(values, "one too many")
			labels["unknown"] = "x"
		}},
		{Weight: 1, Name: "a value that is not UTF-8", Do: func() {
			if len(values) > 0 {
				values[0] = "\xff"
				labels[names[0]] = "\xff"
			}
		}},
		{Weight: 38, Name: "good labels"},
	}.Random(r)
	actions.List{
		{Weight: 2, Name: "delete by values", Do: func() { said = fmt.Sprint(view.DeleteLabelValues(values...)) }},
		{Weight: 1, Name: "delete by labels", Do: func() { said = fmt.Sprint(view.Delete(labels)) }},
		{Weight: 1, Name: "delete by a part", Do: func() {
			said = fmt.Sprint(view.DeletePartialMatch(prometheus.Labels{"code": value(r)}))
		}},
		{Weight: 1, Name: "reset", Do: func() {
			if r.IntN(6) == 0 {
				view.Reset()
			}
		}},
		{Weight: 19, Name: "update", Do: func() { said = updateOne(r, view, values, labels) }},
	}.Random(r)
	return said
}

// updateOne updates the series with those labels.
func updateOne(r *rand.Rand, view *prometheus.MetricVec, values []string, labels prometheus.Labels) string {
	var m prometheus.Metric
	var err error
	if r.IntN(2) == 0 {
		m, err = view.GetMetricWithLabelValues(values...)
	} else {
		m, err = view.GetMetricWith(labels)
	}
	if err != nil {
		return err.Error()
	}
	update(r, m)
	return ""
}

// update changes a metric of any type.
func update(r *rand.Rand, m any) {
	v := []float64{0, 1, -1, 2.5, 0.1, float64(r.IntN(100)), r.NormFloat64(), 1 << 31}[r.IntN(8)]
	var trace prometheus.Labels
	actions.List{
		{Weight: 1, Name: "a trace", Do: func() { trace = prometheus.Labels{"trace_id": fmt.Sprint(r.IntN(9))} }},
		{Weight: 1, Name: "a label without a name", Do: func() { trace = prometheus.Labels{"": "no name"} }},
		{Weight: 10, Name: "no exemplar"},
	}.Random(r)
	kind := r.IntN(6)
	switch m := m.(type) {
	case prometheus.Gauge: // before Counter, whose methods it has
		[]func(){func() { m.Set(v) }, m.Inc, m.Dec, func() { m.Add(v) }, func() { m.Sub(v) }, func() {}}[kind]()
	case prometheus.Counter:
		switch kind {
		case 0:
			m.(prometheus.ExemplarAdder).AddWithExemplar(v, trace)
		case 1, 2:
			m.Inc()
		default:
			m.Add(v)
		}
	case prometheus.Observer:
		if r.IntN(30) == 0 {
			v = []float64{math.NaN(), math.Inf(1), math.Inf(-1)}[kind/2]
		}
		if x, ok := m.(prometheus.ExemplarObserver); ok && kind == 0 {
			x.ObserveWithExemplar(v, trace)
		} else {
			m.Observe(v)
		}
	default:
		panic(fmt.Sprintf("what is a %T?", m))
	}
}

func value(r *rand.Rand) string { return []string{"", "a", "b", "é\n\""}[r.IntN(4)] }

// normal returns families as text without what the clock says. client_golang
// orders the metrics of a family by their label values alone: those of {a="v"}
// and {b="v"} stand in either order, from one Gather to the next. Here the names
// decide between them.
func normal(t *testing.T, families []*dto.MetricFamily) (out []string) {
	for _, f := range families {
		f = proto.Clone(f).(*dto.MetricFamily)
		for _, m := range f.Metric {
			if c := m.Counter; c != nil {
				require.NotNil(t, c.CreatedTimestamp)
				c.CreatedTimestamp = nil
				undated(c.Exemplar)
			}
			if s := m.Summary; s != nil {
				require.NotNil(t, s.CreatedTimestamp)
				s.CreatedTimestamp = nil
			}
			if h := m.Histogram; h != nil {
				require.NotNil(t, h.CreatedTimestamp)
				h.CreatedTimestamp = nil
				for _, b := range h.Bucket {
					undated(b.Exemplar)
				}
			}
		}
		require.True(t, slices.IsSortedFunc(f.Metric, byValues), "the order of %s", f.GetName())
		slices.SortFunc(f.Metric, func(a, b *dto.Metric) int {
			return cmp.Or(byValues(a, b), slices.CompareFunc(a.Label, b.Label, func(a, b *dto.LabelPair) int {
				return strings.Compare(a.GetName(), b.GetName())
			}))
		})
		for _, m := range f.Metric {
			text, err := prototext.MarshalOptions{Multiline: false}.Marshal(m)
			require.NoError(t, err)
			// Its spaces are random, by intention.
			out = append(out, fmt.Sprint(f.GetName(), f.GetHelp(), f.GetType(), f.GetUnit(), strings.Join(strings.Fields(string(text)), " ")))
		}
	}
	return out
}

// byValues is the order of metrics that client_golang promises.
func byValues(a, b *dto.Metric) int {
	return cmp.Or(cmp.Compare(len(a.Label), len(b.Label)), slices.CompareFunc(a.Label, b.Label, func(a, b *dto.LabelPair) int {
		return strings.Compare(a.GetValue(), b.GetValue())
	}))
}

func undated(x *dto.Exemplar) {
	if x != nil {
		x.Timestamp = nil
	}
}

// merged takes away that the bucket +Inf stands in the view of one process for
// the sake of its exemplar only, and in the merged view always.
func merged(families []*dto.MetricFamily) []*dto.MetricFamily {
	for _, f := range families {
		for _, m := range f.Metric {
			if h := m.Histogram; h != nil {
				if n := len(h.Bucket); n > 0 && math.IsInf(h.Bucket[n-1].GetUpperBound(), 1) && h.Bucket[n-1].Exemplar == nil {
					h.Bucket = h.Bucket[:n-1]
				}
			}
		}
	}
	return families
}

// instruments is the merged view of a Set alone, without what the view says of
// itself.
func instruments(t *testing.T, set *multiproc.Set) (out []*dto.MetricFamily) {
	families, err := convert.ToPrometheus(registry.Instruments(set)).Gather()
	require.NoError(t, err)
	for _, f := range families {
		if len(f.GetName()) < 10 || f.GetName()[:10] != "multiprom_" {
			out = append(out, f)
		}
	}
	return out
}

// TestRandomOperations makes the same operations on client_golang's metrics and
// on those over a store: they say the same, give the same to a registry, and so
// does the merged view once the deletions have reached the store.
func TestRandomOperations(t *testing.T) {
	for seed := range uint64(12) {
		r := rand.New(rand.NewPCG(seed, 7))
		var constant prometheus.Labels
		if r.IntN(2) == 0 {
			constant = prometheus.Labels{"zone": "z" + fmt.Sprint(seed), "b": ""}
		}
		buckets := [][]float64{nil, {-1, 0, 1}, {.5}, prometheus.ExponentialBuckets(.001, 1.5, 50), {1, 2, math.Inf(1)}}[r.IntN(5)]
		dir := ""
		if r.IntN(2) == 0 {
			dir = t.TempDir()
		}
		set := multiproc.NewSet(multiproc.SetOptions{Dir: dir})
		// The mode changes nothing for one process.
		factory := prom.New(set, prom.Options{})
		theirs, ours := newSubject(genuine, constant, buckets), newSubject(over(factory), constant, buckets)
		if r.IntN(2) == 0 {
			require.NoError(t, set.Open())
		}
		for op := range 401 {
			a, b := r.Uint64(), r.Uint64()
			want := theirs.do(rand.New(rand.NewPCG(a, b)))
			require.Equal(t, want, ours.do(rand.New(rand.NewPCG(a, b))), "seed %d, operation %d", seed, op)
			if op%50 > 0 {
				continue
			}
			expected, err := theirs.registry.Gather()
			require.NoError(t, err)
			got, err := ours.registry.Gather()
			require.NoError(t, err)
			equal(t, expected, got, "seed %d, operation %d", seed, op)

			factory.Reconcile()
			expected = merged(expected)
			equal(t, expected, merged(instruments(t, set)), "merged, seed %d, operation %d", seed, op)
		}
		factory.Close()
		require.NoError(t, set.Close())
	}
}

// equal compares all series, and shows the first that differs.
func equal(t *testing.T, want, got []*dto.MetricFamily, what string, args ...any) {
	t.Helper()
	a, b := normal(t, want), normal(t, got)
	for i := range min(len(a), len(b)) {
		require.Equal(t, a[i], b[i], append([]any{what}, args...)...)
	}
	require.Equal(t, len(a), len(b), append([]any{what}, args...)...)
}
