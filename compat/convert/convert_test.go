package convert_test

import (
	"context"
	"errors"
	"io"
	"math"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"github.com/prometheus/client_golang/prometheus/push"
	"github.com/prometheus/client_golang/prometheus/testutil"
	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/encoding/prototext"
	"google.golang.org/protobuf/proto"

	"github.com/multiprom/multiprom/aggregate"
	"github.com/multiprom/multiprom/compat/convert"
	"github.com/multiprom/multiprom/exposition"
	"github.com/multiprom/multiprom/gather"
	"github.com/multiprom/multiprom/internal/randfamily"
	"github.com/multiprom/multiprom/metric"
	"github.com/multiprom/multiprom/multiproc"
	"github.com/multiprom/multiprom/registry"
)

// TestThereAndBack converts random families to client_golang's, which read as a
// scrape by protobuf does, and from there to ours and to client_golang's again:
// nothing is lost.
func TestThereAndBack(t *testing.T) {
	for seed := range uint64(200) {
		families := randfamily.New(seed).Families(true)
		there, err := convert.MetricFamilies(families)
		require.NoError(t, err)

		body, err := exposition.Append(nil, families, exposition.Options{
			ContentType: exposition.ContentType{Format: exposition.Protobuf, Escaping: exposition.AllowUTF8}, Created: true,
		})
		require.NoError(t, err)
		read := map[string]*dto.MetricFamily{}
		decoder := expfmt.NewDecoder(strings.NewReader(string(body)), expfmt.NewFormat(expfmt.TypeProtoDelim).WithEscapingScheme(model.NoEscaping))
		for {
			f := &dto.MetricFamily{}
			err := decoder.Decode(f)
			if errors.Is(err, io.EOF) {
				break
			}
			require.NoError(t, err)
			read[f.GetName()] = f
		}
		require.Len(t, there, len(read))

		ours, err := convert.Families(there)
		require.NoError(t, err)
		again, err := convert.MetricFamilies(ours)
		require.NoError(t, err)
		require.Len(t, again, len(there))
		for i, f := range there {
			require.True(t, proto.Equal(read[f.GetName()], f), "seed %d", seed)
			if i > 0 {
				require.Less(t, there[i-1].GetName(), f.GetName())
			}
			require.Equal(t, text(inOrder(f)), text(again[i]), "seed %d", seed)
		}
	}
}

// inOrder sorts series by their labels, as Families does: those of a state set
// come in the order of its states.
func inOrder(f *dto.MetricFamily) *dto.MetricFamily {
	ours, err := convert.Families([]*dto.MetricFamily{f})
	if err != nil {
		panic(err)
	}
	out := proto.Clone(f).(*dto.MetricFamily)
	for i, s := range ours[0].Series {
		for _, m := range f.Metric {
			ls := map[string]string{}
			for _, l := range m.Label {
				ls[l.GetName()] = l.GetValue()
			}
			if metric.LabelsFromMap(ls).Equal(s.Labels) {
				out.Metric[i] = proto.Clone(m).(*dto.Metric)
			}
		}
		out.Metric[i].Label = nil
		for _, l := range s.Labels {
			out.Metric[i].Label = append(out.Metric[i].Label, &dto.LabelPair{Name: new(l.Name), Value: new(l.Value)})
		}
	}
	return out
}

func text(m proto.Message) string {
	return strings.Join(strings.Fields(prototext.Format(m)), " ")
}

// custom is a collector with every kind of metric that client_golang has.
type custom struct{ metrics []prometheus.Metric }

func (c custom) Describe(chan<- *prometheus.Desc) {} // unchecked

func (c custom) Collect(ch chan<- prometheus.Metric) {
	for _, m := range c.metrics {
		ch <- m
	}
}

