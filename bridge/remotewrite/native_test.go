package remotewrite

import (
	"context"
	"fmt"
	"math"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/encoding/protowire"

	"github.com/multiprom/multiprom/gather"
	"github.com/multiprom/multiprom/metric"
)

// nativeText sets g to a native histogram; integration/oracle has Prometheus' own decoder.
func nativeText(g *got, v []byte) {
	g.value = "native"
	fields(v, func(n protowire.Number, v []byte, bits uint64) error {
		switch n {
		case histogramSum:
			g.value += " sum=" + show(bits)
		case histogramTime:
			g.at = int64(bits)
		case histogramStart:
			g.start = int64(bits)
		default:
			if v == nil {
				g.value += fmt.Sprintf(" %d=%d", n, bits)
			} else {
				g.value += fmt.Sprintf(" %d=%x", n, v)
			}
		}
		return nil
	})
}

// natives has a histogram with only native buckets, and one with both kinds.
func natives() []*metric.Family {
	native := &metric.NativeHistogram{
		Schema: -1, ZeroThreshold: 0, ZeroCount: 1,
		Positive:  []metric.Span{{Offset: -2, Counts: []uint64{3, 1}}, {Offset: 4, Counts: []uint64{2}}},
		Exemplars: []*metric.Exemplar{{Value: 1}, trace("cd", 2), trace("ab", 1)},
	}
	return []*metric.Family{
		{Name: "both", Type: metric.Histogram, Series: []metric.Series{{Count: 7, Sum: 2, Native: native, Buckets: metric.Cumulate([]float64{1}, []uint64{4, 3})}}},
		{Name: "only", Help: "O.", Type: metric.Histogram, Series: []metric.Series{{
			Labels: metric.MakeLabels("A", "x", "z", "y"), Count: 7, Sum: math.NaN(), Created: began, Native: native, Buckets: metric.Cumulate(nil, []uint64{7}),
		}}},
	}
}

const (
	// Spans at -2 of 2 and 4 further on of 1, deltas 3, -2 and 1.
	rest        = " 4=1 5=0 6=1 11=08031002 11=08081001 12=060302"
	bothLine    = "both native 1=7 sum=2" + rest
	onlyLine    = `only{A="x",z="y"} native 1=7 sum=NaN` + rest
	bothClassic = "both_bucket{le=\"1.0\"} 4|both_bucket{le=\"+Inf\"} 7|both_sum 2|both_count 7"
	onlyClassic = `only_bucket{A="x",le="+Inf",z="y"} 7|only_sum{A="x",z="y"} NaN|only_count{A="x",z="y"} 7`
)

func TestNativeHistograms(t *testing.T) {
	for _, tt := range []struct{ protocol, native, want string }{
		{"2.0", "", bothLine + "|" + bothClassic + "|" + onlyLine},
		{"2.0", "auto", bothLine + "|" + bothClassic + "|" + onlyLine},
		{"2.0", "never", bothClassic + "|" + onlyClassic},
		{"1.0", "auto", bothClassic + "|" + onlyClassic},
		{"1.0", "always", bothLine + "|" + bothClassic + "|" + onlyLine},
	} {
		r := newReceiver(t, takes)
		opts := Options{Protocol: tt.protocol, NativeHistograms: tt.native}
		opts.URL, opts.Now = r.URL, clock
		w := writer(t, opts)
		require.NoError(t, w.Push(t.Context(), of(natives()...)))
		require.Equal(t, tt.want, strings.Join(lines(r.all()[0]), "|"), tt)
		for _, s := range r.all()[0].samples {
			switch {
			case s.series == `only{A="x",z="y"}` && tt.protocol == "2.0":
				require.Equal(t, began.UnixMilli(), s.start)
				require.Equal(t, "3,O.", s.meta)
				fallthrough
			case s.series == `only{A="x",z="y"}`:
				require.EqualValues(t, now, s.at)
				require.Equal(t, fmt.Sprintf("trace_id=cd 2@%d", now-1), s.exemplar, "the newest one")
			}
		}
		require.Zero(t, own(t, w, "dropped_samples", "refused"))
	}
}

// TestNativeFallback: what was encoded in 2.0 arrives in 1.0 as if it had been encoded so.
func TestNativeFallback(t *testing.T) {
	for native, want := range map[string]string{
		"auto":   bothClassic + "|" + onlyClassic,
		"always": bothLine + "|" + bothClassic + "|" + onlyLine,
	} {
		r := newReceiver(t, takes1)
		opts := Options{NativeHistograms: native}
		opts.URL, opts.Now = r.URL, clock
		w := writer(t, opts)
		require.NoError(t, w.Push(t.Context(), of(natives()...)))
		all := r.all()
		require.Len(t, all, 2)
		require.Equal(t, "0.1.0", all[1].version)
		require.Equal(t, want, strings.Join(lines(all[1]), "|"))
		for _, s := range all[1].samples {
			require.EqualValues(t, now, s.at)
			require.Zero(t, s.start)
		}
	}
}

