package prom_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
	"github.com/stretchr/testify/require"
)

// TestMigratedFile compiles a program that is instrumented with client_golang,
// promauto and promhttp's own instrumentation twice: as it is, and with nothing
// but its imports replaced, as the page says. One process of the first and four of the second get
// the same requests: what any of the four shows is what the one shows.
func TestMigratedFile(t *testing.T) {
	t.Parallel()
	const source = "testdata/server/main.go"
	original, err := os.ReadFile(source)
	require.NoError(t, err)
	swapped := string(original)
	page, err := os.ReadFile("../../docs/client_golang.md")
	require.NoError(t, err)
	rows := regexp.MustCompile("(?m)^\\| `(github.com/prometheus/client_golang/[^`]+)` \\| `([^`]+)` \\|$").FindAllStringSubmatch(string(page), -1)
	require.Len(t, rows, 3)
	for _, row := range rows {
		theirs, ours := strconv.Quote(row[1]), row[2]
		if !strings.Contains(ours, " ") {
			ours = strconv.Quote(ours)
		}
		require.Equal(t, 1, strings.Count(swapped, theirs))
		swapped = strings.Replace(swapped, theirs, ours, 1)
	}
	require.NotContains(t, swapped, "client_golang/")

	one := start(t, build(t, source, string(original)), "")
	dir, program := t.TempDir(), build(t, source, swapped)
	var four []string
	for range 4 {
		four = append(four, start(t, program, dir))
	}
	for i := range 100 {
		query, post := strings.Repeat("x", i%5), i%7 == 0
		request(t, one, query, post)
		request(t, four[i%4], query, post)
	}

	want := scrape(t, one)
	for _, address := range four {
		got := scrape(t, address)
		for _, name := range []string{
			"app_requests_total", "app_request_duration_seconds", "app_response_size_bytes", "app_requests_in_flight", "app_work",
		} {
			require.NotNil(t, want[name], name)
			require.Equal(t, values(want[name]), values(got[name]), name)
			require.Equal(t, want[name].GetHelp(), got[name].GetHelp())
			require.Equal(t, want[name].GetType(), got[name].GetType())
		}
		require.Equal(t, 4.0, got["app_workers"].Metric[0].Gauge.GetValue(), "the sum over processes")
		last := got["app_last_timestamp_seconds"].Metric
		require.Len(t, last, 1, "one series, of whichever process was last")
		require.InDelta(t, want["app_last_timestamp_seconds"].Metric[0].Gauge.GetValue(), last[0].Gauge.GetValue(), 60)
	}
}

// TestUnchangedLibrary runs code that makes its own metrics with client_golang in
// four processes, each of which publishes the library's registry. Each shows the
// exact sum of all.
func TestUnchangedLibrary(t *testing.T) {
	t.Parallel()
	const source = "testdata/library/main.go"
	content, err := os.ReadFile(source)
	require.NoError(t, err)
	dir, program := t.TempDir(), build(t, source, string(content))
	var four []string
	for range 4 {
		four = append(four, start(t, program, dir))
	}
	want := map[string]float64{"200": 0, "500": 0, "503": 0}
	for i := range 60 {
		post := i%7 == 0
		request(t, four[i%4], "", post)
		if post {
			want["503"]++
		} else {
			want["200"]++
		}
	}
	for _, address := range four {
		resp, err := http.Get("http://" + address + "/publish")
		require.NoError(t, err)
		body, err := io.ReadAll(resp.Body)
		require.NoError(t, err)
		resp.Body.Close()
		require.Equal(t, http.StatusOK, resp.StatusCode, "%s", body)
	}
	for _, address := range four {
		families := scrape(t, address)
		got := map[string]float64{}
		for _, m := range families["promhttp_metric_handler_requests_total"].GetMetric() {
			require.Len(t, m.Label, 1)
			got[m.Label[0].GetValue()] = m.Counter.GetValue()
		}
		require.Equal(t, want, got)
		require.Len(t, families["go_goroutines"].GetMetric(), 1, "the sum over processes")
		require.GreaterOrEqual(t, families["go_goroutines"].Metric[0].Gauge.GetValue(), 4.0)
	}
}

