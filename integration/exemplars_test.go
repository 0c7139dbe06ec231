package integration

import (
	"fmt"
	"net/http/httptest"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/multiprom/multiprom/aggregate"
	"github.com/multiprom/multiprom/exposition"
	"github.com/multiprom/multiprom/multiproc"
)

// tracedRole counts once with exemplars whose trace id names the process.
func tracedRole() error {
	trace := multiproc.Labels{"trace_id": fmt.Sprint("of-", os.Getpid())}
	served := multiproc.NewCounterVec(multiproc.CounterOpts{Name: "traced_total", Help: "T."}, []string{"path"})
	served.WithLabelValues("/").AddWithExemplar(1, trace)
	latency := multiproc.NewHistogram(multiproc.HistogramOpts{Name: "traced_seconds", Help: "T.", Buckets: []float64{0.1, 1}})
	latency.ObserveWithExemplar(0.5, trace)
	fmt.Println("traced")
	return block()
}

// TestExemplarsReachPrometheus reads the exemplars of a living process, and of one that was
// killed and compacted, back from Prometheus.
func TestExemplarsReachPrometheus(t *testing.T) {
	prometheus := needCommand(t, "prometheus")
	dir := t.TempDir()
	first := start(t, "traced", dir)
	first.expect(t, "traced")
	first.kill()
	_, err := aggregate.Compact(t.Context(), dir, aggregate.CompactOptions{})
	require.NoError(t, err)
	a, err := aggregate.Open(dir, aggregate.Options{})
	require.NoError(t, err)
	t.Cleanup(func() { a.Close() })
	server := httptest.NewServer(exposition.Handler(a))
	t.Cleanup(server.Close)

	_, text := get(t, request(t, server.URL))
	require.Contains(t, text, "traced_total")
	require.NotContains(t, text, "trace_id", "text has no exemplars")
	api := startPrometheusFor(t, prometheus, map[string]string{"traced": strings.TrimPrefix(server.URL, "http://")},
		"--enable-feature=exemplar-storage")
	dead := fmt.Sprint("of-", first.Process.Pid)
	for _, sample := range []string{"traced_total", "traced_seconds_bucket"} {
		eventually(t, "Prometheus has the dead process's exemplars", func() bool {
			return exemplars(t, api, sample)[dead] == sample
		})
	}
	second := start(t, "traced", dir)
	second.expect(t, "traced")
	living := fmt.Sprint("of-", second.Process.Pid)
	for _, sample := range []string{"traced_total", "traced_seconds_bucket"} {
		eventually(t, "the newer exemplar takes its place", func() bool {
			return exemplars(t, api, sample)[living] == sample
		})
	}
	v, ok := query(t, api, `traced_total{path="/"}`)
	require.True(t, ok)
	require.EqualValues(t, 2, v)
}
