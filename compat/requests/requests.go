package requests

import (
	"strconv"
	"time"

	"github.com/multiprom/multiprom/metric"
	"github.com/multiprom/multiprom/multiproc"
)

// Unmatched is the path of requests that no route takes. No pattern equals it, since
// patterns begin with a slash.
const Unmatched = "unmatched"

// other stands for methods and codes that HTTP does not have.
const other = "other"

// Options of New. The zero value declares in the default Set.
type Options struct {
	// Set declares the instruments. Default multiproc.Default().
	Set *multiproc.Set
	// Namespace and Subsystem begin the names. Default: none.
	Namespace, Subsystem string
	// ConstLabels are on every series. Default: none.
	ConstLabels multiproc.Labels
	// Buckets of the durations, in seconds. Default multiproc.DefBuckets.
	Buckets []float64
	// Now is the clock. Default time.Now.
	Now func() time.Time
}

// Metrics are the instruments of one server.
type Metrics struct {
	total    *multiproc.CounterVec
	duration *multiproc.HistogramVec
	inFlight *multiproc.Gauge
	now      func() time.Time
	codes    [600]string
}

// New declares the instruments; equal options give the same ones. It does no I/O, so
// that a prefork master may call it too. It panics where the options are invalid or a
// name is taken by another definition, as the constructors of package multiproc.
func New(opts Options) *Metrics {
	if opts.Set == nil {
		opts.Set = multiproc.Default()
	}
	if opts.Now == nil {
		opts.Now = time.Now
	}
	m := &Metrics{
		total: multiproc.MustNew(opts.Set.NewCounterVec(multiproc.CounterOpts{
			Namespace: opts.Namespace, Subsystem: opts.Subsystem, Name: "http_requests_total",
			Help: "HTTP requests answered, by method, route and status code.", ConstLabels: opts.ConstLabels,
		}, []string{"method", "path", "code"})),
		duration: multiproc.MustNew(opts.Set.NewHistogramVec(multiproc.HistogramOpts{
			Namespace: opts.Namespace, Subsystem: opts.Subsystem, Name: "http_request_duration_seconds",
			Help: "How long handlers took, by method and route.", ConstLabels: opts.ConstLabels, Buckets: opts.Buckets,
		}, []string{"method", "path"})),
		inFlight: multiproc.MustNew(opts.Set.NewGauge(multiproc.GaugeOpts{
			Namespace: opts.Namespace, Subsystem: opts.Subsystem, Name: "http_requests_in_flight",
			Help: "HTTP requests that are being handled now.", ConstLabels: opts.ConstLabels,
			// Those of a killed process are in flight no more.
			Mode: metric.ModeLiveSum,
		})),
		now: opts.Now,
	}
	for code := range m.codes {
		m.codes[code] = other
		if code >= 100 {
			m.codes[code] = strconv.Itoa(code)
		}
	}
	return m
}

// Request is a request that is being handled.
type Request struct {
	metrics *Metrics
	start   time.Time
}

// Begin counts a request in flight.
func (m *Metrics) Begin() Request {
	m.inFlight.Inc()
	return Request{m, m.now()}
}

// End counts the request, to be called once, before its answer is sent. path is the
// route's pattern; empty is Unmatched. The strings are not kept.
func (r Request) End(method, path string, code int) {
	m := r.metrics
	if path == "" {
		path = Unmatched
	}
	method = known(method)
	label := other
	if code >= 0 && code < len(m.codes) {
		label = m.codes[code]
	}
	m.duration.WithLabelValues(method, path).Observe(m.now().Sub(r.start).Seconds())
	m.inFlight.Dec()
	m.total.WithLabelValues(method, path, label).Inc()
}

// known bounds the methods: those of RFC 9110 and PATCH of RFC 5789.
func known(method string) string {
	switch method {
	case "GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH":
		return method
	}
	return other
}
