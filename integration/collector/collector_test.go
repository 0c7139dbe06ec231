package collector

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/confmap"
	"go.opentelemetry.io/collector/confmap/provider/yamlprovider"
	"go.opentelemetry.io/collector/consumer"
	"go.opentelemetry.io/collector/exporter"
	"go.opentelemetry.io/collector/otelcol"
	"go.opentelemetry.io/collector/pdata/pmetric"
	"go.opentelemetry.io/collector/receiver"
	"go.opentelemetry.io/collector/receiver/otlpreceiver"
	"go.opentelemetry.io/collector/service/telemetry"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"

	"github.com/multiprom/multiprom/metric"
	"github.com/multiprom/multiprom/multiproc"
)

// envWorker has the number of a worker, if this process is one.
const envWorker = "MULTIPROM_TEST_WORKER"

func TestMain(m *testing.M) {
	number := os.Getenv(envWorker)
	if number == "" {
		os.Exit(m.Run())
	}
	if err := work(number); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(0)
}

// work counts once for each line of stdin, and says so.
func work(number string) error {
	opts := func(name string) multiproc.CounterOpts {
		return multiproc.CounterOpts{Name: name, Help: "Help of " + name + "."}
	}
	requests := multiproc.NewCounterVec(opts("app_requests"), []string{"path", "code"})
	dotted := multiproc.NewCounterVec(opts("app.dötted"), []string{"päth.name"})
	bytes := multiproc.NewCounter(multiproc.CounterOpts{Name: "app_sent_bytes", Unit: "bytes", Help: "B."})
	gauges := map[metric.Mode]*multiproc.GaugeVec{}
	for mode := metric.ModeAll; mode.Valid(); mode++ {
		gauges[mode] = multiproc.NewGaugeVec(multiproc.GaugeOpts{Name: "app_gauge_" + mode.String(), Help: "G.", Mode: mode}, []string{"path"})
	}
	classic := multiproc.NewHistogramVec(multiproc.HistogramOpts{Name: "app_latency_seconds", Unit: "seconds", Help: "L.", Buckets: []float64{0.1, 1, 10}}, []string{"path"})
	native := multiproc.NewHistogramVec(multiproc.HistogramOpts{
		Name: "app_native", Help: "N.", NativeHistogramBucketFactor: 1.1, NativeHistogramMaxExemplars: 10,
	}, []string{"path"})
	both := multiproc.NewHistogramVec(multiproc.HistogramOpts{
		Name: "app_both", Help: "N.", Buckets: []float64{-1, 0, 1}, NativeHistogramBucketFactor: 1.5, NativeHistogramZeroThreshold: 0.25,
	}, []string{"path"})
	summaries := multiproc.NewSummaryVec(multiproc.SummaryOpts{Name: "app_size", Help: "S."}, []string{"path"})
	build := multiproc.NewInfo(multiproc.InfoOpts{Name: "app_build", Help: "I."})
	state := multiproc.NewEnum(multiproc.EnumOpts{Name: "app_state", Help: "E.", States: []string{"idle", "busy"}})
	if err := build.Set(multiproc.Labels{"version": "1.2"}); err != nil {
		return err
	}
	var seed uint64
	fmt.Sscan(number, &seed)
	rnd := rand.New(rand.NewPCG(seed, 7))
	in := bufio.NewScanner(os.Stdin)
	for round := 1; in.Scan(); round++ {
		if err := state.Set([]string{"idle", "busy"}[round%2]); err != nil {
			return err
		}
		bytes.Add(float64(1000 * seed))
		for i := range 500 + 50*round { // each round has more series
			path := fmt.Sprintf("/é/%d", i)
			trace := multiproc.Labels{"trace_id": fmt.Sprintf("%016x%016x", seed, i+1), "span_id": fmt.Sprintf("%016x", i+round), "user": number}
			if i%10 == 0 {
				trace = multiproc.Labels{"trace_id": "short"} // an attribute, since it is no ID
			}
			requests.WithLabelValues(path, "200").Add(float64(i) + 0.5)
			requests.WithLabelValues(path, "").AddWithExemplar(rnd.Float64(), trace)
			dotted.WithLabelValues(path).Add(float64(i))
			if i < 150 {
				for _, g := range gauges {
					g.WithLabelValues(path).Set(100 * rnd.NormFloat64())
				}
			}
			for range i % 7 {
				classic.WithLabelValues(path).ObserveWithExemplar(rnd.ExpFloat64(), trace)
			}
			summaries.WithLabelValues(path).Observe(rnd.NormFloat64())
			if i < 100 {
				for range 1 + i%20 {
					x := math.Exp(5*rnd.NormFloat64()) * float64(rnd.IntN(3)-1) // negative, 0 and positive
					native.WithLabelValues(path).ObserveWithExemplar(x, trace)
					both.WithLabelValues(path).ObserveWithExemplar(x, trace)
				}
			}
		}
		if round > 1 {
			requests.DeleteLabelValues("/é/1", "200") // it leaves the view when the last living worker has done so
		}
		fmt.Println("done")
	}
	return in.Err()
}

