package remotewrite

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"net/http"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/multiprom/multiprom/exposition"
	"github.com/multiprom/multiprom/gather"
	"github.com/multiprom/multiprom/metric"
)

var began = time.UnixMilli(1_600_000_000_123)

const now = 1_700_000_000_456

func clock() time.Time { return time.UnixMilli(now) }

func trace(id string, v float64) *metric.Exemplar {
	return &metric.Exemplar{Labels: metric.MakeLabels("trace_id", id), Value: v, Timestamp: time.UnixMilli(now - 1)}
}

// everyType has a family of each type.
func everyType() []*metric.Family {
	path := metric.MakeLabels("Path", "/é", "z", "1", "empty", "")
	return []*metric.Family{
		{Name: "g", Help: "G.", Type: metric.Gauge, Series: []metric.Series{{Value: math.NaN()}, {Labels: metric.MakeLabels("at", "own"), Value: 1, Timestamp: time.UnixMilli(5)}}},
		{Name: "gh", Type: metric.GaugeHistogram, Series: []metric.Series{{Count: 2, Sum: -1, Buckets: metric.Cumulate([]float64{1}, []uint64{1, 1})}}},
		{Name: "h_seconds", Help: "H.", Unit: "seconds", Type: metric.Histogram, Series: []metric.Series{{
			Labels: path, Count: 3, Sum: 4.5, Created: began,
			Buckets: []metric.Bucket{{UpperBound: 1, Count: 1, Exemplar: trace("ab", 0.5)}, {UpperBound: math.Inf(1), Count: 3}},
		}}},
		{Name: "i", Type: metric.Info, Series: []metric.Series{{Labels: metric.MakeLabels("version", "2"), Value: 1}}},
		{Name: "q", Type: metric.Summary, Series: []metric.Series{{Count: 1, NoSum: true, Quantiles: []metric.Quantile{{Q: 0.5, Value: 7}}}}},
		{Name: "requests", Help: "R.", Type: metric.Counter, Series: []metric.Series{{Labels: path, Value: 12, Created: began, Exemplar: trace("cd", 1)}}},
		{Name: "s", Type: metric.StateSet, Series: []metric.Series{{States: []metric.State{{Name: "on", On: true}, {Name: "off"}}}}},
		{Name: "u", Type: metric.Unknown, Series: []metric.Series{{Value: -2.5}}},
	}
}

func of(families ...*metric.Family) gather.Func {
	return func(context.Context) ([]*metric.Family, error) { return families, nil }
}