// TestLateEnvironment runs a program that sets the variable in main. What it makes and
// counts after that is in the directory. If it has made metrics before, Open is an error
// and the log is told, and its /metrics have what the processes of the directory have
// counted, not what it has counted itself.
func TestLateEnvironment(t *testing.T) {
	t.Parallel()
	const source = "testdata/late/main.go"
	content, err := os.ReadFile(source)
	require.NoError(t, err)
	program, dir := build(t, source, string(content)), t.TempDir()
	run := func(what, before string) (out, log string) {
		cmd := exec.Command(program, what, dir)
		cmd.Env = append(os.Environ(), "PROMETHEUS_MULTIPROC_DIR="+before)
		var stderr strings.Builder
		cmd.Stderr = &stderr
		b, err := cmd.Output()
		require.NoError(t, err, "%s: %s", what, stderr.String())
		return string(b), stderr.String()
	}
	for n := 1; n <= 2; n++ {
		out, log := run("nothing early", "")
		require.Contains(t, out, fmt.Sprintf("\nrequests_total %d\n", n))
		require.NotContains(t, log, "PROMETHEUS_MULTIPROC_DIR")
	}
	for what, isError := range map[string]bool{"Open": true, "Open after an update": true, "another metric": false, "scrape": false} {
		out, log := run(what, "")
		require.Equal(t, isError, strings.HasPrefix(out, "multiproc: open: too late: PROMETHEUS_MULTIPROC_DIR is "), "%s: %s", what, out)
		require.Contains(t, log, "set it before the program starts", what)
		require.Contains(t, out, "\nrequests_total 2\n", what)
	}
	other := t.TempDir()
	out, log := run("scrape", other)
	require.Contains(t, out, "\nrequests_total 102\n", "another directory counts until the first update")
	require.Empty(t, log)
	files, err := os.ReadDir(other)
	require.NoError(t, err)
	require.Empty(t, files)
}

// values returns what must be equal by labels: all but durations.
func values(f *dto.MetricFamily) map[string][]float64 {
	out := map[string][]float64{}
	for _, m := range f.GetMetric() {
		var labels []string
		for _, l := range m.Label {
			labels = append(labels, l.String())
		}
		v := []float64{m.Counter.GetValue(), m.Gauge.GetValue(), float64(m.Summary.GetSampleCount()), m.Summary.GetSampleSum(), float64(m.Histogram.GetSampleCount())}
		if !strings.HasSuffix(f.GetName(), "_seconds") {
			v = append(v, m.Histogram.GetSampleSum())
			for _, b := range m.Histogram.GetBucket() {
				v = append(v, b.GetUpperBound(), float64(b.GetCumulativeCount()))
			}
		}
		out[strings.Join(labels, ",")] = v
	}
	return out
}

// build compiles the file with that content in its place.
func build(t *testing.T, file, content string) string {
	t.Helper()
	path, err := filepath.Abs(file)
	require.NoError(t, err)
	dir := t.TempDir()
	replaced := filepath.Join(dir, "main.go")
	require.NoError(t, os.WriteFile(replaced, []byte(content), 0o600))
	overlay, err := json.Marshal(map[string]any{"Replace": map[string]string{path: replaced}})
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(filepath.Join(dir, "overlay.json"), overlay, 0o600))
	program := filepath.Join(dir, "server.exe")
	out, err := exec.Command("go", "build", "-overlay", filepath.Join(dir, "overlay.json"), "-o", program, "./"+filepath.ToSlash(filepath.Dir(file))).CombinedOutput()
	require.NoError(t, err, "%s", out)
	return program
}

// start runs the program, in a directory where one is given, and returns its
// address.
func start(t *testing.T, program, dir string) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	address := l.Addr().String()
	require.NoError(t, l.Close())
	cmd := exec.Command(program, address)
	cmd.Env = append(os.Environ(), "PROMETHEUS_MULTIPROC_DIR="+dir)
	cmd.Stderr = os.Stderr
	require.NoError(t, cmd.Start())
	t.Cleanup(func() {
		cmd.Process.Kill()
		cmd.Wait()
	})
	require.Eventually(t, func() bool {
		c, err := net.Dial("tcp", address)
		if err == nil {
			c.Close()
		}
		return err == nil
	}, 30*time.Second, 10*time.Millisecond)
	return address
}

func request(t *testing.T, address, query string, post bool) {
	t.Helper()
	method, want := http.MethodGet, http.StatusOK
	if post {
		method, want = http.MethodPost, http.StatusServiceUnavailable
	}
	r, err := http.NewRequest(method, "http://"+address+"/work?"+query, nil)
	require.NoError(t, err)
	resp, err := http.DefaultClient.Do(r)
	require.NoError(t, err)
	defer resp.Body.Close()
	_, err = io.Copy(io.Discard, resp.Body)
	require.NoError(t, err)
	require.Equal(t, want, resp.StatusCode)
}

func scrape(t *testing.T, address string) map[string]*dto.MetricFamily {
	t.Helper()
	resp, err := http.Get("http://" + address + "/metrics")
	require.NoError(t, err)
	defer resp.Body.Close()
	require.Equal(t, http.StatusOK, resp.StatusCode)
	parser := expfmt.NewTextParser(model.UTF8Validation)
	families, err := parser.TextToMetricFamilies(resp.Body)
	require.NoError(t, err)
	return families
}
