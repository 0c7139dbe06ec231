//go:build unix

package integration

import (
	"fmt"
	"net/http"
	"os"
	"strconv"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/require"

	"github.com/multiprom/multiprom/metric"
	"github.com/multiprom/multiprom/multiproc"
)

func init() { roles["mixed"] = mixedRole }

// mixedRole is a Go worker with the metrics of testdata/python/metrics.py.
func mixedRole() error {
	requests := multiproc.NewCounterVec(multiproc.CounterOpts{Name: "py_requests", Help: "Requests served."}, []string{"method"})
	said := multiproc.NewCounterVec(multiproc.CounterOpts{
		Name: "py_texts", Help: "Requests by what they say:\nits \\ and its \"quotes\", ü too.",
	}, []string{"text", "length"})
	latency := multiproc.NewHistogram(multiproc.HistogramOpts{Name: "py_latency_seconds", Help: "Time to serve.", Buckets: []float64{0.1, 0.5, 1}})
	size := multiproc.NewSummary(multiproc.SummaryOpts{Name: "py_size_bytes", Help: "Size of the answer."})
	var gauges []*multiproc.Gauge
	for name, mode := range map[string]metric.Mode{
		"all": metric.ModeAll, "liveall": metric.ModeLiveAll, "min": metric.ModeMin, "livemin": metric.ModeLiveMin,
		"max": metric.ModeMax, "livemax": metric.ModeLiveMax, "sum": metric.ModeSum, "livesum": metric.ModeLiveSum,
	} {
		gauges = append(gauges, multiproc.NewGauge(multiproc.GaugeOpts{Name: "py_" + name, Help: "A gauge of mode " + name + ".", Mode: mode}))
	}
	return serveInherited(func(r *http.Request) {
		text := r.URL.Query().Get("text")
		requests.WithLabelValues(r.Method).Inc()
		said.WithLabelValues(text, strconv.Itoa(utf8.RuneCountInString(text))).Inc()
		latency.Observe(0.25)
		size.Observe(3)
		for _, g := range gauges {
			g.Set(float64(os.Getpid() % 7))
		}
	})
}

// TestMixedFleet: Python and Go workers write the same families into one directory, die and
// are compacted. `mpctl serve` serves the sum of both.
func TestMixedFleet(t *testing.T) {
	f := newFleet(t)
	self, err := os.Executable()
	require.NoError(t, err)
	f.start(gunicornOf(ownHook, "app", ""))
	goAddress, metrics := freeAddress(t), freeAddress(t)
	go drain(startMpctl(t, []string{envRole + "=mixed"}, "run", "-n", "4", "--dir", f.dir, "--no-compact", "--listen", "tcp://"+goAddress, "--", self))
	go drain(startMpctl(t, nil, "serve", "--dir", f.dir, "--compact-threshold", "1", "--compact-period", "50ms", "--web.listen-address", metrics))
	goURL := "http://" + goAddress + "/"
	f.urls = append(f.urls, goURL)
	f.listens(goAddress)
	scrape := func() []byte {
		code, body := get(t, request(t, "http://"+metrics+"/metrics"))
		require.Equal(t, http.StatusOK, code, body)
		return []byte(body)
	}

	f.send(600)
	require.Zero(t, f.broken.Load())
	text := scrape()
	merged := f.counted(text)
	byPython := int64(0)
	for _, w := range f.seen {
		if w.url != goURL {
			byPython += w.answers
		}
	}
	eventually(t, "client_python's collector has the Python part", func() bool {
		own, err := f.own()
		return err == nil && int64(valueOf(t, own, "py_requests_total")) == byPython
	})
	require.Less(t, byPython, merged)
	require.Positive(t, byPython)
	f.gauges(text)
	f.log(merged, fmt.Sprintf("%d of them by Python", byPython))

	f.kill(600, 12)
	compacted := 0.0 // killed Go workers
	for compacted == 0 {
		f.kill(100, 1)
		for _, pid := range f.killedWorkers() {
			if f.seen[pid].url == goURL {
				compacted++
			}
		}
	}
	eventually(t, "the dead are compacted, and have no live gauge", func() bool {
		text = scrape()
		for _, pid := range f.killedWorkers() {
			if strings.Contains(string(text), fmt.Sprintf(`py_liveall{pid="%d"}`, pid)) {
				return false
			}
		}
		return valueOf(t, text, "multiprom_compacted_processes_total") >= compacted
	})
	f.gauges(text)
	f.log(f.counted(text), fmt.Sprintf("at least %v compacted", compacted))
}

// gauges checks the gauges of the workers that have answered: each has set its pid modulo 7.
func (f *fleet) gauges(text []byte) {
	f.t.Helper()
	sum, highest := 0, 0
	for _, pid := range f.workers() {
		sum, highest = sum+pid%7, max(highest, pid%7)
	}
	require.EqualValues(f.t, sum, valueOf(f.t, text, "py_sum"), "sum over the dead too")
	require.EqualValues(f.t, highest, valueOf(f.t, text, "py_max"))
	live := 0.0
	for _, s := range vectorOf(f.t, text, "py_liveall") {
		live += float64(s.Value)
	}
	require.EqualValues(f.t, live, valueOf(f.t, text, "py_livesum"))
}