// TestEveryType compares all that is sent, in both versions.
func TestEveryType(t *testing.T) {
	for _, version := range []string{"2.0", "1.0"} {
		t.Run(version, func(t *testing.T) {
			r := newReceiver(t, takes)
			opts := Options{Protocol: version, Labels: map[string]string{"job": "j", "instance": "", "empty": "no more"}}
			opts.URL, opts.Now = r.URL, clock
			require.NoError(t, writer(t, opts).Push(t.Context(), of(everyType()...)))
			const m = now
			start := began.UnixMilli()
			want := []got{
				{`g{empty="no more",job="j"}`, "NaN", m, 0, "", "2,G."},
				{`g{at="own",empty="no more",job="j"}`, "1", 5, 0, "", "2,G."},
				{`gh_bucket{empty="no more",job="j",le="1.0"}`, "1", m, 0, "", "4"},
				{`gh_bucket{empty="no more",job="j",le="+Inf"}`, "2", m, 0, "", "4"},
				{`gh_gsum{empty="no more",job="j"}`, "-1", m, 0, "", "4"},
				{`gh_gcount{empty="no more",job="j"}`, "2", m, 0, "", "4"},
				{`h_seconds_bucket{Path="/é",empty="no more",job="j",le="1.0",z="1"}`, "1", m, start, "trace_id=ab 0.5@1700000000455", "3,H.,seconds"},
				{`h_seconds_bucket{Path="/é",empty="no more",job="j",le="+Inf",z="1"}`, "3", m, start, "", "3,H.,seconds"},
				{`h_seconds_sum{Path="/é",empty="no more",job="j",z="1"}`, "4.5", m, start, "", "3,H.,seconds"},
				{`h_seconds_count{Path="/é",empty="no more",job="j",z="1"}`, "3", m, start, "", "3,H.,seconds"},
				{`i_info{empty="no more",job="j",version="2"}`, "1", m, 0, "", "6"},
				{`q{empty="no more",job="j",quantile="0.5"}`, "7", m, 0, "", "5"},
				{`q_count{empty="no more",job="j"}`, "1", m, 0, "", "5"},
				{`requests_total{Path="/é",empty="no more",job="j",z="1"}`, "12", m, start, "trace_id=cd 1@1700000000455", "1,R."},
				{`s{empty="no more",job="j",s="on"}`, "1", m, 0, "", "7"},
				{`s{empty="no more",job="j",s="off"}`, "0", m, 0, "", "7"},
				{`u{empty="no more",job="j"}`, "-2.5", m, 0, "", "0"},
			}
			requests := r.all()
			require.Equal(t, "application/x-protobuf"+map[string]string{"2.0": ";proto=io.prometheus.write.v2.Request"}[version], requests[0].header.Get("Content-Type"))
			require.Equal(t, "snappy", requests[0].header.Get("Content-Encoding"))
			if version == "1.0" {
				require.Equal(t, "0.1.0", requests[0].version)
				for i := range want {
					want[i].start, want[i].meta = 0, ""
				}
				require.Len(t, requests, 2)
				require.Equal(t, []string{"2,g,G.", "4,gh,", "3,h_seconds,H.,seconds", "6,i_info,", "5,q,", "1,requests_total,R.", "7,s,", "0,u,"}, requests[1].metadata)
			} else {
				require.Equal(t, "2.0.0", requests[0].version)
				require.Len(t, requests, 1)
			}
			require.Equal(t, want, requests[0].samples)
		})
	}
}

// TestNames: 2.0 has any name. In 1.0 they are escaped, and of two that become equal the first
// is sent.
func TestNames(t *testing.T) {
	odd := func() gather.Func {
		return of(
			&metric.Family{Name: "a.b", Type: metric.Counter, Series: []metric.Series{{Labels: metric.MakeLabels("x.y", "1"), Value: 1}, {Labels: metric.MakeLabels("x_y", "1"), Value: 2}}},
			&metric.Family{Name: "a_b", Type: metric.Counter, Series: []metric.Series{{Value: 3}}},
			&metric.Family{Name: "le", Type: metric.Histogram, Series: []metric.Series{{Labels: metric.MakeLabels("le", "mine", "v", "\xff"), Count: 4}}},
		)
	}
	two := []string{`a.b_total{x.y="1"} 1`, `a.b_total{x_y="1"} 2`, `a_b_total 3`, `le_bucket{le="+Inf",v="` + "�" + `"} 4`, `le_sum{v="` + "�" + `"} 0`, `le_count{v="` + "�" + `"} 4`}
	one := []string{`a_b_total{x_y="1"} 1`, `le_bucket{le="+Inf",v="` + "�" + `"} 4`, `le_sum{v="` + "�" + `"} 0`, `le_count{v="` + "�" + `"} 4`}
	r := newReceiver(t, takes)
	opts := Options{Protocol: "2.0"}
	opts.URL = r.URL
	require.NoError(t, writer(t, opts).Push(t.Context(), odd()))
	require.Equal(t, two, lines(r.all()...))

	r = newReceiver(t, takes1)
	opts.URL, opts.Protocol = r.URL, "1.0"
	w := writer(t, opts)
	left := (*exposition.OmissionError)(nil)
	require.ErrorAs(t, w.Push(t.Context(), odd()), &left)
	require.Equal(t, exposition.OmissionError{Names: []string{"a_b"}, Series: 1}, *left)
	require.Equal(t, one, lines(r.all()[0]))
	// The series that was left out leaves: the one that was sent gets no marker.
	require.NoError(t, w.Push(t.Context(), of(&metric.Family{Name: "a.b", Type: metric.Counter, Series: []metric.Series{{Labels: metric.MakeLabels("x.y", "1"), Value: 5}}})))
	require.Equal(t, []string{`a_b_total{x_y="1"} 5`, `le_bucket{le="+Inf",v="` + "�" + `"} stale`}, lines(r.all()[2])[:2])

	// What a receiver of 1.0 got in 2.0 is escaped when it is converted.
	r = newReceiver(t, takes1)
	opts.URL, opts.Protocol = r.URL, "auto"
	require.NoError(t, writer(t, opts).Push(t.Context(), odd()))
	require.Equal(t, two, lines(r.all()[0]))
	require.Equal(t, append([]string{one[0], "a_b_total 3"}, one[1:]...), lines(r.all()[1]))
}

