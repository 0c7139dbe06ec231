package publish

import (
	"math"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/multiprom/multiprom/metric"
	"github.com/multiprom/multiprom/multiproc"
	"github.com/multiprom/multiprom/registry"
)

// TestExemplars: those of counters and buckets get through, with their time;
// publishing one again does not make it newer.
func TestExemplars(t *testing.T) {
	set := multiproc.NewSet(multiproc.SetOptions{})
	src := &scripted{}
	now := t0
	p := start(t, Options{Source: src, Set: set, Now: func() time.Time { return now }})
	exemplar := func(id string, v float64, at time.Time) *metric.Exemplar {
		return &metric.Exemplar{Labels: metric.Labels{{Name: "trace", Value: id}, {Name: "span", Value: "s"}}, Value: v, Timestamp: at}
	}
	type shown struct {
		trace string
		value float64
		at    time.Time
	}
	publish := func(counter, low, high *metric.Exemplar) [3]shown {
		src.say(nil,
			fam("c", metric.Counter, metric.Series{Value: 1, Exemplar: counter}),
			fam("h", metric.Histogram, metric.Series{Count: 2, Buckets: []metric.Bucket{
				{UpperBound: 1, Count: 1, Exemplar: low}, {UpperBound: math.Inf(1), Count: 2, Exemplar: high},
			}}))
		require.NoError(t, p.Publish(t.Context()))
		got := gatherFrom(t, registry.Instruments(set))
		var out [3]shown
		h := only(t, got["h"]).Buckets
		for i, x := range []*metric.Exemplar{only(t, got["c"]).Exemplar, h[0].Exemplar, h[1].Exemplar} {
			if x != nil {
				trace, _ := x.Labels.Get("trace")
				out[i] = shown{trace, x.Value, x.Timestamp.UTC()}
			}
		}
		return out
	}
	first, second := t0.UTC(), t0.Add(time.Second).UTC()
	own := time.Unix(1_600_000_000, 0).UTC()
	require.Equal(t, [3]shown{{"a", 1, first}, {}, {"b", 5, own}}, publish(exemplar("a", 1, time.Time{}), nil, exemplar("b", 5, own)))
	now = second
	require.Equal(t, [3]shown{{"a", 1, first}, {"c", 0.5, second}, {"b", 5, own}},
		publish(exemplar("a", 1, time.Time{}), exemplar("c", 0.5, time.Time{}), exemplar("b", 5, own)))
	require.Equal(t, [3]shown{{"d", 1, second}, {"c", 0.5, second}, {"b", 5, own}},
		publish(exemplar("d", 1, time.Time{}), exemplar(strings.Repeat("x", 200), 0.5, time.Time{}), &metric.Exemplar{}))
	got := gatherFrom(t, registry.Instruments(set))
	require.Equal(t, 1.0, only(t, got["multiprom_invalid_updates"]).Value, "the one that is too long")

	src.say(nil)
	require.NoError(t, p.Publish(t.Context()))
	require.Equal(t, [3]shown{{"d", 1, second}, {}, {}}, publish(exemplar("d", 1, time.Time{}), nil, nil), "a series that comes back")
}
