package integration

import (
	"encoding/json"
	"fmt"
	"math"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/multiprom/multiprom/exposition"
	"github.com/multiprom/multiprom/internal/pyfiletest"
	"github.com/multiprom/multiprom/registry"
)

// Tests of values that some receivers or formats cannot represent: the table in
// docs/exposition.md.

// oddDir is a directory with a histogram that has a negative bound and a negative
// sum, one whose sum is NaN, a counter that is NaN and a name that is not a legacy one.
func oddDir(t *testing.T) (dir string) {
	t.Helper()
	dir = t.TempDir()
	write := func(name string, samples ...pyfiletest.Sample) {
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), pyfiletest.Timed.Content(samples...), 0o600))
	}
	histogram := func(name string, sum float64) []pyfiletest.Sample {
		key := func(sample, labels string) string {
			return `["` + name + `", "` + name + sample + `", ` + labels + `, "H."]`
		}
		return []pyfiletest.Sample{
			{Key: key("_bucket", `{"le": "-1.0"}`), Value: 2}, {Key: key("_bucket", `{"le": "1e+06"}`), Value: 1}, {Key: key("_bucket", `{"le": "+Inf"}`), Value: 1},
			{Key: key("_sum", `{}`), Value: sum},
		}
	}
	write("histogram_1.db", append(histogram("odd_negative", -5.5), histogram("odd_nan", math.NaN())...)...)
	write("counter_1.db", pyfiletest.Sample{Key: `["odd_counter", "odd_counter_total", {}, "C."]`, Value: math.NaN()},
		pyfiletest.Sample{Key: `["odd_good", "odd_good_total", {}, "C."]`, Value: 7})
	write("gauge_max_1.db", pyfiletest.Sample{Key: `["odd.name", "odd.name", {}, "G."]`, Value: 3})
	return dir
}

// Samples of oddDir as a receiver shows them: those that are always there, those with
// bounds as in text or as in OpenMetrics, those that OpenMetrics forbids, and NaNs.
const (
	oddAlways    = "odd_good_total 7|odd_name 3"
	oddText      = `odd_negative_bucket{le="-1"} 2|odd_negative_bucket{le="1e+06"} 3|odd_negative_bucket{le="+Inf"} 4|odd_nan_bucket{le="-1"} 2|odd_nan_bucket{le="1e+06"} 3|odd_nan_bucket{le="+Inf"} 4`
	oddCanonical = `odd_negative_bucket{le="-1.0"} 2|odd_negative_bucket{le="1e+06"} 3|odd_negative_bucket{le="+Inf"} 4|odd_nan_bucket{le="-1.0"} 2|odd_nan_bucket{le="1e+06"} 3|odd_nan_bucket{le="+Inf"} 4`
	oddForbidden = "odd_negative_sum -5.5|odd_negative_count 4|odd_nan_count 4"
	oddNaN       = "odd_nan_sum NaN|odd_counter_total NaN"
)

func odd(parts ...string) []string { return strings.Split(strings.Join(parts, "|"), "|") }

// TestPushedAndWrittenValues: a Pushgateway and node_exporter show true values, including
// NaNs and sums of histograms with negative bounds.
func TestPushedAndWrittenValues(t *testing.T) {
	dir := oddDir(t)
	shown := func(address, labels string) (out []string) {
		t.Helper()
		_, text := get(t, request(t, "http://"+address+"/metrics"))
		for line := range strings.Lines(text) {
			if strings.HasPrefix(line, "odd_") {
				line = strings.Replace(strings.TrimSuffix(line, "\n"), labels+",", "", 1)
				out = append(out, strings.Replace(line, "{"+labels+"}", "", 1))
			}
		}
		return out
	}
	t.Run("Pushgateway", func(t *testing.T) {
		address := freeAddress(t)
		startServer(t, needCommand(t, "prometheus-pushgateway"), "--web.listen-address="+address)
		get(t, request(t, "http://"+address+"/metrics"))
		for _, compression := range []string{"none", "gzip"} {
			code, out := mpctlSays(t, "push", address, "--dir", dir, "--job", "a", "--compression", compression)
			require.Zero(t, code, out)
			require.ElementsMatch(t, odd(oddAlways, oddText, oddForbidden, oddNaN), shown(address, `instance="",job="a"`))
			code, out = mpctlSays(t, "push", address, "--job", "a", "--delete")
			require.Zero(t, code, out)
		}
		code, out := mpctlSays(t, "push", address, "--dir", dir, "--job", "a", "--compression", "snappy")
		require.Equal(t, 2, code, "%s: Debian's version reads no snappy, as --help says", out)
	})
	t.Run("node_exporter", func(t *testing.T) {
		target, address := t.TempDir(), freeAddress(t)
		startServer(t, needCommand(t, "prometheus-node-exporter"), "--web.listen-address="+address, "--collector.disable-defaults", "--collector.textfile", "--collector.textfile.directory="+target)
		code, out := mpctlSays(t, "textfile", filepath.Join(target, "a.prom"), "--dir", dir)
		require.Zero(t, code, out)
		require.ElementsMatch(t, odd(oddAlways, oddText, oddForbidden, oddNaN), shown(address, "none"))
	})
}