// TestFallback: a receiver that does not take 2.0, or does not say that it has, gets the same
// in 1.0, and 1.0 from then on.
func TestFallback(t *testing.T) {
	for name, answer := range map[string]func(int, request, http.ResponseWriter){
		"415": func(_ int, r request, w http.ResponseWriter) {
			if r.version == "2.0.0" {
				w.WriteHeader(http.StatusUnsupportedMediaType)
			}
		},
		"no Written headers": takes1,
	} {
		t.Run(name, func(t *testing.T) {
			r := newReceiver(t, answer)
			opts := Options{}
			opts.URL, opts.MaxSamples, opts.Now = r.URL, 10, clock
			w := writer(t, opts)
			require.NoError(t, w.Push(t.Context(), of(everyType()...)))
			versions := func() (out []string) {
				for _, q := range r.all() {
					out = append(out, q.version)
				}
				return out
			}
			require.Equal(t, []string{"2.0.0", "0.1.0", "2.0.0", "0.1.0"}, versions(), "each batch was encoded already")
			all := r.all()
			for i := 0; i < 4; i += 2 {
				want := all[i].samples
				for j := range want {
					want[j].start, want[j].meta = 0, ""
				}
				require.Equal(t, want, all[i+1].samples)
			}
			require.NoError(t, w.Push(t.Context(), of(everyType()...)))
			require.Equal(t, []string{"0.1.0", "0.1.0", "0.1.0"}, versions()[4:], "and the metadata")
			require.Equal(t, 34.0, own(t, w, "sent_samples"))
		})
	}
	r := newReceiver(t, takes1)
	opts := Options{Protocol: "2.0"}
	opts.URL = r.URL
	w := writer(t, opts)
	require.NoError(t, w.Push(t.Context(), of(everyType()...)))
	require.Zero(t, own(t, w, "sent_samples"), "nobody has said that they were written")
	require.Equal(t, 17.0, own(t, w, "dropped_samples", "refused"))
}

// own returns the value of one of the writer's own metrics, or NaN if it is not there.
func own(t *testing.T, w *Writer, name string, reason ...string) float64 {
	t.Helper()
	families, err := w.Gather(t.Context())
	require.NoError(t, err)
	for _, f := range families {
		for _, s := range f.Series {
			if v, _ := s.Labels.Get("reason"); f.Name == "multiprom_exit_"+name && v == strings.Join(reason, "") {
				return s.Value
			}
		}
	}
	return math.NaN()
}

// ticking counts how often it was gathered.
type ticking struct{ n atomic.Int64 }

func (g *ticking) Gather(context.Context) ([]*metric.Family, error) {
	return []*metric.Family{{Name: "n", Type: metric.Counter, Series: []metric.Series{{Value: float64(g.n.Add(1))}}}}, nil
}