func TestNativeStaleness(t *testing.T) {
	for _, native := range []string{"always", "never"} {
		r := newReceiver(t, takes)
		opts := Options{NativeHistograms: native}
		opts.URL, opts.Now = r.URL, clock
		w := writer(t, opts)
		stale := func(families ...*metric.Family) string {
			t.Helper()
			before := len(r.all())
			require.NoError(t, w.Push(t.Context(), of(families...)))
			var out []string
			for _, l := range lines(r.all()[before:]...) {
				if strings.Contains(l, "stale") {
					out = append(out, l)
				}
			}
			return strings.Join(out, "|")
		}
		other := &metric.Family{Name: "other", Type: metric.Gauge, Series: []metric.Series{{}}}
		require.Empty(t, stale(natives()...))
		families := natives()
		families[0].Series[0].Native = nil // only its native buckets go
		if native == "always" {
			require.Equal(t, "both native sum=stale", stale(families...))
			require.Equal(t, `both_bucket{le="1.0"} stale|both_bucket{le="+Inf"} stale|both_sum stale|both_count stale|only{A="x",z="y"} native sum=stale`, stale(other))
			continue
		}
		require.Empty(t, stale(families...))
		require.Contains(t, stale(other), `only_bucket{A="x",le="+Inf",z="y"} stale|only_sum{A="x",z="y"} stale|only_count{A="x",z="y"} stale`)
	}
}

// TestNativeQueue: rounds that were written while the receiver was down have native buckets too.
func TestNativeQueue(t *testing.T) {
	var up atomic.Bool
	r := newReceiver(t, func(n int, q request, w http.ResponseWriter) {
		if up.Load() {
			takes(n, q, w)
		} else {
			w.WriteHeader(http.StatusServiceUnavailable)
		}
	})
	opts := Options{}
	opts.URL, opts.Interval, opts.MaxBackoff, opts.QueueDir = r.URL, 2*time.Millisecond, time.Millisecond, t.TempDir()
	w := writer(t, opts)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- w.Run(ctx, gather.Func(of(natives()...))) }()
	require.Eventually(t, func() bool { return own(t, w, "queue_rounds") > 5 }, 30*time.Second, time.Millisecond)
	down := len(r.all())
	up.Store(true)
	require.Eventually(t, func() bool { return len(r.all()) > down+5 }, 30*time.Second, time.Millisecond)
	cancel()
	require.NoError(t, <-ended)
	rounds := r.all()[down:]
	for _, q := range rounds[:5] {
		require.Contains(t, lines(q), onlyLine)
	}
	require.Contains(t, lines(rounds[len(rounds)-1]), `only{A="x",z="y"} native sum=stale`)
	require.Zero(t, own(t, w, "dropped_samples", "refused"))
}

// TestNativeExemplars: of those of a series each is sent once, in order, since Prometheus refuses a
// request with one that is older than what it has, or of the same millisecond and smaller.
func TestNativeExemplars(t *testing.T) {
	at := time.UnixMilli(now)
	var held []*metric.Exemplar
	add := func(after time.Duration, v float64) {
		x := trace(fmt.Sprint(v), v)
		x.Timestamp = at.Add(after)
		held = append([]*metric.Exemplar{x}, held...) // in any order
	}
	answer := http.StatusNoContent
	var got []string
	r := newReceiver(t, func(n int, r request, w http.ResponseWriter) {
		if answer != http.StatusServiceUnavailable {
			for _, s := range r.samples {
				got = append(got, strings.Fields(s.exemplar)...)
			}
		}
		w.Header().Set(writtenHistograms, "1")
		w.WriteHeader(answer)
	})
	opts := Options{}
	opts.URL, opts.Timeout, opts.Now = r.URL, time.Minute, func() time.Time { return at }
	w := writer(t, opts)
	push := func(ctx context.Context) (sent []string) {
		got = nil
		h := &metric.NativeHistogram{Positive: []metric.Span{{Counts: []uint64{1}}}, Exemplars: held}
		w.Push(ctx, of(&metric.Family{Name: "h", Type: metric.Histogram, Series: []metric.Series{{
			Count: 1, Sum: 1, Native: h, Buckets: []metric.Bucket{{UpperBound: math.Inf(1), Count: 1}},
		}}}))
		for i := 0; i < len(got); i += 2 {
			sent = append(sent, got[i])
		}
		return sent
	}
	add(-3*time.Second, 1)
	add(-2*time.Second, 2)
	require.Equal(t, []string{"trace_id=2"}, push(t.Context()), "an earlier process may have sent the others")
	require.Empty(t, push(t.Context()))
	add(10*time.Millisecond, 6)
	require.Empty(t, push(t.Context()), "it is newer than the round")
	at = at.Add(time.Second)
	add(-500*time.Millisecond, 4)
	add(-500*time.Millisecond+time.Microsecond, 3) // in the same millisecond
	add(-600*time.Millisecond, 5)
	answer = http.StatusServiceUnavailable
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	push(ctx)
	answer = http.StatusBadRequest
	at = at.Add(time.Millisecond)
	require.Equal(t, []string{"trace_id=6", "trace_id=5", "trace_id=3"}, push(t.Context()), "what was not answered is sent again")
	require.Empty(t, push(t.Context()), "what was refused is not")
}
