package remotewrite

import (
	"fmt"
	"io"
	"math"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/klauspost/compress/snappy"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/encoding/protowire"

	"github.com/multiprom/multiprom/internal/form"
)

// got is a sample as the receiver decoded it.
type got struct {
	series    string // name{labels}
	value     string
	at, start int64
	exemplar  string
	meta      string // type, help and unit of 2.0
}

// request is what a receiver got at once.
type request struct {
	version  string
	header   http.Header
	samples  []got
	metadata []string // of 1.0
}

// receiver is a fake one: answer decides what it says to request number n.
type receiver struct {
	*httptest.Server
	mu       sync.Mutex
	requests []request
}

func newReceiver(t *testing.T, answer func(n int, r request, w http.ResponseWriter)) *receiver {
	t.Helper()
	f := &receiver{}
	f.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, hr *http.Request) {
		b, err := io.ReadAll(hr.Body)
		if err != nil {
			return // the sender was killed, or its time was over
		}
		raw, err := snappy.Decode(nil, b)
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		r := request{version: hr.Header.Get("X-Prometheus-Remote-Write-Version"), header: hr.Header}
		if strings.Contains(hr.Header.Get("Content-Type"), "v2.Request") {
			r.samples = decode2(t, raw)
		} else {
			r.samples, r.metadata = decode1(t, raw)
		}
		f.mu.Lock()
		f.requests = append(f.requests, r)
		n := len(f.requests) - 1
		f.mu.Unlock()
		answer(n, r, w)
	}))
	t.Cleanup(f.Close)
	return f
}

func (f *receiver) all() []request {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.requests)
}

// takes answers as a receiver of 2.0 that has stored everything.
func takes(_ int, r request, w http.ResponseWriter) {
	natives := 0
	for _, s := range r.samples {
		if strings.HasPrefix(s.value, "native") {
			natives++
		}
	}
	w.Header().Set(writtenSamples, fmt.Sprint(len(r.samples)-natives))
	w.Header().Set(writtenHistograms, fmt.Sprint(natives))
	w.WriteHeader(http.StatusNoContent)
}

// takes1 answers as a receiver of 1.0, which takes anything.
func takes1(_ int, _ request, w http.ResponseWriter) { w.WriteHeader(http.StatusNoContent) }

func show(bits uint64) string {
	if bits == staleNaN {
		return "stale"
	}
	return form.FormatFloat(math.Float64frombits(bits))
}

// seriesText returns name{labels} and checks that the labels are sorted, and no name is there
// twice.
func seriesText(t *testing.T, pairs []string) string {
	name, rest := "", []string{}
	for i := 0; i < len(pairs); i += 2 {
		if i > 0 && pairs[i-2] >= pairs[i] {
			t.Errorf("labels are not sorted: %q", pairs)
		}
		if pairs[i+1] == "" {
			t.Errorf("an empty label: %q", pairs)
		}
		if pairs[i] == nameLabel {
			name = pairs[i+1]
		} else {
			rest = append(rest, fmt.Sprintf("%s=%q", pairs[i], pairs[i+1]))
		}
	}
	if len(rest) == 0 {
		return name
	}
	return name + "{" + strings.Join(rest, ",") + "}"
}

func decode2(t *testing.T, raw []byte) (out []got) {
	var symbols []string
	look := func(refs []byte) (pairs []string) {
		for len(refs) > 0 {
			ref, n := protowire.ConsumeVarint(refs)
			pairs, refs = append(pairs, symbols[ref]), refs[n:]
		}
		return pairs
	}
	err := fields(raw, func(n protowire.Number, v []byte, _ uint64) error {
		if n == requestSymbols {
			symbols = append(symbols, string(v))
			return nil
		}
		var g got
		err := fields(v, func(n protowire.Number, v []byte, _ uint64) error {
			switch n {
			case series2Labels:
				g.series = seriesText(t, look(v))
			case series2Samples:
				sample(&g, v)
			case series2Hist:
				nativeText(&g, v)
			case series2Exemplars:
				exemplarText(&g, v, func(v []byte) []string { return look(v) })
			case series2Meta:
				return fields(v, func(n protowire.Number, _ []byte, bits uint64) error {
					if n == meta2Type {
						g.meta = fmt.Sprint(bits)
					} else {
						g.meta += "," + symbols[bits]
					}
					return nil
				})
			}
			return nil
		})
		out = append(out, g)
		return err
	})
	if err != nil || symbols[0] != "" {
		t.Errorf("%v, symbols %q", err, symbols)
	}
	return out
}

func decode1(t *testing.T, raw []byte) (out []got, metadata []string) {
	label := func(v []byte) (pair []string) {
		fields(v, func(_ protowire.Number, v []byte, _ uint64) error { pair = append(pair, string(v)); return nil })
		return pair
	}
	err := fields(raw, func(n protowire.Number, v []byte, _ uint64) error {
		if n == requestMetadata {
			var m []string
			fields(v, func(_ protowire.Number, v []byte, bits uint64) error {
				if v == nil {
					v = fmt.Append(nil, bits)
				}
				m = append(m, string(v))
				return nil
			})
			metadata = append(metadata, strings.Join(m, ","))
			return nil
		}
		var g got
		var pairs []string
		err := fields(v, func(n protowire.Number, v []byte, _ uint64) error {
			switch n {
			case series1Labels:
				pairs = append(pairs, label(v)...)
			case series1Samples:
				sample(&g, v)
			case series1Hist:
				nativeText(&g, v)
			case series1Exemplar:
				exemplarText(&g, v, label)
			}
			return nil
		})
		g.series = seriesText(t, pairs)
		out = append(out, g)
		return err
	})
	if err != nil {
		t.Error(err)
	}
	return out, metadata
}

func sample(g *got, v []byte) {
	fields(v, func(n protowire.Number, _ []byte, bits uint64) error {
		switch n {
		case sampleValue:
			g.value = show(bits)
		case sampleTime:
			g.at = int64(bits)
		case sampleStart:
			g.start = int64(bits)
		}
		return nil
	})
}

func exemplarText(g *got, v []byte, labels func([]byte) []string) {
	var pairs []string
	fields(v, func(n protowire.Number, v []byte, bits uint64) error {
		switch n {
		case exemplarLabels:
			pairs = append(pairs, labels(v)...)
		case exemplarValue:
			pairs = append(pairs, show(bits))
		case exemplarTime:
			pairs = append(pairs, fmt.Sprintf("@%d", bits))
		}
		return nil
	})
	n := len(pairs) - 2
	text := strings.Join(pairs[:n], "=") + " " + strings.Join(pairs[n:], "")
	g.exemplar = strings.TrimPrefix(g.exemplar+" "+text, " ")
}

// lines returns "series value" of every sample of the requests, in order.
func lines(requests ...request) (out []string) {
	for _, r := range requests {
		for _, s := range r.samples {
			out = append(out, s.series+" "+s.value)
		}
	}
	return out
}

func writer(t *testing.T, opts Options) *Writer {
	t.Helper()
	if opts.Labels == nil {
		opts.Labels = map[string]string{"job": "", "instance": ""}
	}
	w, err := New(opts)
	require.NoError(t, err)
	return w
}