// TestRetries: what a receiver could not take is sent again, unchanged and in order.
func TestRetries(t *testing.T) {
	var hang chan struct{}
	fails := map[string]func(http.ResponseWriter){
		"500": func(w http.ResponseWriter) { w.WriteHeader(http.StatusInternalServerError) },
		"429": func(w http.ResponseWriter) {
			w.Header().Set("Retry-After", "0")
			w.WriteHeader(http.StatusTooManyRequests)
		},
		"hangs": func(http.ResponseWriter) { <-hang },
		"closes": func(w http.ResponseWriter) {
			c, _, err := w.(http.Hijacker).Hijack()
			if err == nil {
				c.Close()
			}
		},
		"closes midway": func(w http.ResponseWriter) {
			w.Header().Set("Content-Length", "100")
			w.Header().Set(writtenSamples, "2")
			w.Write([]byte("x"))
		},
	}
	for name, fail := range fails {
		t.Run(name, func(t *testing.T) {
			r := newReceiver(t, func(n int, r request, w http.ResponseWriter) {
				if n == 1 || n == 2 {
					fail(w)
					return
				}
				takes(n, r, w)
			})
			hang = make(chan struct{})
			t.Cleanup(func() { close(hang) }) // before the receiver is closed
			opts := Options{}
			opts.URL, opts.MaxSamples, opts.MaxBackoff, opts.Now = r.URL, 2, 10*time.Millisecond, clock
			opts.Client = &http.Client{Timeout: time.Second}
			w := writer(t, opts)
			require.NoError(t, w.Push(t.Context(), of(everyType()...)))
			all := r.all()
			require.Len(t, all, 11)
			require.Equal(t, all[1].samples, all[2].samples)
			require.Equal(t, all[1].samples, all[3].samples)
			require.NotEqual(t, all[0].samples, all[1].samples)
			require.Equal(t, 2.0, own(t, w, "retries"))
			require.Equal(t, 17.0, own(t, w, "sent_samples"))
		})
	}
}

// TestRefused: a batch that is refused is dropped, counted and logged by its first line. The
// batches after it are sent.
func TestRefused(t *testing.T) {
	r := newReceiver(t, func(n int, r request, w http.ResponseWriter) {
		if n == 1 {
			w.Header().Set(writtenSamples, "1")
			w.WriteHeader(http.StatusBadRequest)
			fmt.Fprintf(w, "out of order\n%s", strings.Repeat("every series\n", 100_000))
			return
		}
		takes(n, r, w)
	})
	opts := Options{}
	opts.URL, opts.MaxSamples = strings.Replace(r.URL, "http://", "http://user:hidden@", 1), 6
	w := writer(t, opts)
	err := w.Push(t.Context(), of(everyType()...))
	require.ErrorContains(t, err, "refused samples: 400 Bad Request: out of order")
	require.NotContains(t, err.Error(), "every series")
	require.NotContains(t, err.Error(), "hidden")
	require.Len(t, r.all(), 3)
	require.Equal(t, 5.0, own(t, w, "dropped_samples", "refused"))
	require.Equal(t, 12.0, own(t, w, "sent_samples"))
	require.Zero(t, own(t, w, "retries"))
	for _, code := range []int{301, 307, 401, 404} {
		r := newReceiver(t, func(_ int, _ request, w http.ResponseWriter) {
			w.Header().Set("Location", "/elsewhere")
			w.WriteHeader(code)
		})
		opts.URL, opts.MaxSamples = r.URL, 100
		require.ErrorContains(t, writer(t, opts).Push(t.Context(), of(everyType()...)), fmt.Sprint(code))
		require.Len(t, r.all(), 1)
	}
}

// TestBatches: a request ends with the sample that reaches a bound, also among the buckets of a
// histogram, and has all symbols that it needs.
func TestBatches(t *testing.T) {
	f := &metric.Family{Name: "h", Type: metric.Histogram}
	for i := range 50 {
		var bounds []float64
		for j := range 30 {
			bounds = append(bounds, float64(j))
		}
		f.Series = append(f.Series, metric.Series{Labels: metric.MakeLabels("n", fmt.Sprintf("%02d", i)), Count: 31, Buckets: metric.Cumulate(bounds, make([]uint64, 31))})
	}
	var want []string
	for s := range f.Samples() {
		want = append(want, s.Labels.String())
	}
	for _, version := range []string{"1.0", "2.0"} {
		for _, bound := range []struct{ samples, bytes, requests int }{{7, 0, 236}, {0, 5000, 0}, {0, 0, 1}} {
			r := newReceiver(t, takes)
			opts := Options{Protocol: version}
			opts.URL, opts.MaxSamples, opts.MaxBytes = r.URL, bound.samples, bound.bytes
			require.NoError(t, writer(t, opts).Push(t.Context(), of(f)))
			var total int
			for _, q := range r.all() {
				total += len(q.samples)
				if bound.samples > 0 {
					require.LessOrEqual(t, len(q.samples), bound.samples)
				}
			}
			require.Equal(t, len(want), total)
			switch {
			case bound.bytes > 0:
				require.Greater(t, len(r.all()), 10)
			case version == "2.0":
				require.Len(t, r.all(), bound.requests)
			}
			require.Len(t, unique(lines(r.all()...)), len(want))
		}
	}
}