func everyKind() custom {
	desc := func(name string) *prometheus.Desc {
		return prometheus.NewDesc(name, "Help of "+name, []string{"b", "a"}, prometheus.Labels{"zone": "1"})
	}
	began := time.Unix(1e9, 5)
	must := func(m prometheus.Metric, err error) prometheus.Metric {
		if err != nil {
			panic(err)
		}
		return m
	}
	counter := must(prometheus.NewConstMetricWithCreatedTimestamp(desc("c_total"), prometheus.CounterValue, 7, began, "x", "y"))
	histogram := must(prometheus.NewConstHistogramWithCreatedTimestamp(desc("h"), 5, 9.5, map[float64]uint64{1: 2, 2: 4}, began, "x", "y"))
	exemplar := prometheus.Exemplar{Value: 1.5, Labels: prometheus.Labels{"trace": "t"}, Timestamp: began}
	return custom{[]prometheus.Metric{
		must(prometheus.NewMetricWithExemplars(counter, exemplar)),
		must(prometheus.NewMetricWithExemplars(histogram, exemplar, prometheus.Exemplar{Value: 50, Timestamp: began})),
		prometheus.NewMetricWithTimestamp(began, prometheus.MustNewConstMetric(desc("g"), prometheus.GaugeValue, math.Inf(-1), "x", "y")),
		prometheus.MustNewConstMetric(desc("g"), prometheus.GaugeValue, 2, "", "y"),
		prometheus.MustNewConstMetric(desc("u"), prometheus.UntypedValue, math.NaN(), "x", "y"),
		must(prometheus.NewConstSummaryWithCreatedTimestamp(desc("s"), 3, 6, map[float64]float64{.5: 1, .9: math.NaN()}, began, "x", "y")),
	}}
}

// TestCollectors registers collectors of client_golang with a registry of ours:
// what it gathers is what a registry of client_golang does.
func TestCollectors(t *testing.T) {
	theirs := prometheus.NewPedanticRegistry()
	ours := registry.New(registry.Options{AutoDescribe: true})
	for _, c := range []prometheus.Collector{everyKind(), collectors.NewBuildInfoCollector()} {
		require.NoError(t, theirs.Register(c))
		from, err := convert.FromCollector(c)
		require.NoError(t, err)
		require.NoError(t, ours.Register(from))
		require.ErrorIs(t, ours.Register(convert.FromGatherer(theirs)), registry.ErrDuplicate)
	}
	want, err := theirs.Gather()
	require.NoError(t, err)
	got, err := convert.ToPrometheus(ours).Gather()
	require.NoError(t, err)
	require.Len(t, got, len(want))
	for i := range want {
		require.Equal(t, text(want[i]), text(got[i]))
	}

	// And what changes by itself: names and types only.
	runtime, err := convert.FromCollector(collectors.NewGoCollector())
	require.NoError(t, err)
	require.NoError(t, ours.Register(runtime))
	// A counter beside a gauge of nearly the same name keeps its name, not its type.
	families, err := convert.ToPrometheus(ours).Gather()
	require.NoError(t, err)
	found := map[string]dto.MetricType{}
	for _, f := range families {
		found[f.GetName()] = f.GetType()
	}
	for name, want := range map[string]dto.MetricType{
		"go_goroutines": dto.MetricType_GAUGE, "go_gc_duration_seconds": dto.MetricType_SUMMARY,
		"go_memstats_alloc_bytes": dto.MetricType_GAUGE, "go_memstats_alloc_bytes_total": dto.MetricType_UNTYPED,
		"go_memstats_mallocs_total": dto.MetricType_COUNTER,
	} {
		got, ok := found[name]
		require.True(t, ok, name)
		require.Equal(t, want, got, name)
	}
}

