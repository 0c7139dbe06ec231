package delivery_test

import (
	"bytes"
	"fmt"
	"io"
	"math"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/snappy"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/encoding/protowire"
)

// sample is one of a request: a counter, or a marker that its series has ended.
type sample struct {
	series string // value of the label s
	value  float64
	ended  bool
	at     int64 // in milliseconds
}

// receiver is a transport instead of a network, so that a test can have a clock of its own.
type receiver struct {
	t        *testing.T
	protocol string
	failing  atomic.Pointer[failure] // nil if it works
	asked    []time.Time
	stored   map[string][]sample
	batches  int // requests with samples, while it fails
	samples  int // of the last request
	rejected int
	read     int // bytes of answers
}

// failure is a way in which a receiver fails.
type failure struct {
	name        string
	retried     bool // with remote write
	retriedOTLP bool // with OTLP
	stores      int  // how many samples of a request it stores
	silence     time.Duration
	answer      func(r *receiver, req *http.Request) (*http.Response, error)
}

// isRetried reports whether a request that fails so is sent again.
func (f *failure) isRetried(protocol string) bool {
	if protocol == "otlp" {
		return f.retriedOTLP
	}
	return f.retried
}

// newReceiver returns one that fails, unless failing is nil.
func newReceiver(t *testing.T, protocol string, failing *failure) *receiver {
	r := &receiver{t: t, protocol: protocol, stored: map[string][]sample{}}
	r.failing.Store(failing)
	return r
}

// status answers with a status.
func status(code int, header ...string) func(*receiver, *http.Request) (*http.Response, error) {
	return func(r *receiver, req *http.Request) (*http.Response, error) {
		h := http.Header{}
		for i := 0; i < len(header); i += 2 {
			h.Set(header[i], header[i+1])
		}
		return r.respond(code, h, strings.NewReader("no\n")), nil
	}
}

func (r *receiver) respond(code int, h http.Header, body io.Reader) *http.Response {
	return &http.Response{
		StatusCode: code, Status: fmt.Sprint(code, " ", http.StatusText(code)), Header: h,
		Body: io.NopCloser(io.TeeReader(body, counting{&r.read})),
	}
}

type counting struct{ n *int }

func (c counting) Write(b []byte) (int, error) {
	*c.n += len(b)
	return len(b), nil
}

// endless is a body that does not end.
type endless struct{}

func (endless) Read(b []byte) (int, error) {
	for i := range b {
		b[i] = 'x'
	}
	return len(b), nil
}

// brokenBody ends in the middle.
type brokenBody struct{}

func (brokenBody) Read([]byte) (int, error) { return 0, io.ErrUnexpectedEOF }

// RoundTrip is called by the one goroutine that sends.
func (r *receiver) RoundTrip(req *http.Request) (*http.Response, error) {
	body, err := io.ReadAll(req.Body)
	if err != nil {
		return nil, err
	}
	all := r.decode(body)
	store := len(all)
	r.samples = store
	f := r.failing.Load()
	if f != nil {
		r.asked = append(r.asked, time.Now())
		if len(all) > 0 {
			r.batches++
		}
		store = min(store, f.stores)
		r.rejected += len(all) - store
	}
	for _, s := range all[:store] {
		if before := r.stored[s.series]; len(before) > 0 {
			last := before[len(before)-1]
			if last == s {
				continue // sent again, since there was no answer
			}
			if !assert.Greater(r.t, s.at, last.at, "a series does not go back in time") || !s.ended && !assert.Greater(r.t, s.value, last.value) {
				continue
			}
		}
		r.stored[s.series] = append(r.stored[s.series], s)
	}
	if f != nil {
		return f.answer(r, req)
	}
	return r.took(store, 0), nil
}