// TestTextfilesOfTwoApplications: if each application has a label, one node_exporter shows
// all metrics of both. Without labels it shows only one of two equal series.
func TestTextfilesOfTwoApplications(t *testing.T) {
	program := needCommand(t, "prometheus-node-exporter")
	one, other := mergedJobs(t), oddDir(t)
	for _, labelled := range []bool{true, false} {
		target, address := t.TempDir(), freeAddress(t)
		startServer(t, program, "--web.listen-address="+address, "--collector.disable-defaults", "--collector.textfile", "--collector.textfile.directory="+target)
		var written []string
		for app, dir := range map[string]string{"one": one, "other": other} {
			file := filepath.Join(target, app+".prom")
			args := []string{"textfile", file, "--dir", dir}
			if labelled {
				args = append(args, "--label", "app="+app)
			}
			code, out := mpctlSays(t, args...)
			require.Zero(t, code, out)
			text, err := os.ReadFile(file)
			require.NoError(t, err)
			for line := range strings.Lines(string(text)) {
				if strings.HasPrefix(line, "multiprom_") {
					name, _, _ := strings.Cut(line, " ")
					written = append(written, name)
				}
			}
		}
		_, text := get(t, request(t, "http://"+address+"/metrics"))
		require.Contains(t, text, "\nnode_textfile_scrape_error 0\n")
		if labelled {
			for _, name := range written {
				require.Contains(t, text, "\n"+name+" ")
			}
			require.Len(t, written, strings.Count(text, "\nmultiprom_"))
		} else {
			require.Greater(t, len(written), strings.Count(text, "\nmultiprom_"), "node_exporter has what is there twice once")
		}
		require.Equal(t, labelled, strings.Contains(text, `jobs_total{app="one",queue="a b/c"} 7`))
	}
}

// TestServersReadOddValues has Prometheus and VictoriaMetrics scrape oddDir in each protocol
// that they support.
func TestServersReadOddValues(t *testing.T) {
	prometheus, victoria := needCommand(t, "prometheus"), needCommand(t, "victoria-metrics")
	a := open(t, oddDir(t))
	serve := func(opts exposition.HandlerOptions) string {
		s := httptest.NewServer(exposition.HandlerFor(registry.Directory(a), opts))
		t.Cleanup(s.Close)
		return strings.TrimPrefix(s.URL, "http://")
	}
	strict, lenient := serve(exposition.HandlerOptions{}), serve(exposition.HandlerOptions{Lenient: true})
	openMetrics := startPrometheusFor(t, prometheus, map[string]string{"strict": strict, "lenient": lenient})
	protobuf := startPrometheusFor(t, prometheus, map[string]string{"strict": strict}, "--enable-feature=native-histograms")
	vm := freeAddress(t)
	config := filepath.Join(t.TempDir(), "scrape.yml")
	require.NoError(t, os.WriteFile(config, fmt.Appendf(nil, "global: {scrape_interval: 1s}\nscrape_configs: [{job_name: strict, static_configs: [{targets: [%q]}]}]", strict), 0o600))
	startServer(t, victoria, "-httpListenAddr="+vm, "-storageDataPath="+t.TempDir(), "-retentionPeriod=100y", "-search.latencyOffset=0s", "-promscrape.config="+config)

	for _, tt := range []struct {
		name, api, job string
		want           []string
	}{
		{"Prometheus, OpenMetrics", openMetrics, "strict", odd(oddAlways, oddCanonical)},
		{"Prometheus, OpenMetrics, lenient", openMetrics, "lenient", odd(oddAlways, oddCanonical, oddForbidden, oddNaN)},
		{"Prometheus, protobuf", protobuf, "strict", odd(oddAlways, oddCanonical, oddForbidden, oddNaN)},
		{"VictoriaMetrics, text", "http://" + vm, "strict", odd(oddAlways, oddText, oddForbidden)}, // it does not store NaN
	} {
		t.Run(tt.name, func(t *testing.T) {
			eventually(t, "it has scraped", func() bool { return len(series(t, tt.api, `odd_good_total{job="`+tt.job+`"}`)) == 1 })
			require.ElementsMatch(t, tt.want, series(t, tt.api, `{__name__=~"odd.*",job="`+tt.job+`"}`))
		})
	}
}