func unique(lines []string) map[string]bool {
	out := map[string]bool{}
	for _, l := range lines {
		out[l] = true
	}
	return out
}

// TestStaleness: what leaves the view gets one marker. One that could not be delivered is sent
// with the next round.
func TestStaleness(t *testing.T) {
	down := false
	r := newReceiver(t, func(n int, r request, w http.ResponseWriter) {
		if down {
			w.WriteHeader(http.StatusBadRequest)
			return
		}
		takes(n, r, w)
	})
	opts := Options{Protocol: "2.0"}
	opts.URL = r.URL
	w := writer(t, opts)
	gauge := func(name string, values ...string) *metric.Family {
		f := &metric.Family{Name: name, Type: metric.Gauge}
		for _, v := range values {
			f.Series = append(f.Series, metric.Series{Labels: metric.MakeLabels("l", v), Value: 1})
		}
		return f
	}
	histogram := func(bounds ...float64) *metric.Family {
		return &metric.Family{Name: "h", Type: metric.Histogram, Series: []metric.Series{{Buckets: metric.Cumulate(bounds, make([]uint64, len(bounds)+1))}}}
	}
	stale := func(g gather.Func) (out []string) {
		t.Helper()
		before := len(r.all())
		w.Push(t.Context(), g)
		for _, l := range lines(r.all()[before:]...) {
			if name, ok := strings.CutSuffix(l, " stale"); ok {
				out = append(out, name)
			}
		}
		return out
	}
	require.Empty(t, stale(of(gauge("a", "1", "2", "3"), gauge("b", "1"), histogram(1, 2))))
	require.Empty(t, stale(of(gauge("a", "1", "2", "3"), gauge("b", "1"), histogram(1, 2))))
	require.Equal(t, []string{`a{l="2"}`, `h_bucket{le="2.0"}`, `b{l="1"}`}, stale(of(gauge("a", "1", "3"), histogram(1))))
	require.Empty(t, stale(of(gauge("a", "1", "3"), histogram(1))))
	down = true
	stale(of(gauge("a", "1", "4"), histogram(1)))
	stale(of(gauge("a", "4", "1"), histogram(1))) // not sorted
	down = false
	require.Equal(t, []string{`a{l="3"}`}, stale(of(gauge("a", "1", "4"), histogram(1))))
	require.Equal(t, []string{`a{l="1"}`, `a{l="4"}`, `h_bucket{le="1.0"}`, `h_bucket{le="+Inf"}`, "h_sum", "h_count"}, stale(of(gauge("c", "1"))))
	counter := gauge("c", "1")
	counter.Type = metric.Counter
	require.Equal(t, []string{`c{l="1"}`}, stale(of(counter)), "a family of another type")
	require.Empty(t, stale(of(gauge("c_total", "1"))), "another family has the name now")
}