// took says how much was stored, as the protocol says it.
func (r *receiver) took(stored, rejected int) *http.Response {
	h, body := http.Header{}, []byte(nil)
	switch r.protocol {
	case "2.0":
		h.Set("X-Prometheus-Remote-Write-Samples-Written", fmt.Sprint(stored))
		h.Set("X-Prometheus-Remote-Write-Histograms-Written", "0")
		h.Set("X-Prometheus-Remote-Write-Exemplars-Written", "0")
	case "otlp":
		if rejected > 0 {
			partial := protowire.AppendVarint(protowire.AppendTag(nil, 1, protowire.VarintType), uint64(rejected))
			body = protowire.AppendBytes(protowire.AppendTag(nil, 1, protowire.BytesType), partial)
		}
	}
	return r.respond(http.StatusOK, h, bytes.NewReader(body))
}

// decode returns the samples of a request.
func (r *receiver) decode(body []byte) (out []sample) {
	r.t.Helper()
	if r.protocol == "otlp" {
		z, err := gzip.NewReader(bytes.NewReader(body))
		require.NoError(r.t, err)
		raw, err := io.ReadAll(z)
		require.NoError(r.t, err)
		for _, point := range at(raw, 1, 2, 2, 7, 1) {
			s := sample{at: int64(bits(point, 3)) / 1e6, value: math.Float64frombits(bits(point, 4)), ended: bits(point, 8) == 1}
			for _, text := range at(point, 7, 2, 1) {
				s.series = string(text)
			}
			out = append(out, s)
		}
		return out
	}
	raw, err := snappy.Decode(nil, body)
	require.NoError(r.t, err)
	symbols, path := at(raw, 4), protowire.Number(5)
	if r.protocol == "1.0" {
		path = 1
	}
	for _, series := range at(raw, path) {
		one := at(series, 2)
		if len(one) == 0 {
			continue
		}
		s := sample{value: math.Float64frombits(bits(one[0], 1)), at: int64(bits(one[0], 2)), ended: bits(one[0], 1) == 0x7ff0000000000002}
		if r.protocol == "1.0" {
			for _, label := range at(series, 1) {
				if string(at(label, 1)[0]) == "s" {
					s.series = string(at(label, 2)[0])
				}
			}
		} else {
			for refs := at(series, 1)[0]; len(refs) > 0; {
				name, n := protowire.ConsumeVarint(refs)
				value, m := protowire.ConsumeVarint(refs[n:])
				if refs = refs[n+m:]; string(symbols[name]) == "s" {
					s.series = string(symbols[value])
				}
			}
		}
		if s.ended {
			s.value = 0 // not a number, and so not equal to itself
		}
		out = append(out, s)
	}
	return out
}

// at returns the fields at a path of field numbers.
func at(message []byte, path ...protowire.Number) (out [][]byte) {
	walk(message, func(n protowire.Number, v []byte, _ uint64) {
		if n == path[0] && v != nil {
			if len(path) == 1 {
				out = append(out, v)
			} else {
				out = append(out, at(v, path[1:]...)...)
			}
		}
	})
	return out
}

// bits returns a field that is a number.
func bits(message []byte, field protowire.Number) (out uint64) {
	walk(message, func(n protowire.Number, v []byte, bits uint64) {
		if n == field && v == nil {
			out = bits
		}
	})
	return out
}

func walk(message []byte, fn func(n protowire.Number, v []byte, bits uint64)) {
	for len(message) > 0 {
		n, typ, size := protowire.ConsumeTag(message)
		if size < 0 {
			panic("a damaged message")
		}
		message = message[size:]
		var v []byte
		var bits uint64
		switch typ {
		case protowire.BytesType:
			if v, size = protowire.ConsumeBytes(message); v == nil {
				v = []byte{}
			}
		case protowire.Fixed64Type:
			bits, size = protowire.ConsumeFixed64(message)
		default:
			bits, size = protowire.ConsumeVarint(message)
		}
		if size < 0 {
			panic("a damaged message")
		}
		message = message[size:]
		fn(n, v, bits)
	}
}
