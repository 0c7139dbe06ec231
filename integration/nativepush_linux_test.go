package integration

import (
	"bufio"
	"math"
	"math/rand/v2"
	"net/http"
	"testing"

	dto "github.com/prometheus/client_model/go"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/encoding/protodelim"

	"github.com/multiprom/multiprom/multiproc"
)

// TestPushgatewayHasNativeHistograms pushes native histograms to a real Pushgateway, and reads
// back what it exposes: every bucket of every process.
func TestPushgatewayHasNativeHistograms(t *testing.T) {
	address, dir := freeAddress(t), t.TempDir()
	startServer(t, needCommand(t, "prometheus-pushgateway"), "--web.listen-address="+address)
	get(t, request(t, "http://"+address+"/metrics"))

	rnd := rand.New(rand.NewPCG(1, 2))
	values := map[string][]float64{"only_seconds": nil, "both_seconds": nil}
	for range 2 { // processes
		set := multiproc.NewSet(multiproc.SetOptions{Dir: dir})
		for name := range values {
			opts := multiproc.HistogramOpts{Name: name, Help: "N.", NativeHistogramBucketFactor: 1.1}
			if name == "both_seconds" {
				opts.Buckets = []float64{0.5, 1}
			}
			h := multiproc.MustNew(set.NewHistogram(opts))
			observe := h.Observe
			if len(opts.Buckets) > 0 {
				observe = func(x float64) { h.ObserveWithExemplar(x, multiproc.Labels{"trace": "t"}) }
			}
			for i := range 500 {
				x := math.Round(64*math.Exp(rnd.NormFloat64())) / 64 // sums of these are exact
				if i%10 == 0 {
					x = -x
				}
				observe(x)
				values[name] = append(values[name], x)
			}
		}
	}
	for _, compression := range []string{"none", "gzip"} {
		code, out := mpctlSays(t, "push", address, "--dir", dir, "--job", "a", "--format", "protobuf", "--compression", compression)
		require.Zero(t, code, out)
		families := pushedFamilies(t, address)
		for name, all := range values {
			f := families[name]
			require.NotNil(t, f, name)
			require.Len(t, f.Metric, 1)
			requireBuckets(t, all, f.Metric[0].Histogram)
		}
		require.Empty(t, families["only_seconds"].Metric[0].Histogram.Bucket)
		classic := families["both_seconds"].Metric[0].Histogram.Bucket
		require.Len(t, classic, 3)
		for _, b := range classic {
			require.Equal(t, "t", b.GetExemplar().GetLabel()[0].GetValue())
		}
		code, out = mpctlSays(t, "push", address, "--job", "a", "--delete")
		require.Zero(t, code, out)
		require.NotContains(t, pushedFamilies(t, address), "only_seconds")
	}
}

// pushedFamilies returns what a Pushgateway exposes by protobuf.
func pushedFamilies(t *testing.T, address string) map[string]*dto.MetricFamily {
	t.Helper()
	req := request(t, "http://"+address+"/metrics")
	req.Header.Set("Accept", "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited")
	resp, err := http.DefaultClient.Do(req)
	require.NoError(t, err)
	defer resp.Body.Close()
	require.Contains(t, resp.Header.Get("Content-Type"), "application/vnd.google.protobuf")
	out, body := map[string]*dto.MetricFamily{}, bufio.NewReader(resp.Body)
	for {
		if _, err := body.Peek(1); err != nil {
			return out
		}
		f := &dto.MetricFamily{}
		require.NoError(t, protodelim.UnmarshalOptions{MaxSize: -1}.UnmarshalFrom(body, f))
		out[f.GetName()] = f
	}
}

// requireBuckets compares a histogram with the values, which are counted one by one.
func requireBuckets(t *testing.T, values []float64, h *dto.Histogram) {
	t.Helper()
	sum, zeros := 0.0, uint64(0)
	want := map[bool]map[int32]int64{false: {}, true: {}}
	factor := math.Exp2(1 / math.Exp2(float64(h.GetSchema())))
	for _, x := range values {
		sum += x
		if x == 0 {
			zeros++
			continue
		}
		// The bucket by the definition. Of the bounds, only powers of 2 are multiples of 1/64.
		i := math.Log(math.Abs(x)) / math.Log(factor)
		if near := math.Round(i); math.Abs(i-near) < 1e-9 {
			i = near
		}
		want[x < 0][int32(math.Ceil(i))]++
	}
	require.EqualValues(t, 3, h.GetSchema())
	require.EqualValues(t, len(values), h.GetSampleCount())
	require.Equal(t, sum, h.GetSampleSum())
	require.Equal(t, zeros, h.GetZeroCount())
	require.Equal(t, 0x1p-128, h.GetZeroThreshold())
	require.Equal(t, want[false], bucketsOf(h.PositiveSpan, h.PositiveDelta))
	require.Equal(t, want[true], bucketsOf(h.NegativeSpan, h.NegativeDelta))
}

// bucketsOf returns the counts of the populated buckets by number.
func bucketsOf(spans []*dto.BucketSpan, deltas []int64) map[int32]int64 {
	out, i, n := map[int32]int64{}, int32(0), int64(0)
	for _, s := range spans {
		i += s.GetOffset()
		for range s.GetLength() {
			if n += deltas[0]; n != 0 {
				out[i] = n
			}
			deltas = deltas[1:]
			i++
		}
	}
	return out
}