// worker is a process that counts.
type worker struct {
	*exec.Cmd
	in  io.Writer
	out *bufio.Scanner
}

func startWorker(t *testing.T, dir string, number int) *worker {
	self, err := os.Executable()
	require.NoError(t, err)
	w := &worker{Cmd: exec.Command(self)}
	w.Env = append(os.Environ(), fmt.Sprint(envWorker, "=", number), "PROMETHEUS_MULTIPROC_DIR="+dir)
	w.Stderr = os.Stderr
	w.in, err = w.StdinPipe()
	require.NoError(t, err)
	out, err := w.StdoutPipe()
	require.NoError(t, err)
	w.out = bufio.NewScanner(out)
	require.NoError(t, w.Start())
	t.Cleanup(w.kill)
	w.count(t)
	return w
}

// count has the worker count a round.
func (w *worker) count(t *testing.T) {
	_, err := fmt.Fprintln(w.in)
	require.NoError(t, err)
	require.True(t, w.out.Scan(), "the worker has ended")
	require.Equal(t, "done", w.out.Text())
}

func (w *worker) kill() {
	if w.ProcessState == nil {
		w.Process.Kill()
		w.Wait()
	}
}

// kept is an exporter that keeps what the pipeline gives it.
type kept struct {
	component.StartFunc
	component.ShutdownFunc
	mu  sync.Mutex
	all []pmetric.Metrics
}

func (k *kept) Capabilities() consumer.Capabilities { return consumer.Capabilities{} }

func (k *kept) ConsumeMetrics(_ context.Context, m pmetric.Metrics) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	own := pmetric.NewMetrics()
	m.CopyTo(own)
	k.all = append(k.all, own)
	return nil
}

// take returns what has come since the last call.
func (k *kept) take() []pmetric.Metrics {
	k.mu.Lock()
	defer k.mu.Unlock()
	all := k.all
	k.all = nil
	return all
}

// noConfig is the settings of what has none.
type noConfig struct{}

func newNoConfig() component.Config { return &noConfig{} }

