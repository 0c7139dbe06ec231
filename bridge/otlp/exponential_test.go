package otlp

import (
	"math"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/encoding/protowire"

	"github.com/multiprom/multiprom/internal/histogram"
	"github.com/multiprom/multiprom/metric"
)

// Infinities and NaN have no place in OTLP. integration/oracle compares whole points with
// OpenTelemetry's own messages.
func TestExponentialIsFinite(t *testing.T) {
	_, infinite := histogram.Range(0)
	s := &metric.Series{Count: 7, Sum: math.Inf(1), Native: &metric.NativeHistogram{
		ZeroCount: 1,
		Positive:  []metric.Span{{Offset: int(infinite) - 1, Counts: []uint64{2, 3}}}, // of the largest numbers, and +Inf
	}}
	e := &encoder{kind: nativeKind, now: uint64(time.Unix(1, 0).UnixNano())}
	shape := map[string]string{".8.2": "x"}
	require.Equal(t, "3:1000000000,4:3,6:0,7:1,8:{1:2046,2:02},14:0", tree(t, e.exponential(s, false), shape, ""), "count 3, no sum, offset 1023")
	require.Equal(t, "3:1000000000,10:1", tree(t, e.exponential(s, true), shape, ""))

	s.Sum, s.Native.Positive[0].Counts[1] = 5, 0
	require.Contains(t, tree(t, e.exponential(s, false), map[string]string{".5": "f", ".8.2": "x"}, ""), ",5:5,")
}

// The scale is lowered if there are too many buckets between the first and the last one, but no
// more than needed, and no observation is lost.
func TestExponentialIsDense(t *testing.T) {
	for schema := histogram.MinSchema; schema <= histogram.MaxSchema; schema++ {
		first, last := histogram.Range(schema)
		h := &metric.NativeHistogram{Schema: schema, Negative: []metric.Span{
			{Offset: int(first), Counts: []uint64{1}}, {Offset: int(last) - int(first) - 2, Counts: []uint64{1}},
		}}
		d := finite(schema, h.Negative)
		require.EqualValues(t, 2, d.total())
		want := schema
		for w := d; w.width() > mostDense; want-- {
			w = w.coarser()
			for i, b := range w { // the same values
				x := histogram.Of(schema).Upper(d[i].index)
				require.Equal(t, histogram.Of(want-1).Index(x), b.index)
			}
		}
		require.LessOrEqual(t, want, min(schema, -1), "schema 0 has more than 2,000 buckets")
		e := &encoder{kind: nativeKind}
		point := e.exponential(&metric.Series{Count: 2, Native: h}, false)
		scale := int64(-1 << 10)
		each(t, point, func(n protowire.Number, _ []byte, bits uint64) {
			if n == exponentialScale {
				scale = int64(bits>>1) ^ -int64(bits&1)
			}
		})
		require.EqualValues(t, want, scale)
	}
}