// TestNativeHistograms: a native histogram is there with its buckets, and comes back as it
// was.
func TestNativeHistograms(t *testing.T) {
	h := prometheus.NewHistogram(prometheus.HistogramOpts{Name: "h", Help: "h", NativeHistogramBucketFactor: 1.1})
	h.Observe(3)
	h.Observe(4)
	from, err := convert.FromCollector(h)
	require.NoError(t, err)
	families, err := from.Gather(context.Background())
	require.NoError(t, err)
	s := families[0].Series[0]
	require.Equal(t, []metric.Bucket{{UpperBound: math.Inf(1), Count: 2}}, s.Buckets)
	require.Equal(t, &metric.NativeHistogram{Schema: 3, ZeroThreshold: prometheus.DefNativeHistogramZeroThreshold,
		Positive: []metric.Span{{Offset: 13, Counts: []uint64{1, 0, 0, 1}}},
	}, s.Native)
	require.Equal(t, 7.0, s.Sum)
	require.WithinDuration(t, time.Now(), s.Created, time.Minute)

	empty := prometheus.NewHistogram(prometheus.HistogramOpts{Name: "empty", Help: "h", NativeHistogramBucketFactor: 2,
		NativeHistogramZeroThreshold: prometheus.NativeHistogramZeroThresholdZero})
	exemplars := prometheus.NewHistogram(prometheus.HistogramOpts{Name: "exemplars", Help: "h", Buckets: []float64{1, 10}, NativeHistogramBucketFactor: 1.1,
		NativeHistogramMaxExemplars: 5})
	for i := range 20 {
		exemplars.(prometheus.ExemplarObserver).ObserveWithExemplar(float64(i-5), prometheus.Labels{"trace": "t"})
	}
	theirs := prometheus.NewRegistry()
	theirs.MustRegister(h, empty, exemplars)
	want, err := theirs.Gather()
	require.NoError(t, err)
	ours := registry.New(registry.Options{})
	require.NoError(t, ours.Register(convert.FromGatherer(theirs)))
	got, err := convert.ToPrometheus(ours).Gather()
	require.NoError(t, err)
	require.Len(t, got, len(want))
	for i := range want {
		require.Equal(t, text(want[i]), text(got[i]))
	}

	for name, h := range map[string]*dto.Histogram{
		"schema of its native histogram is -53": {Schema: new(int32(-53)), ZeroThreshold: new(1.0)},
		"another number of buckets":             {Schema: new(int32(1)), PositiveSpan: []*dto.BucketSpan{{Length: new(uint32(3))}}, PositiveDelta: []int64{1}},
		"number of buckets than it has":         {Schema: new(int32(1)), NegativeSpan: []*dto.BucketSpan{{Length: new(uint32(1))}}, NegativeDelta: []int64{1, 1}},
	} {
		_, err := convert.Families([]*dto.MetricFamily{{Name: new("f"), Type: dto.MetricType_HISTOGRAM.Enum(), Metric: []*dto.Metric{{Histogram: h}}}})
		require.ErrorIs(t, err, convert.ErrUnsupported)
		require.ErrorContains(t, err, name)
	}
}

func TestErrors(t *testing.T) {
	_, err := convert.FromCollector(prometheus.NewCounter(prometheus.CounterOpts{Name: ""}))
	require.ErrorContains(t, err, "not a valid metric name")

	float := &dto.MetricFamily{Name: new("f"), Type: dto.MetricType_HISTOGRAM.Enum(), Metric: []*dto.Metric{{
		Histogram: &dto.Histogram{SampleCountFloat: new(1.5)},
	}}}
	good := &dto.MetricFamily{Name: new("a"), Type: dto.MetricType_GAUGE.Enum(), Metric: []*dto.Metric{{Gauge: &dto.Gauge{Value: new(1.0)}}}}
	families, err := convert.Families([]*dto.MetricFamily{float, good})
	require.ErrorIs(t, err, convert.ErrUnsupported)
	require.ErrorContains(t, err, `"f"`)
	require.Len(t, families, 1, "the rest is there")

	// What a gatherer could have is there beside its error, in both directions.
	broken := errors.New("the disk is gone")
	g := prometheus.GathererFunc(func() ([]*dto.MetricFamily, error) { return []*dto.MetricFamily{good}, broken })
	families, err = convert.FromGatherer(g).Gather(context.Background())
	require.ErrorIs(t, err, broken)
	require.Len(t, families, 1)
	there, err := convert.ToPrometheus(convert.FromGatherer(g)).Gather()
	require.ErrorIs(t, err, broken)
	require.Len(t, there, 1)
}