// TestRun sends at every interval, does not go back in time with the clock, and ends with a
// marker for everything.
func TestRun(t *testing.T) {
	r := newReceiver(t, takes)
	var offset atomic.Int64
	opts := Options{}
	opts.URL, opts.Interval = r.URL, 2*time.Millisecond
	opts.Now = func() time.Time { return time.Now().Add(time.Duration(offset.Load())) }
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	g := &ticking{}
	w := writer(t, opts)
	go func() { ended <- w.Run(ctx, g) }()
	require.Eventually(t, func() bool { return g.n.Load() > 5 }, 30*time.Second, time.Millisecond)
	offset.Store(-int64(time.Hour))
	from := g.n.Load()
	require.Eventually(t, func() bool { return g.n.Load() > from+5 }, 30*time.Second, time.Millisecond)
	cancel()
	require.NoError(t, <-ended)
	all := r.all()
	last, before := int64(0), "0"
	for i, q := range all {
		require.Len(t, q.samples, 1)
		require.Greater(t, q.samples[0].at, last)
		last = q.samples[0].at
		if i == len(all)-1 {
			require.Equal(t, "stale", q.samples[0].value)
			require.Equal(t, fmt.Sprint(g.n.Load()), before, "the last values come before the markers")
		} else {
			now, err := strconv.Atoi(q.samples[0].value)
			require.NoError(t, err)
			then, _ := strconv.Atoi(before)
			require.Greater(t, now, then)
		}
		before = q.samples[0].value
	}
}

// TestDown: while the receiver is down, the newest values replace older ones. The log has one
// line for it, not one for each attempt.
func TestDown(t *testing.T) {
	var up atomic.Bool
	r := newReceiver(t, func(n int, r request, w http.ResponseWriter) {
		if !up.Load() {
			w.Header().Set("Retry-After", "0")
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		takes(n, r, w)
	})
	var log bytes.Buffer
	opts := Options{}
	opts.URL, opts.Interval, opts.MaxBackoff = r.URL, 2*time.Millisecond, time.Millisecond
	opts.Logger = slog.New(slog.NewTextHandler(&log, nil))
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	ended := make(chan error, 1)
	g := &ticking{}
	w := writer(t, opts)
	go func() { ended <- w.Run(ctx, g) }()
	require.Eventually(t, func() bool { return g.n.Load() > 20 }, 30*time.Second, time.Millisecond)
	up.Store(true)
	require.Eventually(t, func() bool { return own(t, w, "sent_samples") > 3 }, 30*time.Second, time.Millisecond)
	cancel()
	require.NoError(t, <-ended)
	require.Greater(t, own(t, w, "retries"), 5.0)
	require.Greater(t, own(t, w, "dropped_samples", "superseded"), 5.0)
	require.Equal(t, float64(g.n.Load()+1), own(t, w, "sent_samples")+own(t, w, "dropped_samples", "superseded"), "each round is counted")
	require.Equal(t, 1, strings.Count(log.String(), "503 Service Unavailable"))
}

// TestRefusedAtTheEnd: the log says that it was the markers of the end which were not sent.
func TestRefusedAtTheEnd(t *testing.T) {
	var ending atomic.Bool
	r := newReceiver(t, func(n int, r request, w http.ResponseWriter) {
		if ending.Load() {
			w.WriteHeader(http.StatusBadRequest)
			return
		}
		takes(n, r, w)
	})
	var log bytes.Buffer
	opts := Options{}
	opts.URL, opts.Logger = r.URL, slog.New(slog.NewTextHandler(&log, nil))
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	w := writer(t, opts)
	go func() { ended <- w.Run(ctx, &ticking{}) }()
	require.Eventually(t, func() bool { return own(t, w, "sent_samples") > 0 }, time.Minute, time.Millisecond)
	require.NotContains(t, log.String(), "of the end")
	ending.Store(true)
	cancel()
	require.NoError(t, <-ended)
	require.Contains(t, log.String(), "remotewrite: the staleness markers of the end were not sent: ")
}

func TestFailingGatherer(t *testing.T) {
	broken := errors.New("the database is down")
	r := newReceiver(t, takes)
	opts := Options{}
	opts.URL = r.URL
	w := writer(t, opts)
	require.ErrorIs(t, w.Push(t.Context(), gather.Func(func(context.Context) ([]*metric.Family, error) { return nil, broken })), broken)
	require.Empty(t, r.all())
	require.NoError(t, w.Push(t.Context(), gather.Func(func(context.Context) ([]*metric.Family, error) { return everyType(), broken })))
	require.Len(t, r.all(), 1, "what could be gathered is sent")
}