// TestStrictParserRejectsLenient: client_python's OpenMetrics parser reads strict output and
// rejects lenient output.
func TestStrictParserRejectsLenient(t *testing.T) {
	const python = "/usr/bin/python3"
	program := "import sys; from prometheus_client.openmetrics.parser import text_string_to_metric_families as p; print(len(list(p(sys.stdin.read()))))"
	need(t, exec.Command(python, "-c", "import prometheus_client.openmetrics.parser").Run() == nil, "python3-prometheus-client is not installed")
	dir := oddDir(t)
	for _, lenient := range []bool{false, true} {
		var stdout, stderr strings.Builder
		dump := exec.Command(mpctl(t), "dump", "--dir", dir, "--format", "openmetrics", fmt.Sprintf("--lenient=%v", lenient))
		dump.Stdout, dump.Stderr = &stdout, &stderr
		require.NoError(t, dump.Run(), stderr.String())
		require.Equal(t, !lenient, strings.Contains(stderr.String(), "note: "), stderr.String())
		parse := exec.Command(python, "-c", program)
		parse.Stdin = strings.NewReader(stdout.String())
		out, err := parse.CombinedOutput()
		require.Equal(t, lenient, err != nil, "%s", out)
	}
}

// series returns the samples of an instant query, without the labels of the target.
func series(t *testing.T, api, query string) (out []string) {
	t.Helper()
	_, body := get(t, request(t, api+"/api/v1/query?query="+url.QueryEscape(query)))
	var answer struct {
		Data struct {
			Result []struct {
				Metric map[string]string
				Value  [2]any
			}
		}
	}
	require.NoError(t, json.Unmarshal([]byte(body), &answer), body)
	for _, r := range answer.Data.Result {
		bound := ""
		if le, ok := r.Metric["le"]; ok {
			bound = `{le="` + le + `"}`
		}
		out = append(out, fmt.Sprint(r.Metric["__name__"], bound, " ", r.Value[1]))
	}
	return out
}

// TestNamesByProtocol: a UTF-8 name arrives under different names in different protocols,
// because Prometheus 3 asks for UTF-8 names in text and OpenMetrics but not in protobuf.
func TestNamesByProtocol(t *testing.T) {
	a := open(t, oddDir(t))
	handler := exposition.HandlerFor(registry.Directory(a), exposition.HandlerOptions{})
	const (
		protobuf  = "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited"
		prom3     = "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.5,application/openmetrics-text;version=0.0.1;q=0.4,text/plain;version=1.0.0;escaping=allow-utf-8;q=0.3,text/plain;version=0.0.4;q=0.2"
		prom3Text = "text/plain;version=1.0.0;escaping=allow-utf-8;q=0.7,text/plain;version=0.0.4;q=0.6,*/*;q=0.5"
		prom242   = "application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,text/plain;version=0.0.4;q=0.5,*/*;q=0.1"
	)
	for _, tt := range []struct{ name, accept, want string }{
		{"Prometheus 3", prom3 + ",*/*;q=0.1", `{"odd.name"}`},
		{"Prometheus 3, text", prom3Text, `{"odd.name"}`},
		{"Prometheus 3 with native histograms", protobuf + ";q=0.6," + prom3 + ",*/*;q=0.1", "odd_name"},
		{"Prometheus 2.42", prom242, "odd_name"},
		{"Prometheus 2.42 with native histograms", protobuf + "," + prom242, "odd_name"},
	} {
		r := httptest.NewRequest(http.MethodGet, "/metrics", nil)
		r.Header.Set("Accept", tt.accept)
		w := httptest.NewRecorder()
		handler.ServeHTTP(w, r)
		require.Contains(t, w.Body.String(), tt.want, tt.name)
		require.Equal(t, tt.want == "odd_name", !strings.Contains(w.Body.String(), "odd.name"), tt.name)
	}
}
