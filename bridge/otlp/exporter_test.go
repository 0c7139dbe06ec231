package otlp

import (
	"context"
	"fmt"
	"io"
	"math"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/klauspost/compress/gzip"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/encoding/protowire"

	"github.com/multiprom/multiprom/bridge/delivery"
	"github.com/multiprom/multiprom/exposition"
	"github.com/multiprom/multiprom/gather"
	"github.com/multiprom/multiprom/internal/form"
	"github.com/multiprom/multiprom/internal/optiontest"
	"github.com/multiprom/multiprom/metric"
)

// each calls fn with each field of a message.
func each(t *testing.T, message []byte, fn func(n protowire.Number, v []byte, bits uint64)) {
	for len(message) > 0 {
		n, typ, size := protowire.ConsumeTag(message)
		require.Positive(t, size)
		message = message[size:]
		var v []byte
		var bits uint64
		switch typ {
		case protowire.BytesType:
			v, size = protowire.ConsumeBytes(message)
		case protowire.Fixed64Type:
			bits, size = protowire.ConsumeFixed64(message)
		default:
			bits, size = protowire.ConsumeVarint(message)
		}
		require.Positive(t, size)
		message = message[size:]
		fn(n, v, bits)
	}
}

// tree is a message as text: the numbers of its fields, and their values where shape says what
// they are. t is text, f a double, n a number, x hexadecimal and p packed.
func tree(t *testing.T, message []byte, shape map[string]string, path string) string {
	var parts []string
	each(t, message, func(n protowire.Number, v []byte, bits uint64) {
		at := fmt.Sprint(path, ".", n)
		text := fmt.Sprint(bits)
		switch shape[at] {
		case "t":
			text = string(v)
		case "f":
			text = form.FormatFloat(math.Float64frombits(bits))
		case "x":
			text = fmt.Sprintf("%x", v)
		case "p", "pf":
			var numbers []string
			for ; len(v) > 0; v = v[8:] {
				b, _ := protowire.ConsumeFixed64(v)
				if shape[at] == "p" {
					numbers = append(numbers, fmt.Sprint(b))
				} else {
					numbers = append(numbers, form.FormatFloat(math.Float64frombits(b)))
				}
			}
			text = strings.Join(numbers, " ")
		default:
			if v != nil {
				text = "{" + tree(t, v, shape, at) + "}"
			}
		}
		parts = append(parts, fmt.Sprintf("%d:%s", n, text))
	})
	return strings.Join(parts, ",")
}

// shapes says what the fields of a metric are.
func shapes() map[string]string {
	s := map[string]string{".1": "t", ".2": "t", ".3": "t", ".12.1": "t", ".12.2.1": "t"}
	for _, data := range []string{".5.1", ".7.1"} { // numbers
		s[data+".4"] = "f"
		s[data+".7.1"], s[data+".7.2.1"] = "t", "t"
		s[data+".5.5"], s[data+".5.4"], s[data+".5.3"], s[data+".5.7.1"], s[data+".5.7.2.1"] = "x", "x", "f", "t", "t"
	}
	s[".9.1.5"], s[".9.1.6"], s[".9.1.7"], s[".9.1.9.1"], s[".9.1.9.2.1"] = "f", "p", "pf", "t", "t"
	s[".9.1.8.5"], s[".9.1.8.4"], s[".9.1.8.3"] = "x", "x", "f"
	s[".11.1.5"], s[".11.1.6.1"], s[".11.1.6.2"], s[".11.1.7.1"], s[".11.1.7.2.1"] = "f", "f", "f", "t", "t"
	return s
}

// collector is a receiver. answer decides what it says to request number n.
type collector struct {
	*httptest.Server
	mu       sync.Mutex
	resource []string
	requests [][]string // the metrics of each
	header   http.Header
	path     string
}

