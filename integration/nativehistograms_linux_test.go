package integration

import (
	"bufio"
	"encoding/json"
	"fmt"
	"math"
	"math/rand/v2"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/multiprom/multiprom/internal/doctest"
)

// nativeFleet is workers of examples/native, and mpctl serve.
type nativeFleet struct {
	program, dir string
	workers      []*exec.Cmd
	addresses    []string
	metrics      string // address of mpctl serve
	observed     []float64
}

func startNativeFleet(t *testing.T, workers int) *nativeFleet {
	t.Helper()
	f := &nativeFleet{program: filepath.Join(t.TempDir(), "native"), dir: t.TempDir(), metrics: freeAddress(t)}
	build := exec.Command("go", "build", "-o", f.program, "./native")
	build.Dir = "../examples"
	out, err := build.CombinedOutput()
	require.NoError(t, err, "%s", out)
	f.workers, f.addresses = make([]*exec.Cmd, workers), make([]string, workers)
	for i := range workers {
		f.start(t, i)
	}
	serve := exec.Command(mpctl(t), "serve", "--dir", f.dir, "--web.listen-address", f.metrics)
	stderr, err := serve.StderrPipe()
	require.NoError(t, err)
	require.NoError(t, serve.Start())
	go drain(bufio.NewScanner(stderr))
	t.Cleanup(func() {
		serve.Process.Signal(os.Interrupt)
		serve.Wait()
		for _, w := range f.workers {
			w.Process.Kill()
			w.Wait()
		}
	})
	return f
}

// start starts worker i, in place of the one before.
func (f *nativeFleet) start(t *testing.T, i int) {
	t.Helper()
	if f.workers[i] != nil {
		require.NoError(t, f.workers[i].Process.Kill())
		f.workers[i].Wait()
	}
	f.addresses[i] = freeAddress(t)
	f.workers[i] = exec.Command(f.program, f.addresses[i])
	f.workers[i].Env = append(os.Environ(), "PROMETHEUS_MULTIPROC_DIR="+f.dir)
	require.NoError(t, f.workers[i].Start())
	eventually(t, "the worker answers", func() bool {
		resp, err := http.Get("http://" + f.addresses[i] + "/metrics")
		if err == nil {
			resp.Body.Close()
		}
		return err == nil
	})
}

// observe has a worker observe n values, and notes them: each request has returned.
func (f *nativeFleet) observe(t *testing.T, rnd *rand.Rand, n int) {
	t.Helper()
	for range n {
		x := math.Exp(rnd.NormFloat64()) / 50
		resp, err := http.Get(fmt.Sprintf("http://%s/?seconds=%g&trace=%d", f.addresses[rnd.IntN(len(f.addresses))], x, len(f.observed)))
		require.NoError(t, err)
		resp.Body.Close()
		require.Equal(t, http.StatusOK, resp.StatusCode)
		f.observed = append(f.observed, x)
	}
}

// quantile returns the values between which the quantile is.
func (f *nativeFleet) quantile(q float64) (least, most float64) {
	all := slices.Sorted(slices.Values(f.observed))
	i := int(q * float64(len(all)))
	return all[max(0, i-1)], all[min(len(all)-1, i+1)]
}

// TestPrometheusReadsNativeHistograms: what a real Prometheus says of a fleet that is killed and
// replaced is the truth.
func TestPrometheusReadsNativeHistograms(t *testing.T) {
	programs := map[string]string{"Prometheus 2": needCommand(t, "prometheus")}
	if program := os.Getenv("MULTIPROM_PROMETHEUS3"); program != "" {
		programs["Prometheus 3"] = program
	}
	for name, program := range programs {
		t.Run(name, func(t *testing.T) {
			rnd := rand.New(rand.NewPCG(1, 2))
			fleet := startNativeFleet(t, 4)
			fleet.observe(t, rnd, 200)
			features, config := "exemplar-storage", "scrape_native_histograms: true"
			if name == "Prometheus 2" {
				features, config = "native-histograms,exemplar-storage", ""
			}
			api := startConfigured(t, program, "scrape_interval: 1s\n  "+config, map[string]string{"demo": fleet.metrics}, "--enable-feature="+features)
			const x = "request_duration_seconds"
			knows := func(what, expr string, truth func() bool) {
				t.Helper()
				eventually(t, what, func() bool {
					v, ok := query(t, api, expr)
					return ok && v == float64(len(fleet.observed)) && truth()
				})
			}
			knows("Prometheus has the histogram", "histogram_count("+x+")", func() bool { return true })
			for i := range 12 { // each worker dies three times
				fleet.observe(t, rnd, 50)
				fleet.start(t, i%len(fleet.workers))
			}
			fleet.observe(t, rnd, 50)
			knows("each observation of the dead and the living", "histogram_count("+x+")", func() bool { return true })

			total := 0.0
			for _, v := range fleet.observed {
				total += v
			}
			sum, ok := query(t, api, "histogram_sum("+x+")")
			require.True(t, ok)
			require.InEpsilon(t, total, sum, 1e-12)
			for _, q := range []float64{0.01, 0.1, 0.5, 0.9, 0.99} {
				got, ok := query(t, api, fmt.Sprintf("histogram_quantile(%g, %s)", q, x))
				require.True(t, ok)
				least, most := fleet.quantile(q)
				width := math.Pow(2, 1.0/8) // of a bucket
				require.Less(t, least/width, got, "quantile %g", q)
				require.Greater(t, most*width, got, "quantile %g", q)
			}
			resets, ok := query(t, api, "resets("+x+"[10m])")
			require.True(t, ok)
			require.Zero(t, resets)
			// The same scrapes have a counter of the same observations.
			eventually(t, "rates of the histogram are those of the counter", func() bool {
				v, ok := query(t, api, "histogram_count(rate("+x+"[10m])) / rate(requests_total[10m])")
				return ok && math.Abs(v-1) < 1e-9
			})
			for _, block := range doctest.MarkdownBlocks(t, "../docs/native_histograms.md", "promql") {
				for expr := range strings.Lines(block) {
					v, ok := query(t, api, expr)
					require.True(t, ok && v > 0, expr)
				}
			}
			none, ok := query(t, api, "count("+x+"_bucket)")
			require.False(t, ok, "%v classic buckets", none)
			if name == "Prometheus 3" {
				nativeExemplars(t, api, x, fleet.observed)
			}
		})
	}
}

// nativeExemplars checks that Prometheus has exemplars, and that each is of an observation.
func nativeExemplars(t *testing.T, api, name string, observed []float64) {
	t.Helper()
	resp, err := http.Get(api + "/api/v1/query_exemplars?start=0&end=9999999999&query=" + url.QueryEscape(name))
	require.NoError(t, err)
	defer resp.Body.Close()
	var answer struct {
		Data []struct {
			Exemplars []struct {
				Labels map[string]string
				Value  json.Number
			}
		}
	}
	require.NoError(t, json.NewDecoder(resp.Body).Decode(&answer))
	require.Len(t, answer.Data, 1)
	require.GreaterOrEqual(t, len(answer.Data[0].Exemplars), 10)
	for _, e := range answer.Data[0].Exemplars {
		var n int
		_, err := fmt.Sscan(e.Labels["trace_id"], &n)
		require.NoError(t, err)
		v, err := e.Value.Float64()
		require.NoError(t, err)
		require.Equal(t, observed[n], v)
	}
}
