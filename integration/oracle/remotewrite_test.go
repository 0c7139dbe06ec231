package oracle

import (
	"context"
	"fmt"
	"io"
	"math"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/klauspost/compress/snappy"
	prom "github.com/prometheus/prometheus/model/histogram"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/prompb"
	writev2 "github.com/prometheus/prometheus/prompb/io/prometheus/write/v2"
	"github.com/stretchr/testify/require"

	"github.com/multiprom/multiprom/bridge/delivery"
	"github.com/multiprom/multiprom/bridge/remotewrite"
	"github.com/multiprom/multiprom/gather"
	"github.com/multiprom/multiprom/internal/form"
	"github.com/multiprom/multiprom/internal/openmetrics"
	"github.com/multiprom/multiprom/internal/randfamily"
	"github.com/multiprom/multiprom/metric"
)

// stored is what Prometheus' own types say that a remote write has.
type stored struct {
	value    string
	at       int64
	start    int64
	exemplar string
	meta     string
}

func bitsText(v float64) string {
	if v != v && math.Float64bits(v) != 0x7ff8000000000001 {
		return "a NaN that Prometheus does not write"
	}
	return form.FormatFloat(v)
}

// remoteWritten sends families and decodes what arrives with Prometheus' own messages. Each
// series is there once, with sorted labels.
func remoteWritten(t *testing.T, families []*metric.Family, version, native string, at time.Time, batch int) map[string]stored {
	got := map[string]stored{}
	add := func(ls labels.Labels, w stored) {
		_, twice := got[ls.String()]
		require.False(t, twice, ls)
		require.True(t, slices.IsSortedFunc(pairs(ls), func(a, b labels.Label) int { return strings.Compare(a.Name, b.Name) }))
		got[ls.String()] = w
	}
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		b, err := io.ReadAll(r.Body)
		require.NoError(t, err)
		b, err = snappy.Decode(nil, b)
		require.NoError(t, err)
		if version == "1.0" {
			var m prompb.WriteRequest
			require.NoError(t, m.Unmarshal(b))
			builder := labels.NewScratchBuilder(0)
			for _, ts := range m.Timeseries {
				require.Equal(t, 1, len(ts.Samples)+len(ts.Histograms))
				var out stored
				for _, s := range ts.Samples {
					out.value, out.at = bitsText(s.Value), s.Timestamp
				}
				for _, h := range ts.Histograms {
					require.Zero(t, h.ResetHint)
					out.value, out.at = nativeText(t, h.ToIntHistogram()), h.Timestamp
				}
				for _, x := range ts.Exemplars {
					e := x.ToExemplar(&builder, nil)
					out.exemplar += fmt.Sprint(e.Labels, e.Value, e.Ts)
				}
				add(ts.ToLabels(&builder, nil), out)
			}
			return
		}
		var m writev2.Request
		require.NoError(t, m.Unmarshal(b))
		require.Empty(t, m.Symbols[0])
		builder := labels.NewScratchBuilder(0)
		for _, ts := range m.Timeseries {
			require.Equal(t, 1, len(ts.Samples)+len(ts.Histograms))
			ls, err := ts.ToLabels(&builder, m.Symbols)
			require.NoError(t, err)
			meta, err := ts.ToMetadata(m.Symbols)
			require.NoError(t, err)
			out := stored{meta: fmt.Sprint(meta.Type, meta.Help, meta.Unit)}
			for _, s := range ts.Samples {
				out.value, out.at, out.start = bitsText(s.Value), s.Timestamp, s.StartTimestamp
			}
			for _, h := range ts.Histograms {
				require.Zero(t, h.ResetHint)
				out.value, out.at, out.start = nativeText(t, h.ToIntHistogram()), h.Timestamp, h.StartTimestamp
			}
			for _, x := range ts.Exemplars {
				e, err := x.ToExemplar(&builder, m.Symbols)
				require.NoError(t, err)
				out.exemplar += fmt.Sprint(e.Labels, e.Value, e.Ts)
			}
			add(ls, out)
		}
		w.Header().Set("X-Prometheus-Remote-Write-Samples-Written", fmt.Sprint(len(m.Timeseries)))
	}))
	defer s.Close()
	w, err := remotewrite.New(remotewrite.Options{
		Options:  delivery.Options{URL: s.URL, MaxSamples: batch, Now: func() time.Time { return at }},
		Labels:   map[string]string{"job": "j", "instance": ""},
		Protocol: version, NativeHistograms: native,
	})
	require.NoError(t, err)
	require.NoError(t, w.Push(t.Context(), gather.Func(func(context.Context) ([]*metric.Family, error) { return families, nil })))
	return got
}

func pairs(ls labels.Labels) (out []labels.Label) {
	ls.Range(func(l labels.Label) { out = append(out, l) })
	return out
}