func newCollector(t *testing.T, answer func(n int, w http.ResponseWriter)) *collector {
	c := &collector{}
	c.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		z, err := gzip.NewReader(r.Body)
		if err != nil {
			return
		}
		body, err := io.ReadAll(z)
		if err != nil {
			return
		}
		c.mu.Lock()
		defer c.mu.Unlock()
		c.header, c.path = r.Header, r.URL.Path
		var metrics []string
		each(t, body, func(_ protowire.Number, v []byte, _ uint64) {
			each(t, v, func(n protowire.Number, v []byte, _ uint64) {
				if n == resourceResource {
					c.resource = append(c.resource, tree(t, v, map[string]string{".1.1": "t", ".1.2.1": "t"}, ""))
					return
				}
				each(t, v, func(n protowire.Number, v []byte, _ uint64) {
					if n == scopeMetrics {
						metrics = append(metrics, tree(t, v, shapes(), ""))
					}
				})
			})
		})
		c.requests = append(c.requests, metrics)
		answer(len(c.requests)-1, w)
	}))
	t.Cleanup(c.Close)
	return c
}

func (c *collector) all() [][]string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.requests)
}

func takes(int, http.ResponseWriter) {}

func of(families ...*metric.Family) gather.Func {
	return func(context.Context) ([]*metric.Family, error) { return families, nil }
}

func exporter(t *testing.T, opts Options) *Exporter {
	t.Helper()
	if opts.Now == nil {
		opts.Now = func() time.Time { return time.UnixMilli(9) }
	}
	e, err := New(opts)
	require.NoError(t, err)
	return e
}

