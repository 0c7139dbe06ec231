package integration

import (
	"bufio"
	"cmp"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestPrometheusScrapesTheDemo starts the demo and a real Prometheus, and compares the
// answers of its query API with the merged /metrics.
func TestPrometheusScrapesTheDemo(t *testing.T) {
	prometheus := needCommand(t, "prometheus")
	metrics := startDemo(t)
	api := startPrometheus(t, prometheus, strings.TrimSuffix(strings.TrimPrefix(metrics, "http://"), "/metrics"))

	eventually(t, "Prometheus has scraped the demo", func() bool {
		v, ok := query(t, api, `up{job="demo"}`)
		return ok && v == 1
	})
	var seen float64
	eventually(t, "Prometheus knows the merged counter", func() bool {
		v, ok := query(t, api, `demo_requests_total{method="POST",code="200"}`)
		seen = v
		return ok && v > 0
	})
	now := scrapeValue(t, metrics, `demo_requests_total{code="200",method="POST"}`)
	require.GreaterOrEqual(t, now, seen, "what Prometheus stored cannot be more than there is now")
	eventually(t, "a later scrape brings the later value", func() bool {
		v, _ := query(t, api, `demo_requests_total{method="POST",code="200"}`)
		return v >= now
	})
	workers, ok := query(t, api, `multiprom_processes{state="live"}`)
	require.True(t, ok)
	require.EqualValues(t, 4, workers)
	count, _ := query(t, api, `demo_request_duration_seconds_count - on(job) demo_request_duration_seconds_bucket{le="+Inf"}`)
	require.Zero(t, count, "_count equals the +Inf bucket in every scrape")
	processes, ok := query(t, api, `count(process_resident_memory_bytes{job="demo"})`)
	require.True(t, ok)
	require.EqualValues(t, 4, processes, "process metrics of every live worker")
}

// TestPromtoolAcceptsDump feeds `mpctl dump` to promtool's linter.
func TestPromtoolAcceptsDump(t *testing.T) {
	promtool := needCommand(t, "promtool")
	dir := t.TempDir()
	h := start(t, "updates", dir)
	h.expect(t, "attempt "+strconv.Itoa(batch))
	h.expect(t, "done "+strconv.Itoa(batch))
	dump := exec.Command(mpctl(t), "dump", "--dir", dir)
	dump.Stderr = os.Stderr
	text, err := dump.Output()
	require.NoError(t, err)
	require.Contains(t, string(text), "kill_updates_total{")
	check := exec.Command(promtool, "check", "metrics")
	check.Stdin = strings.NewReader(string(text))
	out, err := check.CombinedOutput()
	require.NoError(t, err, "%s\n%s", out, text)
}

var metricsURL = regexp.MustCompile(`http://\S+/metrics`)

// startDemo starts the demo until the end of the test and returns the URL of
// its merged metrics.
func startDemo(t *testing.T, args ...string) string {
	t.Helper()
	cmd := exec.Command(mpctl(t), append([]string{"demo", "--duration", "-1"}, args...)...)
	stderr, err := cmd.StderrPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	t.Cleanup(func() {
		cmd.Process.Signal(os.Interrupt)
		if err := cmd.Wait(); err != nil {
			t.Errorf("the demo was not exact: %v", err)
		}
	})
	lines := bufio.NewScanner(stderr)
	require.True(t, lines.Scan())
	u := metricsURL.FindString(lines.Text())
	require.NotEmpty(t, u, lines.Text())
	go drain(lines)
	return u
}

func startPrometheus(t *testing.T, program, target string) (api string) {
	t.Helper()
	return startPrometheusFor(t, program, map[string]string{"demo": target})
}

// startPrometheusFor starts a Prometheus that scrapes each job's target at its path every
// second until the test ends.
func startPrometheusFor(t *testing.T, program string, jobs map[string]string, flags ...string) (api string) {
	t.Helper()
	return startConfigured(t, program, "scrape_interval: 1s", jobs, flags...)
}

// startConfigured is startPrometheusFor with a global configuration.
func startConfigured(t *testing.T, program, global string, jobs map[string]string, flags ...string) (api string) {
	t.Helper()
	dir := t.TempDir()
	config := "global:\n  " + global + "\nscrape_configs:\n"
	for job, target := range jobs {
		address, path, _ := strings.Cut(target, "/")
		config += fmt.Sprintf("- {job_name: %q, metrics_path: %q, static_configs: [{targets: [%q]}]}\n", job, "/"+cmp.Or(path, "metrics"), address)
	}
	file := filepath.Join(dir, "p.yml")
	require.NoError(t, os.WriteFile(file, []byte(config), 0o600))
	address := freeAddress(t)
	cmd := exec.Command(program, append(flags, "--config.file="+file, "--storage.tsdb.path="+filepath.Join(dir, "data"),
		"--web.listen-address="+address, "--log.level=error")...)
	require.NoError(t, cmd.Start())
	t.Cleanup(func() {
		cmd.Process.Kill()
		cmd.Wait()
	})
	api = "http://" + address
	eventually(t, "Prometheus is ready", func() bool {
		resp, err := http.Get(api + "/-/ready")
		if err != nil {
			return false
		}
		resp.Body.Close()
		return resp.StatusCode == http.StatusOK
	})
	return api
}

func freeAddress(t testing.TB) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer l.Close()
	return l.Addr().String()
}

// query returns the value of an instant query that returns one series.
func query(t *testing.T, api, expr string) (float64, bool) {
	t.Helper()
	resp, err := http.Get(api + "/api/v1/query?query=" + url.QueryEscape(expr))
	require.NoError(t, err)
	defer resp.Body.Close()
	var answer struct {
		Data struct {
			Result []struct{ Value [2]any }
		}
	}
	require.NoError(t, json.NewDecoder(resp.Body).Decode(&answer))
	if len(answer.Data.Result) != 1 {
		return 0, false
	}
	v, err := strconv.ParseFloat(answer.Data.Result[0].Value[1].(string), 64)
	require.NoError(t, err)
	return v, true
}

// scrapeValue returns one sample of a text exposition.
func scrapeValue(t *testing.T, u, sample string) float64 {
	t.Helper()
	resp, err := http.Get(u)
	require.NoError(t, err)
	defer resp.Body.Close()
	lines := bufio.NewScanner(resp.Body)
	for lines.Scan() {
		if text, ok := strings.CutPrefix(lines.Text(), sample+" "); ok {
			v, err := strconv.ParseFloat(text, 64)
			require.NoError(t, err)
			return v
		}
	}
	t.Fatalf("%s has no sample %s", u, sample)
	return 0
}
