package exposition

import (
	"errors"
	"math"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/multiprom/multiprom/metric"
)

func TestOpenMetrics2(t *testing.T) {
	at := time.Unix(7, 500)
	exemplar := &metric.Exemplar{Labels: metric.MakeLabels("id", "x"), Value: 0.5, Timestamp: at}
	timeless := &metric.Exemplar{Value: 1}
	inf := math.Inf(1)
	for name, tt := range map[string]struct {
		family  metric.Family
		want    string
		lenient string // what is left out otherwise
		omitted int
	}{
		"counter": {family: metric.Family{Name: "x_seconds", Unit: "seconds", Help: "h", Type: metric.Counter, Series: []metric.Series{{Value: 1.5, Created: at, Exemplar: exemplar}}},
			want: "# TYPE x_seconds_total counter\n# UNIT x_seconds_total seconds\n# HELP x_seconds_total h\nx_seconds_total 1.5 st@7.0000005 # {id=\"x\"} 0.5 7.0000005\n"},
		"an exemplar without a time": {family: metric.Family{Name: "x", Type: metric.Counter, Series: []metric.Series{{Timestamp: at, Created: at, Exemplar: timeless}}},
			want: "# TYPE x_total counter\nx_total 0 7.0000005 st@7.0000005\n"},
		"negative counter": {family: metric.Family{Name: "x", Type: metric.Counter, Series: []metric.Series{{Value: -1}}},
			want: "# TYPE x_total counter\n", lenient: "x_total -1\n", omitted: 1},
		"NaN counter": {family: metric.Family{Name: "x", Type: metric.Counter, Series: []metric.Series{{Value: math.NaN()}}},
			want: "# TYPE x_total counter\n", omitted: 1},
		"info": {family: metric.Family{Name: "x", Type: metric.Info, Series: []metric.Series{{Labels: metric.MakeLabels("a", "b")}}},
			want: "# TYPE x_info info\nx_info{a=\"b\"} 1\n"},
		"state set": {family: metric.Family{Name: "x", Type: metric.StateSet, Series: []metric.Series{{States: []metric.State{{Name: "a", On: true}}}}},
			want: "# TYPE x stateset\nx{x=\"a\"} 1\n"},
		"unknown": {family: metric.Family{Name: "x", Type: metric.Unknown, Series: []metric.Series{{Value: math.NaN(), Created: at}}},
			want: "# TYPE x unknown\nx NaN\n"},
		"summary": {family: metric.Family{Name: "x", Type: metric.Summary, Series: []metric.Series{{Count: 3, Sum: 2, Created: at, Quantiles: []metric.Quantile{{Q: 0.5, Value: 1}, {Q: 0.9, Value: math.NaN()}, {Q: 2, Value: 1}}}}},
			want: "# TYPE x summary\nx {count:3,sum:2,quantile:[0.5:1,0.9:NaN]} st@7.0000005\n"},
		"summary without a sum": {family: metric.Family{Name: "x", Type: metric.Summary, Series: []metric.Series{{Count: 3, NoSum: true, Quantiles: []metric.Quantile{{Q: 0.5, Value: -1}}}}},
			want: "# TYPE x summary\n", lenient: "x {count:3,sum:NaN,quantile:[0.5:-1]}\n", omitted: 1},
		"histogram": {family: metric.Family{Name: "x", Type: metric.Histogram, Series: []metric.Series{{Count: 3, Sum: -2, Created: at,
			Buckets: []metric.Bucket{{UpperBound: -1, Count: 1}, {UpperBound: 1, Count: 2, Exemplar: exemplar}, {UpperBound: inf, Count: 3, Exemplar: timeless}}}}},
			want: "# TYPE x histogram\nx {count:3,sum:-2,bucket:[-1.0:1,1.0:2,+Inf:3]} st@7.0000005 # {id=\"x\"} 0.5 7.0000005\n"},
		"histogram without sum and +Inf": {family: metric.Family{Name: "x", Type: metric.Histogram, Series: []metric.Series{{Count: 3, NoSum: true}}},
			want: "# TYPE x histogram\nx {count:3,sum:NaN,bucket:[+Inf:3]}\n"},
		"too many observations for a server": {family: metric.Family{Name: "x", Type: metric.Histogram, Series: []metric.Series{{Count: 1<<53 + 1, Native: &metric.NativeHistogram{ZeroCount: 1<<53 + 1}}}},
			want: "# TYPE x histogram\nx {count:9007199254740993,sum:0,bucket:[+Inf:9007199254740993]}\n"},
		"quoted names": {family: metric.Family{Name: "x.y", Help: "a\nb", Type: metric.Histogram, Series: []metric.Series{{Labels: metric.MakeLabels("a.b", "c")}}},
			want: "# TYPE \"x.y\" histogram\n# HELP \"x.y\" a\\nb\n{\"x.y\",\"a.b\"=\"c\"} {count:0,sum:0,bucket:[+Inf:0]}\n"},
	} {
		t.Run(name, func(t *testing.T) {
			opts := Options{ContentType: ContentType{OpenMetrics200, AllowUTF8}, Created: true}
			text, err := Append(nil, []*metric.Family{&tt.family}, opts)
			omission := &OmissionError{}
			if !errors.As(err, &omission) {
				require.NoError(t, err)
			}
			require.Equal(t, tt.want+"# EOF\n", string(text))
			require.Equal(t, tt.omitted, omission.Values)

			opts.Lenient = true
			text, _ = Append(nil, []*metric.Family{&tt.family}, opts)
			require.Equal(t, tt.want+tt.lenient+"# EOF\n", string(text))
		})
	}
}