// TestEveryType compares everything that is sent.
func TestEveryType(t *testing.T) {
	labels := metric.MakeLabels("path", "/é", "empty", "")
	began := time.Unix(0, 5)
	x := &metric.Exemplar{Labels: metric.MakeLabels("trace_id", "0102030405060708090a0b0c0d0e0f10", "span_id", "zz", "user", "u"), Value: 2, Timestamp: time.Unix(0, 7)}
	c := newCollector(t, takes)
	e := exporter(t, Options{Options: delivery.Options{URL: c.URL}, Resource: map[string]string{"service.name": "shop", "host.name": "", "service.instance.id": "i"}})
	require.NoError(t, e.Push(t.Context(), of(
		&metric.Family{Name: "c", Help: "C.", Type: metric.Counter, Series: []metric.Series{{Labels: labels, Value: 3, Created: began, Exemplar: x}}},
		&metric.Family{Name: "g_ratio", Unit: "ratio", Type: metric.Gauge, Series: []metric.Series{{Value: -1.5, Timestamp: time.Unix(0, 8)}}},
		&metric.Family{Name: "gh", Type: metric.GaugeHistogram, Series: []metric.Series{{Count: 3, Sum: 4, Buckets: metric.Cumulate([]float64{1}, []uint64{1, 2})}}},
		&metric.Family{Name: "h_seconds", Unit: "seconds", Type: metric.Histogram, Series: []metric.Series{{Labels: labels, Count: 3, Sum: 4, Created: began, Buckets: metric.Cumulate([]float64{1, 2.5}, []uint64{1, 0, 2})}}},
		&metric.Family{Name: "i", Type: metric.Info, Series: []metric.Series{{Labels: metric.MakeLabels("v", "1")}}},
		&metric.Family{Name: "q", Type: metric.Summary, Series: []metric.Series{{Count: 2, NoSum: true, Quantiles: []metric.Quantile{{Q: 0.5, Value: 7}}}}},
		&metric.Family{Name: "s", Type: metric.StateSet, Series: []metric.Series{{States: []metric.State{{Name: "on", On: true}, {Name: "off"}}}}},
		&metric.Family{Name: "u.v", Type: metric.Unknown, Series: []metric.Series{{Value: 1}}},
	)))
	require.Equal(t, "/v1/metrics", c.path)
	require.Equal(t, "application/x-protobuf", c.header.Get("Content-Type"))
	require.Equal(t, []string{"1:{1:service.instance.id,2:{1:i}},1:{1:service.name,2:{1:shop}}"}, c.resource)
	const path, at = "7:{1:path,2:{1:/é}}", "3:9000000"
	require.Equal(t, [][]string{{
		"1:c_total,2:C.,7:{1:{" + path + ",2:5," + at + ",4:3,5:{7:{1:span_id,2:{1:zz}},5:0102030405060708090a0b0c0d0e0f10,7:{1:user,2:{1:u}},2:7,3:2}},2:2,3:1}",
		"1:g_ratio,3:1,5:{1:{3:8,4:-1.5}}",
		"1:gh_bucket,12:{1:prometheus.type,2:{1:gaugehistogram}},5:{1:{7:{1:le,2:{1:1.0}}," + at + ",4:1},1:{7:{1:le,2:{1:+Inf}}," + at + ",4:3}}",
		"1:gh_gcount,12:{1:prometheus.type,2:{1:gaugehistogram}},5:{1:{" + at + ",4:3}}",
		"1:gh_gsum,12:{1:prometheus.type,2:{1:gaugehistogram}},5:{1:{" + at + ",4:4}}",
		"1:h_seconds,3:s,9:{1:{9:{1:path,2:{1:/é}},2:5," + at + ",4:3,5:4,6:1 0 2,7:1 2.5},2:2}",
		"1:i_info,12:{1:prometheus.type,2:{1:info}},7:{1:{7:{1:v,2:{1:1}}," + at + ",4:1},2:2}",
		"1:q,11:{1:{" + at + ",4:2,6:{1:0.5,2:7}}}",
		"1:s,12:{1:prometheus.type,2:{1:stateset}},7:{1:{7:{1:s,2:{1:on}}," + at + ",4:1},1:{7:{1:s,2:{1:off}}," + at + ",4:0},2:2}",
		"1:u.v,12:{1:prometheus.type,2:{1:unknown}},5:{1:{" + at + ",4:1}}",
	}}, c.all())

	// What has gone gets a point without a value.
	require.NoError(t, e.Push(t.Context(), of(&metric.Family{Name: "c", Help: "C.", Type: metric.Counter, Series: []metric.Series{{Value: 1}}})))
	ended := c.all()[1]
	require.Equal(t, "1:c_total,7:{1:{"+path+",3:10000000,8:1},2:2,3:1}", ended[1])
	require.Contains(t, ended, "1:h_seconds,9:{1:{9:{1:path,2:{1:/é}},3:10000000,10:1},2:2}")
	require.Contains(t, ended, "1:q,11:{1:{3:10000000,8:1}}")
	require.Len(t, ended, 11)
}

// TestAnswers: only 429, 502, 503 and 504 are tried again. A partial success is counted.
func TestAnswers(t *testing.T) {
	own := func(e *Exporter, name string) (v float64) {
		families, err := e.Gather(t.Context())
		require.NoError(t, err)
		for _, f := range families {
			if f.Name == "multiprom_exit_"+name {
				v = f.Series[len(f.Series)-1].Value
				if name == "dropped_samples" {
					v = f.Series[3].Value // by reason: refused
				}
			}
		}
		return v
	}
	for code, again := range map[int]bool{429: true, 502: true, 503: true, 504: true, 400: false, 401: false, 500: false, 501: false, 302: false} {
		c := newCollector(t, func(n int, w http.ResponseWriter) {
			if n == 0 {
				w.Header().Set("Location", "/")
				w.WriteHeader(code)
			}
		})
		e := exporter(t, Options{Options: delivery.Options{URL: c.URL, MaxBackoff: time.Millisecond}})
		err := e.Push(t.Context(), of(&metric.Family{Name: "g", Type: metric.Gauge, Series: []metric.Series{{}}}))
		if again {
			require.NoError(t, err)
			require.Len(t, c.all(), 2)
			require.Equal(t, c.all()[0], c.all()[1])
			require.Equal(t, 1.0, own(e, "sent_samples"))
		} else {
			require.ErrorContains(t, err, fmt.Sprint(code))
			require.Len(t, c.all(), 1)
			require.Zero(t, own(e, "sent_samples"))
		}
	}
	for _, cut := range []int{0, 1, 2, 3, 6} {
		c := newCollector(t, func(_ int, w http.ResponseWriter) {
			partial := appendText(appendUint(nil, partialRejected, 2), partialMessage, "too many")
			body := appendMessage(nil, responsePartial, partial)
			w.Write(body[:len(body)-cut])
		})
		e := exporter(t, Options{Options: delivery.Options{URL: c.URL}})
		require.NoError(t, e.Push(t.Context(), of(&metric.Family{Name: "g", Type: metric.Gauge, Series: []metric.Series{{}, {Labels: metric.MakeLabels("a", "b")}, {Labels: metric.MakeLabels("a", "c")}}})))
		require.Len(t, c.all(), 1)
		if cut == 0 {
			require.Equal(t, 1.0, own(e, "sent_samples"))
		} else {
			require.Equal(t, 3.0, own(e, "sent_samples"), "an answer that is cut off says nothing")
		}
	}
}

