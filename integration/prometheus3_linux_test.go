package integration

import (
	"encoding/json"
	"fmt"
	"math"
	"math/rand/v2"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/multiprom/multiprom/aggregate"
	"github.com/multiprom/multiprom/internal/form"
	"github.com/multiprom/multiprom/internal/histogram"
	"github.com/multiprom/multiprom/metric"
	"github.com/multiprom/multiprom/multiproc"
)

// startPrometheus3 starts the Prometheus 3 that `make integration-prometheus3` builds. It receives
// both protocols, keeps start times, and leaves names as they come.
func startPrometheus3(t *testing.T) (api string) {
	t.Helper()
	program := os.Getenv("MULTIPROM_PROMETHEUS3")
	if program == "" {
		t.Skip("MULTIPROM_PROMETHEUS3 is not set: make integration-prometheus3")
	}
	return startConfigured(t, program, "scrape_interval: 1s\notlp:\n  translation_strategy: NoTranslation", nil,
		"--web.enable-remote-write-receiver", "--web.enable-otlp-receiver", "--enable-feature=exemplar-storage,created-timestamp-zero-ingestion")
}

// addNative adds histograms with native buckets to a directory: alone, and beside classic ones.
func addNative(t *testing.T, dir string) {
	t.Helper()
	set := multiproc.NewSet(multiproc.SetOptions{Dir: dir})
	alone := multiproc.MustNew(set.NewHistogramVec(multiproc.HistogramOpts{Name: "native_alone", Help: "A.", NativeHistogramBucketFactor: 1.1}, []string{"path"}))
	both := multiproc.MustNew(set.NewHistogramVec(multiproc.HistogramOpts{
		Name: "native_both", Help: "B.", Buckets: []float64{-1, 0, 1}, NativeHistogramBucketFactor: 1.5,
	}, []string{"path"}))
	rnd := rand.New(rand.NewPCG(3, 3))
	for i := range 50 {
		for range 1 + i%20 {
			x := math.Exp(5*rnd.NormFloat64()) * float64(rnd.IntN(3)-1) // negative, 0 and positive
			alone.WithLabelValues(fmt.Sprint("/é/", i)).Observe(x)
			both.WithLabelValues(fmt.Sprint("/é/", i)).Observe(x)
		}
	}
	require.NoError(t, set.Close())
}

// populated is a native histogram with its populated buckets, from the lowest on.
type populated struct {
	count, sum float64
	counts     []float64
	bounds     []float64 // upper ones
}

// expectedNative returns the native histograms of a directory, by name and path.
func expectedNative(t *testing.T, dir string) map[string]populated {
	t.Helper()
	out := map[string]populated{}
	for _, f := range gatherDir(t, dir) {
		for _, s := range f.Series {
			if s.Native == nil {
				continue
			}
			h := s.Native
			one := populated{count: float64(s.Count), sum: s.Sum}
			bound := func(i int) float64 { return math.Exp2(float64(i) * math.Exp2(-float64(h.Schema))) }
			for i, n := range histogram.All(h.Negative) {
				if n > 0 {
					one.counts, one.bounds = append(one.counts, float64(n)), append(one.bounds, -bound(i-1))
				}
			}
			slices.Reverse(one.counts)
			slices.Reverse(one.bounds)
			if h.ZeroCount > 0 {
				one.counts, one.bounds = append(one.counts, float64(h.ZeroCount)), append(one.bounds, h.ZeroThreshold)
			}
			for i, n := range histogram.All(h.Positive) {
				if n > 0 {
					one.counts, one.bounds = append(one.counts, float64(n)), append(one.bounds, bound(i))
				}
			}
			out[f.Name+s.Labels.Map()["path"]] = one
		}
	}
	require.Len(t, out, 100)
	return out
}

func gatherDir(t *testing.T, dir string) []*metric.Family {
	t.Helper()
	a, err := aggregate.Open(dir, aggregate.Options{})
	require.NoError(t, err)
	defer a.Close()
	families, err := a.Gather(t.Context())
	require.NoError(t, err)
	return families
}