// TestMergedViewForTheirTools gives the merged view of three processes' files to
// promhttp, push and testutil.
func TestMergedViewForTheirTools(t *testing.T) {
	dir := t.TempDir()
	var view prometheus.Gatherer
	for i := range 3 {
		set := multiproc.NewSet(multiproc.SetOptions{Dir: dir})
		t.Cleanup(func() { require.NoError(t, set.Close()) })
		multiproc.MustNew(set.NewCounter(multiproc.CounterOpts{Name: "jobs_total", Help: "Jobs."})).Add(float64(i + 1))
		h := multiproc.MustNew(set.NewHistogramVec(multiproc.HistogramOpts{Name: "took_seconds", Help: "Time.", Buckets: []float64{1}}, []string{"kind"}))
		h.WithLabelValues("a").Observe(float64(i))
		multiproc.MustNew(set.NewInfo(multiproc.InfoOpts{Name: "build", Help: "Build."})).Set(multiproc.Labels{"version": "1"})
		if i == 2 {
			view = convert.ToPrometheus(registry.Merge(directory(t, dir), registry.New(registry.Options{TargetInfo: metric.MakeLabels("host", "h")})))
		}
	}
	want := `
# HELP build_info Build.
# TYPE build_info gauge
build_info{version="1"} 1
# HELP jobs_total Jobs.
# TYPE jobs_total counter
jobs_total 6
# HELP target_info Target metadata
# TYPE target_info gauge
target_info{host="h"} 1
# HELP took_seconds Time.
# TYPE took_seconds histogram
took_seconds_bucket{kind="a",le="1"} 2
took_seconds_bucket{kind="a",le="+Inf"} 3
took_seconds_sum{kind="a"} 3
took_seconds_count{kind="a"} 3
`
	names := []string{"build_info", "jobs_total", "target_info", "took_seconds"}
	require.NoError(t, testutil.GatherAndCompare(view, strings.NewReader(want), names...))
	problems, err := testutil.GatherAndLint(view, names...)
	require.NoError(t, err)
	require.Empty(t, problems)

	server := httptest.NewServer(promhttp.HandlerFor(view, promhttp.HandlerOpts{EnableOpenMetrics: true}))
	defer server.Close()
	require.NoError(t, testutil.ScrapeAndCompare(server.URL, strings.NewReader(want), names...))
	request, err := http.NewRequest(http.MethodGet, server.URL, nil)
	require.NoError(t, err)
	request.Header.Set("Accept", "application/openmetrics-text; version=1.0.0")
	response, err := http.DefaultClient.Do(request)
	require.NoError(t, err)
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	require.NoError(t, err)
	require.Contains(t, string(body), "\n# TYPE jobs counter\njobs_total 6.0\n")

	var pushed []string
	gateway := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		decoder := expfmt.NewDecoder(r.Body, expfmt.ResponseFormat(r.Header))
		for {
			var f dto.MetricFamily
			if err := decoder.Decode(&f); err != nil {
				break
			}
			require.True(t, model.UTF8Validation.IsValidMetricName(f.GetName()))
			pushed = append(pushed, f.GetName())
		}
	}))
	defer gateway.Close()
	require.NoError(t, push.New(gateway.URL, "job").Gatherer(view).Push())
	require.Subset(t, pushed, names)
}

func directory(t *testing.T, dir string) gather.Gatherer {
	a, err := aggregate.Open(dir, aggregate.Options{})
	require.NoError(t, err)
	return a
}
