package metric_test

import (
	"math"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/multiprom/multiprom/internal/form"
	"github.com/multiprom/multiprom/metric"
)

func TestModes(t *testing.T) {
	for m, name := range map[metric.Mode]string{
		metric.ModeAll: "all", metric.ModeLiveAll: "liveall", metric.ModeMin: "min", metric.ModeLiveMin: "livemin",
		metric.ModeMax: "max", metric.ModeLiveMax: "livemax", metric.ModeSum: "sum", metric.ModeLiveSum: "livesum",
		metric.ModeMostRecent: "mostrecent", metric.ModeLiveMostRecent: "livemostrecent",
	} {
		require.Equal(t, name, m.String())
		require.Equal(t, strings.HasPrefix(name, "live"), m.Live())
		require.Equal(t, strings.TrimPrefix(name, "live"), m.Base().String())
	}
	require.False(t, metric.Mode(10).Valid())
	require.False(t, metric.Mode(11).Live())
	require.Equal(t, "mode(10)", metric.Mode(10).String())
	require.Equal(t, "type(8)", metric.Type(8).String())
}

func TestReservedLabels(t *testing.T) {
	for typ, want := range map[metric.Type]string{
		metric.Counter: "", metric.Gauge: "", metric.Unknown: "", metric.Info: "",
		metric.Histogram: "le", metric.GaugeHistogram: "le", metric.Summary: "quantile", metric.StateSet: "mood",
	} {
		require.Equal(t, want, typ.ReservedLabel("mood"), typ)
		if want != "" {
			err := (&metric.Schema{Name: "mood", Type: typ, Labels: []string{want}, States: []string{"good"}}).Check()
			require.ErrorIs(t, err, form.ErrReserved, typ)
		}
	}
}

func TestTimed(t *testing.T) {
	for _, typ := range []metric.Type{metric.Gauge, metric.Unknown, metric.StateSet} {
		require.True(t, (&metric.Schema{Type: typ, Mode: metric.ModeMostRecent}).Timed(), typ)
		require.True(t, (&metric.Schema{Type: typ, Mode: metric.ModeLiveMostRecent}).Timed(), typ)
		require.False(t, (&metric.Schema{Type: typ, Mode: metric.ModeMax}).Timed(), typ)
	}
	require.False(t, (&metric.Schema{Type: metric.Counter, Mode: metric.ModeMostRecent}).Timed())
}

func TestFloats(t *testing.T) {
	for v, want := range map[float64]string{
		0: "0", 1: "1", -3: "-3", 0.1: "0.1", 1e6: "1000000", 123456789012345: "123456789012345", 1e15: "1e+15", 2.5e-9: "2.5e-09",
		math.Inf(1): "+Inf", math.Inf(-1): "-Inf", math.MaxFloat64: "1.7976931348623157e+308", 1<<63 + 4096: "9.22337203685478e+18",
	} {
		require.Equal(t, want, form.FormatFloat(v))
	}
	require.Equal(t, "NaN", form.FormatFloat(math.NaN()))
	require.Equal(t, "-0", form.FormatFloat(math.Copysign(0, -1)))
}

// TestBounds: the property test of package exposition has expfmt beside it.
func TestBounds(t *testing.T) {
	for v, want := range map[float64]string{
		0: "0", 1: "1", -3: "-3", 0.1: "0.1", 100000: "100000", 1e6: "1e+06", 1234567: "1.234567e+06", 1e-5: "1e-05", math.Inf(1): "+Inf", math.Inf(-1): "-Inf",
	} {
		require.Equal(t, want, string(form.AppendBound(nil, v)))
	}
	require.Equal(t, "NaN", string(form.AppendBound(nil, math.NaN())))
	require.Equal(t, "0", string(form.AppendBound(nil, math.Copysign(0, -1))))
}

func FuzzFormatFloat(f *testing.F) {
	for _, v := range []float64{0, 1, -1, 0.1, 1e15, -1e15, 1e300, math.Inf(1), math.NaN()} {
		f.Add(math.Float64bits(v))
	}
	f.Fuzz(func(t *testing.T, bits uint64) {
		v := math.Float64frombits(bits)
		got, err := strconv.ParseFloat(form.FormatFloat(v), 64)
		require.NoError(t, err)
		if v != v {
			require.True(t, math.IsNaN(got))
			return
		}
		require.Equal(t, bits, math.Float64bits(got), "%v reads back as %v", v, got)
	})
}

func TestLabels(t *testing.T) {
	ls := metric.MakeLabels("b", "2", "a", "1\n\"\\")
	require.Equal(t, `{a="1\n\"\\",b="2"}`, ls.String())
	require.Empty(t, metric.Labels{}.String())
	require.Equal(t, `{"dötted.name"="x"}`, metric.MakeLabels("dötted.name", "x").String())
	v, ok := ls.Get("b")
	require.True(t, ok)
	require.Equal(t, "2", v)
	_, ok = ls.Get("c")
	require.False(t, ok)
	require.Equal(t, metric.MakeLabels("a", "1\n\"\\", "b", "3"), ls.With("b", "3"))
	require.Equal(t, ls, metric.LabelsFromMap(ls.Map()))
	odd := []string{"a"}
	require.Panics(t, func() { metric.MakeLabels(odd...) })

	sorted := []metric.Labels{nil, metric.MakeLabels("a", "1"), metric.MakeLabels("a", "1", "b", "1"), metric.MakeLabels("a", "2"), metric.MakeLabels("b", "0")}
	require.True(t, slices.IsSortedFunc(sorted, metric.Labels.Compare))
}