// TestBatches: a metric is divided among requests, and each has the resource.
func TestBatches(t *testing.T) {
	f := &metric.Family{Name: "g", Help: "G.", Type: metric.Gauge}
	for i := range 100 {
		f.Series = append(f.Series, metric.Series{Labels: metric.MakeLabels("n", fmt.Sprintf("%02d", i)), Value: float64(i)})
	}
	for name, o := range map[string]delivery.Options{"samples": {MaxSamples: 7}, "bytes": {MaxBytes: 300}} {
		c := newCollector(t, takes)
		o.URL = c.URL
		require.NoError(t, exporter(t, Options{Options: o}).Push(t.Context(), of(f)))
		points := 0
		for _, metrics := range c.all() {
			require.Len(t, metrics, 1)
			require.Contains(t, metrics[0], "1:g,2:G.,5:{1:{")
			points += strings.Count(metrics[0], "1:n,")
		}
		require.Equal(t, 100, points)
		require.Len(t, c.resource, len(c.all()))
		if name == "samples" {
			require.Len(t, c.all(), 15)
		} else {
			require.Greater(t, len(c.all()), 5)
		}
	}
}

// TestNamesThatClash: Prometheus would store both under one name. The first is sent.
func TestNamesThatClash(t *testing.T) {
	c := newCollector(t, takes)
	left := (*exposition.OmissionError)(nil)
	err := exporter(t, Options{Options: delivery.Options{URL: c.URL}}).Push(t.Context(), of(
		&metric.Family{Name: "x", Type: metric.Counter, Series: []metric.Series{{}}}, &metric.Family{Name: "x_total", Type: metric.Gauge, Series: []metric.Series{{}}}))
	require.ErrorAs(t, err, &left)
	require.Equal(t, []string{"x_total"}, left.Names)
	require.Len(t, c.all()[0], 1)
}

func TestOptions(t *testing.T) {
	optiontest.Check(t, Options{Options: delivery.Options{URL: "http://localhost"}}, map[string]optiontest.Row{
		"Options":  {Needed: true},
		"Resource": {Bad: []any{map[string]string{"": "x"}, map[string]string{"a": "\xff"}}, Good: []any{map[string]string{"a.b/c": ""}}},
	}, func(o Options) error {
		_, err := New(o)
		if err != nil && o.URL == "" {
			err = fmt.Errorf("in Options: %w", err)
		}
		return err
	})
	for raw, want := range map[string]string{
		"": "", "localhost:4318": "http://localhost:4318/v1/metrics", "https://x/": "https://x/v1/metrics", "https://x/api/otlp": "https://x/api/otlp", "http://x?a=b": "http://x/v1/metrics?a=b",
	} {
		require.Equal(t, want, withPath(raw))
	}
}