// notAfter returns the start of a sample of that time. None is older than its start.
func notAfter(at, start int64) int64 {
	if start > at {
		return 0
	}
	return start
}

// TestRemoteWrite: Prometheus' own messages have each sample of random families, in both
// versions and in batches of any size.
func TestRemoteWrite(t *testing.T) {
	at := time.UnixMilli(1_700_000_000_123)
	for seed := range uint64(300) {
		for _, way := range [][2]string{{"2.0", "auto"}, {"1.0", "auto"}, {"1.0", "always"}, {"2.0", "never"}} {
			version := way[0]
			sent := way == [2]string{"2.0", "auto"} || way[1] == "always"
			families := randfamily.New(seed).Families(version == "2.0")
			want := map[string]stored{}
			types := map[metric.Type]string{metric.Info: "info", metric.StateSet: "stateset", metric.GaugeHistogram: "gaugehistogram", metric.Unknown: "unknown"}
			for _, f := range families {
				created := map[string]int64{}
				only := map[string]bool{} // series that have no classic bucket
				for _, s := range f.Series {
					if s.Native != nil && sent {
						key, out := wantedNative(f, &s, version, at)
						want[key] = out
						only[s.Labels.String()] = len(s.Buckets) == 1
					}
					if !s.Created.IsZero() {
						created[s.Labels.String()] = s.Created.UnixMilli()
					}
				}
				for s := range f.Samples() {
					b := labels.NewBuilder(labels.EmptyLabels())
					b.Set("job", "j")
					series := s.Labels
					for _, l := range s.Labels {
						if l.Name == f.Type.ReservedLabel(f.Name) {
							series = without(series, l.Name)
						}
						if v := l.Value; l.Name == "le" && f.Type != metric.StateSet || l.Name == "quantile" {
							b.Set(l.Name, canonical(v))
						} else {
							b.Set(l.Name, v)
						}
					}
					b.Set("__name__", s.Name)
					if only[series.String()] {
						continue
					}
					out := stored{value: form.FormatFloat(s.Value), at: at.UnixMilli()}
					if !s.Timestamp.IsZero() {
						out.at = s.Timestamp.UnixMilli()
					}
					if x := s.Exemplar; x != nil && openmetrics.CheckExemplar(x.Labels) == nil {
						when := out.at
						if !x.Timestamp.IsZero() {
							when = x.Timestamp.UnixMilli()
						}
						out.exemplar = fmt.Sprint(labels.FromMap(x.Labels.Map()), x.Value, when)
					}
					if version == "2.0" {
						typ := f.Type.String()
						if types[f.Type] != "" {
							typ = types[f.Type]
						}
						out.meta = fmt.Sprint(typ, f.Help, f.Unit)
						_, quantile := s.Labels.Get("quantile")
						if f.Type == metric.Counter || f.Type == metric.Histogram || f.Type == metric.Summary && !(quantile && s.Name == f.Name) {
							out.start = notAfter(out.at, created[series.String()])
						}
					}
					want[b.Labels().String()] = out
				}
			}
			require.Equal(t, want, remoteWritten(t, families, version, way[1], at, 1+int(seed)%20), "seed %d, %s", seed, way)
		}
	}
}

func without(ls metric.Labels, name string) (out metric.Labels) {
	for _, l := range ls {
		if l.Name != name {
			out = append(out, l)
		}
	}
	return out
}

// nativeText describes a histogram that Prometheus accepts.
func nativeText(t *testing.T, h *prom.Histogram) string {
	require.NoError(t, h.Validate())
	return native(h, nil, nil)
}

// wantedNative returns the series that is the native buckets of s.
func wantedNative(f *metric.Family, s *metric.Series, version string, at time.Time) (string, stored) {
	b := labels.NewBuilder(labels.FromMap(s.Labels.Map()))
	b.Set("job", "j").Set("__name__", f.Name).Del("le")
	out := stored{value: native(serverHistogram(s.Native, s.Count, s.Sum), nil, nil), at: at.UnixMilli()}
	if !s.Timestamp.IsZero() {
		out.at = s.Timestamp.UnixMilli()
	}
	all := slices.DeleteFunc(lineExemplars(s), func(x *metric.Exemplar) bool { return x.Timestamp.IsZero() || x.Timestamp.After(at) })
	slices.SortStableFunc(all, (*metric.Exemplar).Compare)
	if n := len(all); n > 0 && openmetrics.CheckExemplar(all[n-1].Labels) == nil { // of a first round, the newest
		out.exemplar = fmt.Sprint(labels.FromMap(all[n-1].Labels.Map()), all[n-1].Value, all[n-1].Timestamp.UnixMilli())
	}
	if version == "2.0" {
		out.meta = fmt.Sprint(f.Type, f.Help, f.Unit)
		if !s.Created.IsZero() {
			out.start = notAfter(out.at, s.Created.UnixMilli())
		}
	}
	return b.Labels().WithoutEmpty().String(), out
}
