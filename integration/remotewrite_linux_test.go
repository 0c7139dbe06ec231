package integration

import (
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/multiprom/multiprom/aggregate"
	"github.com/multiprom/multiprom/internal/form"
	"github.com/multiprom/multiprom/metric"
	"github.com/multiprom/multiprom/multiproc"
)

// everyTypeDir is a directory with 5,000 samples of all types, of a name that is not a legacy
// one too, and with exemplars.
func everyTypeDir(t *testing.T) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "app")
	require.NoError(t, os.Mkdir(dir, 0o700))
	set := multiproc.NewSet(multiproc.SetOptions{Dir: dir})
	opts := func(name string) multiproc.CounterOpts {
		return multiproc.CounterOpts{Name: name, Help: "Help of " + name + "."}
	}
	counters := multiproc.MustNew(set.NewCounterVec(opts("app_requests"), []string{"path", "code"}))
	dotted := multiproc.MustNew(set.NewCounterVec(opts("app.dotted"), []string{"path"}))
	gauges := multiproc.MustNew(set.NewGaugeVec(multiproc.GaugeOpts{Name: "app_queue", Help: "Q.", Mode: metric.ModeSum}, []string{"path"}))
	histograms := multiproc.MustNew(set.NewHistogramVec(multiproc.HistogramOpts{Name: "app_latency_seconds", Unit: "seconds", Help: "L.", Buckets: []float64{0.1, 1, 10}}, []string{"path"}))
	summaries := multiproc.MustNew(set.NewSummaryVec(multiproc.SummaryOpts{Name: "app_size_bytes", Help: "S."}, []string{"path"}))
	for i := range 500 {
		path := fmt.Sprintf("/é/%d", i)
		counters.WithLabelValues(path, "200").Add(float64(i) + 0.5)
		counters.WithLabelValues(path, "500").AddWithExemplar(1, multiproc.Labels{"trace_id": fmt.Sprintf("%032x", i+1)})
		dotted.WithLabelValues(path).Add(float64(i))
		gauges.WithLabelValues(path).Set(-float64(i) * math.Pi)
		for j := range i % 7 {
			histograms.WithLabelValues(path).Observe(float64(j))
		}
		summaries.WithLabelValues(path).Observe(float64(i))
	}
	require.NoError(t, set.Close())
	return dir
}

// expected returns the samples of the families app… as a receiver should show them.
func expected(t *testing.T, dir string, name func(string) string) map[string]float64 {
	t.Helper()
	a, err := aggregate.Open(dir, aggregate.Options{})
	require.NoError(t, err)
	defer a.Close()
	families, err := a.Gather(t.Context())
	require.NoError(t, err)
	out := map[string]float64{}
	for _, f := range families {
		if !strings.HasPrefix(f.Name, "app") {
			continue
		}
		for s := range f.Samples() {
			labels := s.Labels.Map()
			if le, ok := labels["le"]; ok {
				v, err := strconv.ParseFloat(le, 64)
				require.NoError(t, err)
				labels["le"] = string(form.AppendCanonical(nil, v))
			}
			labels["__name__"] = name(s.Name)
			out[fmt.Sprint(slices.Sorted(maps.Keys(labels)), metric.LabelsFromMap(labels))] = s.Value
		}
	}
	require.Greater(t, len(out), 5000-1)
	return out
}

// stored returns the samples that a receiver with Prometheus' query API has of the job app.
func stored(t *testing.T, api string) map[string]float64 {
	t.Helper()
	_, body := get(t, request(t, api+"/api/v1/query?query="+url.QueryEscape(`{__name__=~"app.*",job="app"}`)))
	var answer struct {
		Data struct {
			Result []struct {
				Metric map[string]string
				Value  [2]any
			}
		}
	}
	require.NoError(t, json.Unmarshal([]byte(body), &answer), body)
	out := map[string]float64{}
	for _, r := range answer.Data.Result {
		delete(r.Metric, "job")
		delete(r.Metric, "instance")
		v, err := strconv.ParseFloat(r.Value[1].(string), 64)
		require.NoError(t, err)
		out[fmt.Sprint(slices.Sorted(maps.Keys(r.Metric)), metric.LabelsFromMap(r.Metric))] = v
	}
	return out
}

func underscored(name string) string { return form.Underscored(name, true) }

func same(name string) string { return name }

// remoteReceivers are receivers of remote write: how they are started, and what names they
// have. Prometheus 3 is built by `make integration-prometheus3`, which sets the variable.
func remoteReceivers(t *testing.T) map[string]func(t *testing.T) (write, api string, name func(string) string) {
	t.Helper()
	out := map[string]func(t *testing.T) (string, string, func(string) string){
		"Prometheus 2": func(t *testing.T) (string, string, func(string) string) {
			api := startPrometheusFor(t, needCommand(t, "prometheus"), nil, "--web.enable-remote-write-receiver")
			return api + "/api/v1/write", api, underscored
		},
		"VictoriaMetrics": func(t *testing.T) (string, string, func(string) string) {
			address := freeAddress(t)
			startServer(t, needCommand(t, "victoria-metrics"), "-httpListenAddr="+address, "-storageDataPath="+t.TempDir(), "-retentionPeriod=100y", "-search.latencyOffset=0s")
			api := "http://" + address
			get(t, request(t, api+"/health"))
			return api + "/api/v1/write", api, underscored
		},
	}
	if program := os.Getenv("MULTIPROM_PROMETHEUS3"); program != "" {
		out["Prometheus 3"] = func(t *testing.T) (string, string, func(string) string) {
			api := startPrometheusFor(t, program, nil, "--web.enable-remote-write-receiver", "--web.enable-otlp-receiver", "--enable-feature=exemplar-storage")
			return api + "/api/v1/write", api, same
		}
	}
	return out
}