// startCollector runs a Collector until the test ends. It must log nothing but information.
func startCollector(t *testing.T) (k *kept, url string) {
	k = &kept{}
	core, logs := observer.New(zapcore.InfoLevel)
	factories := func() (out otelcol.Factories, err error) {
		out.Receivers, err = otelcol.MakeFactoryMap[receiver.Factory](otlpreceiver.NewFactory())
		if err != nil {
			return out, err
		}
		out.Exporters, err = otelcol.MakeFactoryMap(exporter.NewFactory(component.MustNewType("kept"), newNoConfig,
			exporter.WithMetrics(func(context.Context, exporter.Settings, component.Config) (exporter.Metrics, error) {
				return k, nil
			}, component.StabilityLevelStable)))
		out.Telemetry = telemetry.NewFactory(newNoConfig, telemetry.WithCreateLogger(
			func(context.Context, telemetry.LoggerSettings, component.Config) (*zap.Logger, component.ShutdownFunc, error) {
				return zap.New(core), nil, nil
			}))
		return out, err
	}
	c, err := otelcol.NewCollector(otelcol.CollectorSettings{
		BuildInfo: component.NewDefaultBuildInfo(), Factories: factories, DisableGracefulShutdown: true, SkipSettingGRPCLogger: true,
		ConfigProviderSettings: otelcol.ConfigProviderSettings{ResolverSettings: confmap.ResolverSettings{
			ProviderFactories: []confmap.ProviderFactory{yamlprovider.NewFactory()},
			URIs: []string{`yaml:{
				receivers: {otlp: {protocols: {http: {endpoint: "127.0.0.1:0"}}}},
				exporters: {kept: {}},
				service: {pipelines: {metrics: {receivers: [otlp], exporters: [kept]}}}}`},
		}},
	})
	require.NoError(t, err)
	ended := make(chan error, 1)
	go func() { ended <- c.Run(context.Background()) }()
	t.Cleanup(func() {
		c.Shutdown()
		require.NoError(t, <-ended)
		for _, e := range logs.All() {
			require.LessOrEqual(t, e.Level, zapcore.InfoLevel, e.Message)
		}
	})
	deadline := time.Now().Add(2 * time.Minute)
	for c.GetState() != otelcol.StateRunning {
		select {
		case err := <-ended:
			ended <- err
			require.FailNow(t, "the Collector has ended", err)
		case <-time.After(10 * time.Millisecond):
			require.True(t, time.Now().Before(deadline), "the Collector does not start")
		}
	}
	for _, e := range logs.FilterMessage("Starting HTTP server").All() {
		url = "http://" + e.ContextMap()["endpoint"].(string)
	}
	require.NotEmpty(t, url)
	return k, url
}

// buildMpctl builds the command, with a run function that must succeed.
func buildMpctl(t *testing.T) (run func(args ...string)) {
	path := filepath.Join(t.TempDir(), "mpctl")
	build := exec.Command("go", "build", "-o", path, "./cmd/mpctl")
	build.Dir = "../.."
	out, err := build.CombinedOutput()
	require.NoError(t, err, string(out))
	var env []string
	for _, v := range os.Environ() {
		if !strings.HasPrefix(v, "OTEL_") {
			env = append(env, v)
		}
	}
	return func(args ...string) {
		cmd := exec.Command(path, args...)
		cmd.Env = env
		out, err := cmd.CombinedOutput()
		require.NoError(t, err, "%v: %s", args, out)
		require.NotContains(t, string(out), "refused")
	}
}

// TestCollector: a Collector has every point of a directory with instruments of all types, and no
// other: in a first round, and in a second one after a worker was killed and compacted, others
// have counted on, and a new one has come.
func TestCollector(t *testing.T) {
	mpctl := buildMpctl(t)
	k, url := startCollector(t)
	dir := filepath.Join(t.TempDir(), "app")
	require.NoError(t, os.Mkdir(dir, 0o700))
	first, second, third := startWorker(t, dir, 1), startWorker(t, dir, 2), startWorker(t, dir, 3)
	round := func() points {
		want := expected(t, dir)
		before := time.Now()
		mpctl("otlp", url, "--dir", dir, "--resource", "service.name=shop", "--resource", "deployment.environment.name=tést")
		have := received(t, k.take(), dir, before, time.Now())
		want.equal(t, have)
		have.variety(t)
		return have
	}
	one := round()
	require.Contains(t, one, `app_requests_total{code="200",path="/é/1"}`)

	second.kill()
	mpctl("gc", dir)
	files, err := filepath.Glob(filepath.Join(dir, "*.mpm"))
	require.NoError(t, err)
	require.Len(t, files, 3, "two workers, and the archive with the dead one")
	first.count(t)
	third.count(t)
	startWorker(t, dir, 4).count(t)
	two := round()
	require.NotContains(t, two, `app_requests_total{code="200",path="/é/1"}`)
	require.Greater(t, len(two), len(one))
	changed := 0
	for key, text := range one {
		if now, ok := two[key]; ok && now != text {
			changed++
		}
	}
	require.Greater(t, changed, 4000)
	t.Logf("%d points, then %d, of which %d changed", len(one), len(two), changed)
}