// answered is a series of an answer of Prometheus.
type answered struct {
	Metric    map[string]string
	Value     [2]any
	Histogram [2]json.RawMessage
}

func ask(t *testing.T, api, expr string) (out []answered) {
	t.Helper()
	_, body := get(t, request(t, api+"/api/v1/query?query="+url.QueryEscape(expr)))
	var answer struct{ Data struct{ Result []answered } }
	require.NoError(t, json.Unmarshal([]byte(body), &answer), body)
	return answer.Data.Result
}

func number(t *testing.T, s string) float64 {
	t.Helper()
	v, err := strconv.ParseFloat(s, 64)
	require.NoError(t, err)
	return v
}

// storedBy returns the samples app… of a job, with bounds as Prometheus writes those of a scrape.
func storedBy(t *testing.T, api, job string) map[string]float64 {
	t.Helper()
	out := map[string]float64{}
	for _, r := range ask(t, api, `{__name__=~"app.*",job="`+job+`"}`) {
		delete(r.Metric, "job")
		delete(r.Metric, "instance")
		if le, ok := r.Metric["le"]; ok {
			r.Metric["le"] = string(form.AppendCanonical(nil, number(t, le)))
		}
		names := make([]string, 0, len(r.Metric))
		for name := range r.Metric {
			names = append(names, name)
		}
		slices.Sort(names)
		out[fmt.Sprint(names, metric.LabelsFromMap(r.Metric))] = number(t, r.Value[1].(string))
	}
	return out
}

// storedNative returns the native histograms of a job.
func storedNative(t *testing.T, api, job string) map[string]populated {
	t.Helper()
	out := map[string]populated{}
	for _, r := range ask(t, api, `{__name__=~"native_(alone|both)",job="`+job+`"}`) {
		var h struct {
			Count, Sum string
			Buckets    [][4]any // how it is closed, lower and upper bound, count
		}
		require.NoError(t, json.Unmarshal(r.Histogram[1], &h))
		one := populated{count: number(t, h.Count), sum: number(t, h.Sum)}
		for _, b := range h.Buckets {
			one.bounds, one.counts = append(one.bounds, number(t, b[2].(string))), append(one.counts, number(t, b[3].(string)))
		}
		out[r.Metric["__name__"]+r.Metric["path"]] = one
	}
	return out
}

// tracesOf returns the trace IDs of a job's counters by path.
func tracesOf(t *testing.T, api, job string) map[string]string {
	t.Helper()
	_, body := get(t, request(t, api+"/api/v1/query_exemplars?start=0&end=9999999999&query="+url.QueryEscape(`app_requests_total{code="500",job="`+job+`"}`)))
	var answer struct {
		Data []struct {
			SeriesLabels map[string]string
			Exemplars    []struct {
				Labels map[string]string
				Value  string
			}
		}
	}
	require.NoError(t, json.Unmarshal([]byte(body), &answer), body)
	out := map[string]string{}
	for _, s := range answer.Data {
		require.Len(t, s.Exemplars, 1)
		out[s.SeriesLabels["path"]] = s.Exemplars[0].Labels["trace_id"] + " " + s.Exemplars[0].Value
	}
	return out
}