// TestRemoteWriteReceivers: real receivers have every sample, by whatever version they take.
func TestRemoteWriteReceivers(t *testing.T) {
	for receiver, begin := range remoteReceivers(t) {
		t.Run(receiver, func(t *testing.T) {
			write, api, name := begin(t)
			dir := everyTypeDir(t)
			want := expected(t, dir, name)
			code, out := mpctlSays(t, "remote-write", write, "--dir", dir)
			require.Zero(t, code, out)
			eventually(t, "it shows all", func() bool {
				if receiver == "VictoriaMetrics" {
					get(t, request(t, api+"/internal/force_flush"))
				}
				return len(stored(t, api)) >= len(want)
			})
			have := stored(t, api)
			if receiver == "VictoriaMetrics" { // it stores 15 digits or so
				for series, v := range want {
					require.InEpsilon(t, v+1e9, have[series]+1e9, 1e-12, series)
					have[series] = v
				}
			}
			require.Equal(t, want, have)
			if receiver != "Prometheus 3" {
				return
			}
			_, body := get(t, request(t, api+"/api/v1/query_exemplars?start=0&end=9999999999&query="+url.QueryEscape(`app_requests_total{code="500"}`)))
			require.Equal(t, 500, strings.Count(body, "trace_id"), "each exemplar")

			code, out = mpctlSays(t, "otlp", api+"/api/v1/otlp/v1/metrics", "--dir", dir, "--resource", "service.name=other")
			require.Zero(t, code, out)
			var otlp map[string]float64
			eventually(t, "it shows what came by OTLP", func() bool {
				otlp = map[string]float64{}
				_, body := get(t, request(t, api+"/api/v1/query?query="+url.QueryEscape(`count({__name__=~"app.*",job="other"})`)))
				return strings.Contains(body, fmt.Sprintf(`"%d"`, len(want)))
			})
			require.NotNil(t, otlp)
			_, body = get(t, request(t, api+"/api/v1/query?query="+url.QueryEscape(`sum(app_requests_total{job="other"}) - sum(app_requests_total{job="app"})`)))
			require.Contains(t, body, `"0"]`, "the same sums")
		})
	}
}

// startSender starts mpctl until the end of the test.
func startSender(t *testing.T, args ...string) *exec.Cmd {
	t.Helper()
	cmd := exec.Command(mpctl(t), args...)
	cmd.Stderr = os.Stderr
	require.NoError(t, cmd.Start())
	t.Cleanup(func() {
		cmd.Process.Kill()
		cmd.Wait()
	})
	return cmd
}

// TestRemoteWriteOfAFleet: while processes come and go and their files are compacted, no
// counter that a real Prometheus gets goes back. When the sender ends, all series are stale.
func TestRemoteWriteOfAFleet(t *testing.T) {
	api := startPrometheusFor(t, needCommand(t, "prometheus"), nil, "--web.enable-remote-write-receiver")
	dir, sent := filepath.Join(t.TempDir(), "app"), 0.0
	require.NoError(t, os.Mkdir(dir, 0o700))
	sender := startSender(t, "serve", "--dir", dir, "--web.listen-address", "127.0.0.1:0", "--remote-write", api+"/api/v1/write",
		"--send-every", "50ms", "--send-queue", filepath.Join(t.TempDir(), "queue"), "--compact-period", "50ms", "--compact-threshold", "1")
	for range 12 {
		set := multiproc.NewSet(multiproc.SetOptions{Dir: dir})
		c := multiproc.MustNew(set.NewCounter(multiproc.CounterOpts{Name: "app_jobs", Help: "J."}))
		for range 3 { // several rounds see this process
			c.Add(1)
			sent++
			eventually(t, "the value has arrived", func() bool {
				v, ok := query(t, api, "app_jobs_total")
				return ok && v == sent
			})
		}
		require.NoError(t, set.Close())
	}
	eventually(t, "the last value has arrived", func() bool {
		v, ok := query(t, api, "app_jobs_total")
		return ok && v == sent
	})
	resets, ok := query(t, api, "resets(app_jobs_total[1h])")
	require.True(t, ok)
	require.Zero(t, resets)
	_, ok = query(t, api, `multiprom_exit_sent_samples_total > 0`)
	require.True(t, ok, "its own metrics")
	require.NoError(t, sender.Process.Signal(syscall.SIGTERM))
	require.NoError(t, sender.Wait())
	_, ok = query(t, api, "app_jobs_total")
	require.False(t, ok, "it is stale at once")
}