func TestNames(t *testing.T) {
	for name, legacy := range map[string]bool{"a": true, "_:a9": true, "9a": false, "a-b": false, "é": false, "a.b": false} {
		require.Equal(t, legacy, form.IsLegacyName(name), name)
		require.NoError(t, form.CheckName(name))
	}
	require.False(t, form.IsLegacyLabelName("a:b"))
	for _, bad := range []string{"", "\xff", strings.Repeat("x", form.MaxNameLen+1)} {
		require.ErrorIs(t, form.CheckName(bad), form.ErrName)
		require.ErrorIs(t, form.CheckLabelName(bad), form.ErrLabel)
	}
	require.ErrorIs(t, form.CheckLabelName("__name__"), form.ErrReserved)
}

func TestSchemaCheck(t *testing.T) {
	long := strings.Repeat("x", form.MaxHelpLen+1)
	for _, tc := range []struct {
		what   string
		schema metric.Schema
		want   error
	}{
		{"counter", metric.Schema{Name: "x", Type: metric.Counter, Labels: []string{"a"}, Const: metric.MakeLabels("b", "1")}, nil},
		{"histogram", metric.Schema{Name: "x", Type: metric.Histogram, Bounds: []float64{-1, 0, 2}}, nil},
		{"le elsewhere", metric.Schema{Name: "x", Type: metric.Counter, Labels: []string{"le"}}, nil},
		{"no name", metric.Schema{}, form.ErrName},
		{"le", metric.Schema{Name: "x", Type: metric.Histogram, Labels: []string{"le"}, Bounds: []float64{1}}, form.ErrReserved},
		{"quantile", metric.Schema{Name: "x", Type: metric.Summary, Const: metric.MakeLabels("quantile", "1")}, form.ErrReserved},
		{"own name", metric.Schema{Name: "x", Type: metric.StateSet, Labels: []string{"x"}, States: []string{"a"}}, form.ErrReserved},
		{"twice", metric.Schema{Name: "x", Labels: []string{"a"}, Const: metric.MakeLabels("a", "1")}, form.ErrLabel},
		{"too many", metric.Schema{Name: "x", Labels: make([]string, form.MaxLabels+1)}, form.ErrLabel},
		{"const value", metric.Schema{Name: "x", Const: metric.MakeLabels("a", "\xff")}, form.ErrLabel},
		{"type", metric.Schema{Name: "x", Type: 99}, form.ErrSchema},
		{"mode", metric.Schema{Name: "x", Type: metric.Gauge, Mode: 99}, form.ErrSchema},
		{"help", metric.Schema{Name: "x", Help: long}, form.ErrSchema},
		{"only +Inf", metric.Schema{Name: "x", Type: metric.Histogram}, nil},
		{"native", metric.Schema{Name: "x", Type: metric.Histogram, Native: &metric.NativeSchema{Schema: 3, MaxBuckets: 160, ZeroThreshold: 0.5, MaxExemplars: 0}}, nil},
		{"native schema", metric.Schema{Name: "x", Type: metric.Histogram, Native: &metric.NativeSchema{Schema: 9, MaxBuckets: 160, ZeroThreshold: 0.5, MaxExemplars: 0}}, form.ErrSchema},
		{"coarse native schema", metric.Schema{Name: "x", Type: metric.Histogram, Native: &metric.NativeSchema{Schema: -5, MaxBuckets: 160, ZeroThreshold: 0.5, MaxExemplars: 0}}, form.ErrSchema},
		{"no native bucket", metric.Schema{Name: "x", Type: metric.Histogram, Native: &metric.NativeSchema{Schema: 3, MaxBuckets: 0, ZeroThreshold: 0.5, MaxExemplars: 0}}, form.ErrSchema},
		{"native buckets", metric.Schema{Name: "x", Type: metric.Histogram, Native: &metric.NativeSchema{Schema: 3, MaxBuckets: 1025, ZeroThreshold: 0.5, MaxExemplars: 0}}, form.ErrSchema},
		{"zero threshold", metric.Schema{Name: "x", Type: metric.Histogram, Native: &metric.NativeSchema{Schema: 3, MaxBuckets: 160, ZeroThreshold: -1, MaxExemplars: 0}}, form.ErrSchema},
		{"zero threshold -0", metric.Schema{Name: "x", Type: metric.Histogram, Native: &metric.NativeSchema{Schema: 3, MaxBuckets: 160, ZeroThreshold: math.Copysign(0, -1), MaxExemplars: 0}}, form.ErrSchema},
		{"zero threshold NaN", metric.Schema{Name: "x", Type: metric.Histogram, Native: &metric.NativeSchema{Schema: 3, MaxBuckets: 160, ZeroThreshold: math.NaN(), MaxExemplars: 0}}, form.ErrSchema},
		{"zero threshold +Inf", metric.Schema{Name: "x", Type: metric.Histogram, Native: &metric.NativeSchema{Schema: 3, MaxBuckets: 160, ZeroThreshold: math.Inf(1), MaxExemplars: 0}}, form.ErrSchema},
		{"native exemplars", metric.Schema{Name: "x", Type: metric.Histogram, Native: &metric.NativeSchema{Schema: 3, MaxBuckets: 160, ZeroThreshold: 0.5, MaxExemplars: 17}}, form.ErrSchema},
		{"fewer native exemplars", metric.Schema{Name: "x", Type: metric.Histogram, Native: &metric.NativeSchema{Schema: 3, MaxBuckets: 160, ZeroThreshold: 0.5, MaxExemplars: -1}}, form.ErrSchema},
		{"native counter", metric.Schema{Name: "x", Type: metric.Counter, Native: &metric.NativeSchema{Schema: 3, MaxBuckets: 160, ZeroThreshold: 0.5, MaxExemplars: 0}}, form.ErrSchema},
		{"buckets", metric.Schema{Name: "x", Type: metric.Histogram, Bounds: make([]float64, form.MaxBounds+1)}, form.ErrSchema},
		{"unsorted", metric.Schema{Name: "x", Type: metric.Histogram, Bounds: []float64{2, 1}}, form.ErrSchema},
		{"equal", metric.Schema{Name: "x", Type: metric.Histogram, Bounds: []float64{1, 1}}, form.ErrSchema},
		{"NaN", metric.Schema{Name: "x", Type: metric.Histogram, Bounds: []float64{math.NaN()}}, form.ErrSchema},
		{"no states", metric.Schema{Name: "x", Type: metric.StateSet}, form.ErrSchema},
		{"same state", metric.Schema{Name: "x", Type: metric.StateSet, States: []string{"a", "a"}}, form.ErrSchema},
	} {
		require.ErrorIs(t, tc.schema.Check(), tc.want, tc.what)
	}
}

