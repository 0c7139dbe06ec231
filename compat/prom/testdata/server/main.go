// Command server is instrumented with client_golang, as many programs are: the
// test compiles it as it is, and with its imports replaced.
package main

import (
	"fmt"
	"net/http"
	"os"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

var (
	requests = promauto.NewCounterVec(prometheus.CounterOpts{
		Namespace: "app", Name: "requests_total", Help: "Requests by status.",
	}, []string{"code", "method"})
	latency = prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Name: "app_request_duration_seconds", Help: "How long requests took.",
		Buckets: prometheus.ExponentialBuckets(0.001, 10, 4), ConstLabels: prometheus.Labels{"handler": "work"},
	}, []string{"code"})
	size     = prometheus.NewSummaryVec(prometheus.SummaryOpts{Name: "app_response_size_bytes", Help: "Size of answers."}, nil)
	inFlight = promauto.With(prometheus.DefaultRegisterer).NewGauge(prometheus.GaugeOpts{
		Name: "app_requests_in_flight", Help: "Requests that are being served.",
	})
	work = promauto.NewHistogram(prometheus.HistogramOpts{Name: "app_work", Help: "Units of work.", Buckets: prometheus.LinearBuckets(1, 1, 3)})
	last = promauto.NewGaugeVec(prometheus.GaugeOpts{Name: "app_last_timestamp_seconds", Help: "When work was last done."}, []string{"kind"})
	_    = promauto.NewGaugeFunc(prometheus.GaugeOpts{Name: "app_workers", Help: "Processes."}, func() float64 { return 1 })
)

func main() {
	if err := prometheus.Register(latency); err != nil {
		panic(err)
	}
	prometheus.MustRegister(size)
	http.Handle("/work", promhttp.InstrumentHandlerInFlight(inFlight,
		promhttp.InstrumentHandlerDuration(latency,
			promhttp.InstrumentHandlerCounter(requests,
				promhttp.InstrumentHandlerResponseSize(size, http.HandlerFunc(serve))))))
	http.Handle("/metrics", promhttp.Handler())
	if err := http.ListenAndServe(os.Args[1], nil); err != nil {
		panic(err)
	}
}

func serve(w http.ResponseWriter, r *http.Request) {
	timer := prometheus.NewTimer(prometheus.ObserverFunc(func(float64) { last.With(prometheus.Labels{"kind": "any"}).SetToCurrentTime() }))
	defer timer.ObserveDuration()
	work.Observe(float64(len(r.URL.RawQuery)))
	if r.Method == http.MethodPost {
		http.Error(w, "not now", http.StatusServiceUnavailable)
		return
	}
	fmt.Fprintln(w, "hello", r.URL.RawQuery)
}