// TestPrometheus3 sends 5,000 samples of all types by both protocols, and reads all back: values,
// native buckets, exemplars and start times, of names that are not legacy ones too.
func TestPrometheus3(t *testing.T) {
	api := startPrometheus3(t)
	dir := everyTypeDir(t)
	addNative(t, dir)
	want, wantNative := expected(t, dir, same), expectedNative(t, dir)
	wantExemplars := map[string]string{}
	for i := range 500 {
		wantExemplars[fmt.Sprint("/é/", i)] = fmt.Sprintf("%032x 1", i+1)
	}
	for job, args := range map[string][]string{
		"app":  {"remote-write", api + "/api/v1/write"},
		"otlp": {"otlp", api + "/api/v1/otlp/v1/metrics", "--resource", "service.name=otlp"},
	} {
		t.Run(job, func(t *testing.T) {
			code, out := mpctlSays(t, append(args, "--dir", dir)...)
			require.Zero(t, code, out)
			eventually(t, "it shows all", func() bool {
				return len(storedBy(t, api, job)) >= len(want) && len(storedNative(t, api, job)) >= len(wantNative)
			})
			require.Equal(t, want, storedBy(t, api, job))
			have := storedNative(t, api, job)
			require.Len(t, have, len(wantNative))
			for name, w := range wantNative {
				h := have[name]
				require.Equal(t, w.count, h.count, name)
				require.Equal(t, w.sum, h.sum, name)
				require.Equal(t, w.counts, h.counts, name)
				for i, bound := range w.bounds {
					if bound > 0 && bound < 1e-30 && job == "otlp" {
						bound = 1e-128 // the zero threshold, which Prometheus 3.16 does not read from OTLP
					}
					require.InEpsilon(t, bound, h.bounds[i], 1e-12, name)
				}
			}
			require.Equal(t, wantExemplars, tracesOf(t, api, job))
			// A start time is stored as a sample 0 at that time.
			require.Len(t, ask(t, api, `min_over_time(app_requests_total{job="`+job+`"}[1h]) == 0`), 1000, "start times")
		})
	}
}

// printed is what a process has written so far.
type printed struct {
	mu   sync.Mutex
	text strings.Builder
}

func (s *printed) Write(b []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.text.Write(b)
}

func (s *printed) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.text.String()
}

// TestPrometheus3Fleet: workers are killed, replaced and compacted at every moment, while the
// merged view is sent by both protocols. Prometheus has each observation, and sees no reset.
func TestPrometheus3Fleet(t *testing.T) {
	api := startPrometheus3(t)
	rnd := rand.New(rand.NewPCG(1, 2))
	fleet := startNativeFleet(t, 4)
	sender := exec.Command(mpctl(t), "serve", "--dir", fleet.dir, "--web.listen-address", "127.0.0.1:0",
		"--remote-write", api+"/api/v1/write", "--otlp", api+"/api/v1/otlp/v1/metrics", "--send-every", "100ms", "--send-queue", filepath.Join(t.TempDir(), "queue"),
		"--send-label", "job=rw", "--send-resource", "service.name=otlp", "--compact-period", "50ms", "--compact-threshold", "1")
	var said printed
	sender.Stderr = &said
	require.NoError(t, sender.Start())
	t.Cleanup(func() {
		sender.Process.Kill()
		sender.Wait()
	})
	for i := range 24 {
		fleet.observe(t, rnd, 25)
		fleet.start(t, i%len(fleet.workers)) // in place of one that is killed
	}
	fleet.observe(t, rnd, 25)
	total := 0.0
	for _, v := range fleet.observed {
		total += v
	}
	for _, job := range []string{"rw", "otlp"} {
		const x = "request_duration_seconds"
		which := `{job="` + job + `"}`
		require.Eventually(t, func() bool {
			v, ok := query(t, api, "histogram_count("+x+which+")")
			w, _ := query(t, api, "requests_total"+which)
			return ok && v == float64(len(fleet.observed)) && w == v
		}, time.Minute, 50*time.Millisecond, "each observation of the dead and the living, by "+job)
		sum, ok := query(t, api, "histogram_sum("+x+which+")")
		require.True(t, ok)
		require.InEpsilon(t, total, sum, 1e-12)
		for _, series := range []string{x, "requests_total"} {
			rounds, ok := query(t, api, "count_over_time("+series+which+"[1h])")
			require.True(t, ok)
			require.Greater(t, rounds, 10.0)
			resets, ok := query(t, api, "resets("+series+which+"[1h])")
			require.True(t, ok)
			require.Zero(t, resets, series)
		}
	}
	require.Empty(t, ask(t, api, `multiprom_exit_dropped_samples_total > 0`))
	require.NotContains(t, said.String(), "refused", "also no exemplar")
}