func TestSamples(t *testing.T) {
	ls := metric.MakeLabels("a", "1")
	for _, tc := range []struct {
		family metric.Family
		want   []string
	}{
		{metric.Family{Type: metric.Counter, Series: []metric.Series{{Labels: ls, Value: 2}}}, []string{`x_total{a="1"} 2`}},
		{metric.Family{Type: metric.Gauge, Series: []metric.Series{{Value: 2.5}}}, []string{`x 2.5`}},
		{metric.Family{Type: metric.Info, Series: []metric.Series{{Labels: ls}}}, []string{`x_info{a="1"} 1`}},
		{metric.Family{Type: metric.StateSet, Series: []metric.Series{{States: []metric.State{{Name: "on", On: true}, {Name: "off"}}}}},
			[]string{`x{x="on"} 1`, `x{x="off"} 0`}},
		{metric.Family{Type: metric.Histogram, Series: []metric.Series{{Count: 3, Sum: 4, Buckets: metric.Cumulate([]float64{1}, []uint64{1, 2})}}},
			[]string{`x_bucket{le="1"} 1`, `x_bucket{le="+Inf"} 3`, `x_sum 4`, `x_count 3`}},
		{metric.Family{Type: metric.Histogram, Series: []metric.Series{{Count: 3, Sum: 4, Buckets: metric.Cumulate([]float64{-1}, []uint64{1, 2})}}},
			[]string{`x_bucket{le="-1"} 1`, `x_bucket{le="+Inf"} 3`, `x_sum 4`, `x_count 3`}},
		{metric.Family{Type: metric.GaugeHistogram, Series: []metric.Series{{Count: 1, Sum: 4, Buckets: metric.Cumulate(nil, []uint64{1})}}},
			[]string{`x_bucket{le="+Inf"} 1`, `x_gsum 4`, `x_gcount 1`}},
		{metric.Family{Type: metric.Summary, Series: []metric.Series{{Count: 1, Sum: 4, Quantiles: []metric.Quantile{{Q: 0.5, Value: 4}}}}},
			[]string{`x{quantile="0.5"} 4`, `x_sum 4`, `x_count 1`}},
	} {
		tc.family.Name = "x"
		var got []string
		for s := range tc.family.Samples() {
			got = append(got, s.Name+s.Labels.String()+" "+form.FormatFloat(s.Value))
		}
		require.Equal(t, tc.want, got, tc.family.Type)
		for range tc.family.Samples() {
			break // a consumer may stop at any sample
		}
	}
}

func TestSortFamilies(t *testing.T) {
	fs := []*metric.Family{
		{Name: "b", Series: []metric.Series{{Labels: metric.MakeLabels("x", "2")}, {Labels: metric.MakeLabels("x", "1")}}},
		{Name: "a"},
	}
	metric.SortFamilies(fs)
	require.Equal(t, "a", fs[0].Name)
	require.Equal(t, metric.MakeLabels("x", "1"), fs[1].Series[0].Labels)
}
