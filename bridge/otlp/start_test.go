package otlp

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/multiprom/multiprom/bridge/delivery"
	"github.com/multiprom/multiprom/gather"
	"github.com/multiprom/multiprom/metric"
)

// TestStart: no point is older than its start time. A series may begin while the view is read.
func TestStart(t *testing.T) {
	const ms = 1_000_000
	at := time.Unix(0, 20*ms)
	c := newCollector(t, takes)
	e := exporter(t, Options{Options: delivery.Options{URL: c.URL, Now: func() time.Time { return at }}})
	f := &metric.Family{Name: "c", Type: metric.Counter, Series: []metric.Series{
		{Created: time.Unix(0, 20*ms)}, {Created: time.Unix(0, 21*ms)}, {Created: time.Unix(0, 31*ms)},
		{Created: time.Unix(0, 20*ms), Timestamp: time.Unix(0, 7*ms)},
	}}
	slow := gather.Func(func(context.Context) ([]*metric.Family, error) {
		at = at.Add(10 * time.Millisecond)
		return []*metric.Family{f}, nil
	})
	require.NoError(t, e.Push(t.Context(), slow))
	require.NoError(t, e.Push(t.Context(), slow))
	require.Equal(t, []string{"1:c_total,7:{1:{2:20000000,3:20000000,4:0}," +
		"1:{2:21000000,3:21000000,4:0},1:{3:20000000,4:0},1:{3:7000000,4:0},2:2,3:1}"}, c.all()[0])
	require.Equal(t, []string{"1:c_total,7:{1:{2:20000000,3:31000000,4:0}," +
		"1:{2:21000000,3:31000000,4:0},1:{2:31000000,3:31000000,4:0},1:{3:7000000,4:0},2:2,3:1}"}, c.all()[1])
}
