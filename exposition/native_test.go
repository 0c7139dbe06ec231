package exposition

import (
	"math"
	"testing"
	"time"

	dto "github.com/prometheus/client_model/go"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/encoding/prototext"
	"google.golang.org/protobuf/proto"

	"github.com/multiprom/multiprom/metric"
)

// What each format has of a histogram with native buckets.
func TestNativeHistogram(t *testing.T) {
	at := time.Unix(7, 0)
	native := func() *metric.NativeHistogram {
		return &metric.NativeHistogram{
			Schema: -1, ZeroThreshold: 0.5, ZeroCount: 1,
			Positive:  []metric.Span{{Offset: -2, Counts: []uint64{3, 1}}, {Offset: 4, Counts: []uint64{2}}},
			Negative:  []metric.Span{{Offset: 1, Counts: []uint64{1}}},
			Exemplars: []*metric.Exemplar{{Value: 1}, {Value: 2, Timestamp: at}},
		}
	}
	only := []metric.Bucket{{UpperBound: math.Inf(1), Count: 8}}
	both := []metric.Bucket{{UpperBound: 1, Count: 5}, {UpperBound: math.Inf(1), Count: 8}}
	marked := []metric.Bucket{{UpperBound: math.Inf(1), Count: 8, Exemplar: &metric.Exemplar{Value: 9, Timestamp: time.Unix(6, 0)}}}

	const composite = "count:8,sum:2,schema:-1,zero_threshold:0.5,zero_count:1,negative_spans:[1:1],negative_buckets:[1],positive_spans:[-2:2,4:1],positive_buckets:[3,1,2]"
	const spans = `schema: -1 zero_threshold: 0.5 zero_count: 1
		negative_span: {offset: 1 length: 1} negative_delta: 1
		positive_span: {offset: -2 length: 2} positive_span: {offset: 4 length: 1} positive_delta: 3 positive_delta: -2 positive_delta: 1
		exemplars: {value: 2 timestamp: {seconds: 7}}`
	for name, tt := range map[string]struct {
		typ    metric.Type
		series metric.Series
		text   string
		second string // in OpenMetrics 2.0
		want   string
	}{
		"native buckets only": {metric.Histogram, metric.Series{Count: 8, Sum: 2, Buckets: only, Native: native()},
			"# TYPE x histogram\nx_bucket{le=\"+Inf\"} 8\nx_sum 2\nx_count 8\n",
			"{" + composite + "} # {} 2 7",
			"sample_count: 8 sample_sum: 2 " + spans},
		"classic ones too": {metric.Histogram, metric.Series{Count: 8, Sum: 2, Buckets: both, Native: native()},
			"# TYPE x histogram\nx_bucket{le=\"1\"} 5\nx_bucket{le=\"+Inf\"} 8\nx_sum 2\nx_count 8\n",
			"{" + composite + ",bucket:[1.0:5,+Inf:8]} # {} 2 7",
			"sample_count: 8 sample_sum: 2 bucket: {cumulative_count: 5 upper_bound: 1} bucket: {cumulative_count: 8 upper_bound: inf} " + spans},
		"an exemplar of +Inf": {metric.Histogram, metric.Series{Count: 8, Sum: 2, Buckets: marked, Native: native()},
			"# TYPE x histogram\nx_bucket{le=\"+Inf\"} 8\nx_sum 2\nx_count 8\n",
			"{" + composite + "} # {} 9 6 # {} 2 7",
			"sample_count: 8 sample_sum: 2 bucket: {cumulative_count: 8 upper_bound: inf exemplar: {value: 9 timestamp: {seconds: 6}}} " + spans},
		"nothing observed": {metric.Histogram, metric.Series{Buckets: []metric.Bucket{{UpperBound: math.Inf(1)}}, Native: &metric.NativeHistogram{}},
			"# TYPE x histogram\nx_bucket{le=\"+Inf\"} 0\nx_sum 0\nx_count 0\n",
			"{count:0,sum:0,schema:0,zero_threshold:0,zero_count:0}",
			"sample_count: 0 sample_sum: 0 schema: 0 zero_threshold: 0 zero_count: 0 positive_span: {offset: 0 length: 0}"},
		"a gauge histogram has none": {metric.GaugeHistogram, metric.Series{Count: 8, Sum: 2, Buckets: only, Native: native()},
			"# TYPE x histogram\nx_bucket{le=\"+Inf\"} 8\n# TYPE x_gcount gauge\nx_gcount 8\n# TYPE x_gsum gauge\nx_gsum 2\n",
			"{gcount:8,gsum:2,bucket:[+Inf:8]}",
			"sample_count: 8 sample_sum: 2 bucket: {cumulative_count: 8 upper_bound: inf}"},
	} {
		t.Run(name, func(t *testing.T) {
			f := []*metric.Family{{Name: "x", Type: tt.typ, Series: []metric.Series{tt.series}}}
			text, err := Append(nil, f, Options{})
			require.NoError(t, err)
			require.Equal(t, tt.text, string(text))

			text, err = Append(nil, f, Options{ContentType: ContentType{Format: OpenMetrics200}})
			require.NoError(t, err)
			require.Equal(t, "# TYPE x "+tt.typ.String()+"\nx "+tt.second+"\n# EOF\n", string(text))

			data, err := Append(nil, f, protobuf)
			require.NoError(t, err)
			var want dto.Histogram
			require.NoError(t, prototext.Unmarshal([]byte(tt.want), &want))
			got := decoded(t, data, protobuf.ContentType)[0].Metric[0].Histogram
			require.True(t, proto.Equal(&want, got), "want %v\ngot  %v", &want, got)
		})
	}
}
