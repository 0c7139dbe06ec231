package otlp

import (
	"math"
	"net/http"
	"strings"
	"unicode/utf8"

	"github.com/klauspost/compress/gzip"

	"github.com/multiprom/multiprom/bridge/internal/send"
	"github.com/multiprom/multiprom/internal/form"
	"github.com/multiprom/multiprom/internal/views"
	"github.com/multiprom/multiprom/metric"
)

// encoder writes rows as requests. It keeps its buffers, so that a round allocates nothing for
// a series.
type encoder struct {
	resource             []byte // the field of ResourceMetrics
	maxSamples, maxBytes int

	// The round.
	round *send.Round
	now   uint64 // in nanoseconds
	known send.LabelCache

	// The batch.
	samples int
	metrics []byte // fields of ScopeMetrics
	whole   []byte
	gzip    *gzip.Writer

	// The metric.
	kind     kind
	native   bool   // the histogram has series with native buckets
	reserved string // label that the type writes
	head     []byte // name, description, unit and metadata
	points   []byte
	count    int

	// The series.
	attrs []byte // its labels, encoded
	point []byte
}

// kind is how OTLP calls the data of a metric.
type kind struct {
	field     int // of Metric
	sum       bool
	monotonic bool
	created   bool // its series have a start time
	attribute int  // field of the attributes in a point
}

var (
	gaugeKind     = kind{field: metricGauge, attribute: numberAttributes}
	counterKind   = kind{field: metricSum, sum: true, monotonic: true, created: true, attribute: numberAttributes}
	upDownKind    = kind{field: metricSum, sum: true, attribute: numberAttributes}
	histogramKind = kind{field: metricHistogram, sum: true, created: true, attribute: histogramAttributes}
	nativeKind    = kind{field: metricExponential, sum: true, created: true, attribute: histogramAttributes} // see retag
	summaryKind   = kind{field: metricSummary, created: true, attribute: summaryAttributes}
)

// Begin begins a round.
func (e *encoder) Begin(r *send.Round) {
	if e.gzip == nil {
		e.gzip, _ = gzip.NewWriterLevel(nil, gzip.BestSpeed) // the level is valid
	}
	e.round, e.now = r, uint64(r.Time.UnixNano())
	e.samples, e.metrics = 0, e.metrics[:0]
	e.known.Begin()
}

// End ends it.
func (e *encoder) End() { e.flush() }

// names returns the names of the metrics that a family becomes.
func names(name string, t metric.Type) []string {
	name = validUTF8(name)
	switch t {
	case metric.Counter:
		return []string{name + "_total"}
	case metric.Info:
		return []string{name + "_info"}
	case metric.GaugeHistogram:
		return []string{name + "_bucket", name + "_gcount", name + "_gsum"}
	case metric.Histogram:
		return []string{name, name} // with explicit bounds, and exponential ones
	}
	return []string{name}
}

// Names returns the names under which Prometheus would store the family's series.
func (e *encoder) Names(name string, t metric.Type) []string {
	out := names(name, t)
	if t == metric.Histogram || t == metric.Summary {
		name = out[0]
		out = append(out, name+"_count", name+"_sum")
		if t == metric.Histogram {
			out = append(out, name+"_bucket")
		}
	}
	return out
}

// Family adds the metrics that a family becomes.
func (e *encoder) Family(f *views.Family) (left int) {
	for part, name := range names(f.Name, f.Type) {
		if f.Type == metric.Histogram && part == 1 && !e.native {
			break // none of its series has native buckets
		}
		e.beginMetric(name, f.Family, part)
		e.known.Each(f, e.appendAttributes, func(s *metric.Series, attrs []byte) {
			e.attrs = attrs
			e.encodeSeries(f.Family, s, part, false)
		})
		e.endMetric()
	}
	return 0
}

// Gone writes that series have ended. Parts of series are left out: a point has all buckets or
// none.
func (e *encoder) Gone(g *send.Gone) {
	if g.Taken != nil {
		return
	}
	head := &metric.Family{Name: g.Name, Type: g.Type}
	var attrs []byte
	for part, name := range names(g.Name, g.Type) {
		e.beginMetric(name, head, part)
		g.Each(func(s *metric.Series, some bool) {
			if !some {
				attrs = e.appendAttributes(attrs[:0], s.Labels)
				e.attrs = attrs
				e.encodeSeries(head, s, part, true)
			}
		})
		e.endMetric()
	}
}

// appendAttributes appends the labels of a series of the metric.
func (e *encoder) appendAttributes(dst []byte, labels metric.Labels) []byte {
	for _, l := range labels {
		if l.Value != "" && l.Name != "" && l.Name != e.reserved {
			dst = appendAttribute(dst, e.kind.attribute, validUTF8(l.Name), validUTF8(l.Value))
		}
	}
	return dst
}

// beginMetric begins metric number part of a family.
func (e *encoder) beginMetric(name string, f *metric.Family, part int) {
	switch f.Type {
	case metric.Counter:
		e.kind = counterKind
	case metric.Info, metric.StateSet:
		e.kind = upDownKind
	case metric.Histogram:
		e.kind = histogramKind
		if e.native = part == 1; e.native {
			e.kind = nativeKind
		}
	case metric.Summary:
		e.kind = summaryKind
	default:
		e.kind = gaugeKind
	}
	e.head = appendText(e.head[:0], metricName, name)
	if f.Help != "" {
		e.head = appendText(e.head, metricDescription, validUTF8(f.Help))
	}
	if f.Unit != "" {
		e.head = appendText(e.head, metricUnit, unit(f.Unit))
	}
	switch f.Type {
	case metric.Unknown, metric.Info, metric.StateSet, metric.GaugeHistogram:
		e.head = appendAttribute(e.head, metricMetadata, "prometheus.type", f.Type.String())
	}
	e.reserved = f.Type.ReservedLabel(f.Name)
	e.points, e.count = e.points[:0], 0
}

// endMetric adds the metric to the batch, unless it has no points.
func (e *encoder) endMetric() {
	if e.count == 0 {
		return
	}
	size := len(e.points)
	if e.kind.sum {
		size += 2
	}
	if e.kind.monotonic {
		size += 2
	}
	e.metrics = appendHead(e.metrics, scopeMetrics, len(e.head)+headSize(size)+size)
	e.metrics = append(e.metrics, e.head...)
	e.metrics = appendHead(e.metrics, e.kind.field, size)
	e.metrics = append(e.metrics, e.points...)
	if e.kind.sum {
		e.metrics = appendUint(e.metrics, dataTemporality, cumulative)
	}
	if e.kind.monotonic {
		e.metrics = appendUint(e.metrics, sumMonotonic, 1)
	}
	e.points, e.count = e.points[:0], 0
}

// flush ends a batch, unless it is empty.
func (e *encoder) flush() {
	e.endMetric()
	if e.samples == 0 {
		return
	}
	scope := len(scopeField) + len(e.metrics)
	resource := len(e.resource) + headSize(scope) + scope
	e.whole = appendHead(e.whole[:0], requestResource, resource)
	e.whole = append(e.whole, e.resource...)
	e.whole = appendHead(e.whole, resourceScope, scope)
	e.whole = append(e.whole, scopeField...)
	e.whole = append(e.whole, e.metrics...)
	e.round.Add(1, e.samples, func(dst []byte) []byte {
		w := appender{dst}
		e.gzip.Reset(&w)
		_, _ = e.gzip.Write(e.whole) // never fails on memory
		_ = e.gzip.Close()
		return w.bytes
	})
	e.samples, e.metrics = 0, e.metrics[:0]
}

// appender is a writer that appends.
type appender struct{ bytes []byte }

func (a *appender) Write(b []byte) (int, error) {
	a.bytes = append(a.bytes, b...)
	return len(b), nil
}

// encodeSeries writes the points of a series for metric number part of its family. ended says
// that it has no value any more.
func (e *encoder) encodeSeries(f *metric.Family, s *metric.Series, part int, ended bool) {
	switch f.Type {
	case metric.Histogram:
		// A point has one kind of buckets, so that of a series with both is exponential.
		switch native := s.Native != nil; {
		case native && part == 1:
			e.add(e.exponential(s, ended))
		case native:
			e.native = true
		case part == 0:
			e.add(e.histogram(s, ended))
		}
	case metric.Summary:
		e.add(e.summary(s, ended))
	case metric.Info:
		e.number(s, 1, "", "", nil, ended)
	case metric.StateSet:
		for _, st := range s.States {
			on := 0.0
			if st.On {
				on = 1
			}
			e.number(s, on, e.reserved, st.Name, nil, ended)
		}
	case metric.GaugeHistogram:
		switch part {
		case 0:
			for i := range s.Buckets {
				b := &s.Buckets[i]
				e.number(s, float64(b.Count), "le", string(form.AppendCanonical(nil, b.UpperBound)), nil, ended)
			}
		case 1:
			e.number(s, float64(s.Count), "", "", nil, ended)
		case 2:
			if !s.NoSum {
				e.number(s, s.Sum, "", "", nil, ended)
			}
		}
	default:
		e.number(s, s.Value, "", "", s.Exemplar, ended)
	}
}

// times appends the start time and the time of a point, which cannot be older than its start.
func (e *encoder) times(dst []byte, s *metric.Series, ended bool) []byte {
	at := e.at(s)
	if !s.Created.IsZero() && !ended && e.kind.created {
		start := uint64(s.Created.UnixNano())
		if start > at && s.Timestamp.IsZero() && !s.Created.After(e.round.Read) {
			at = start
		}
		if start <= at { // otherwise a clock is or was wrong
			dst = appendFixed(dst, pointStart, start)
		}
	}
	return appendFixed(dst, pointTime, at)
}

func (e *encoder) at(s *metric.Series) uint64 {
	if s.Timestamp.IsZero() {
		return e.now
	}
	return uint64(s.Timestamp.UnixNano())
}

// number adds a point of one value, with a further attribute unless its name is empty.
func (e *encoder) number(s *metric.Series, v float64, name, value string, x *metric.Exemplar, ended bool) {
	dst := append(e.point[:0], e.attrs...)
	if name != "" {
		dst = appendAttribute(dst, numberAttributes, validUTF8(name), validUTF8(value))
	}
	dst = e.times(dst, s, ended)
	if ended {
		dst = appendUint(dst, numberFlags, noRecordedValue)
	} else {
		dst = appendFixed(dst, numberDouble, math.Float64bits(v))
		dst = e.appendExemplar(dst, numberExemplars, x, s)
	}
	e.point = dst
	e.add(dst)
}

// histogram returns a point with explicit bounds.
func (e *encoder) histogram(s *metric.Series, ended bool) []byte {
	dst := e.times(append(e.point[:0], e.attrs...), s, ended)
	if ended {
		e.point = appendUint(dst, histogramFlags, noRecordedValue)
		return e.point
	}
	dst = appendFixed(dst, pointCount, s.Count)
	if !s.NoSum {
		dst = appendFixed(dst, pointSum, math.Float64bits(s.Sum))
	}
	finite := s.Buckets
	if n := len(finite); n > 0 && math.IsInf(finite[n-1].UpperBound, 1) {
		finite = finite[:n-1]
	}
	dst = appendHead(dst, histogramCounts, 8*(len(finite)+1))
	before := uint64(0)
	for i := range finite {
		dst = appendLittle(dst, finite[i].Count-before)
		before = finite[i].Count
	}
	dst = appendLittle(dst, s.Count-before)
	if len(finite) > 0 {
		dst = appendHead(dst, histogramBounds, 8*len(finite))
		for i := range finite {
			dst = appendLittle(dst, math.Float64bits(finite[i].UpperBound))
		}
	}
	for i := range s.Buckets {
		dst = e.appendExemplar(dst, histogramExemplars, s.Buckets[i].Exemplar, s)
	}
	e.point = dst
	return dst
}

func (e *encoder) summary(s *metric.Series, ended bool) []byte {
	dst := e.times(append(e.point[:0], e.attrs...), s, ended)
	if ended {
		e.point = appendUint(dst, summaryFlags, noRecordedValue)
		return e.point
	}
	dst = appendFixed(dst, pointCount, s.Count)
	if !s.NoSum {
		dst = appendFixed(dst, pointSum, math.Float64bits(s.Sum))
	}
	for _, q := range s.Quantiles {
		dst = appendHead(dst, summaryQuantiles, 18)
		dst = appendFixed(dst, quantileQuantile, math.Float64bits(q.Q))
		dst = appendFixed(dst, quantileValue, math.Float64bits(q.Value))
	}
	e.point = dst
	return dst
}

// add adds a point to the metric. A full batch ends with it.
func (e *encoder) add(point []byte) {
	e.points = appendHead(e.points, dataPoints, len(point))
	e.points = append(e.points, point...)
	e.count++
	if e.samples++; e.samples >= e.maxSamples || len(e.metrics)+len(e.points) >= e.maxBytes {
		e.flush()
	}
}

// Header sets the headers of a request.
func (e *encoder) Header(_ byte, h http.Header) {
	h.Set("Content-Type", "application/x-protobuf")
	h.Set("Content-Encoding", "gzip")
}

// Judge says what an answer means. A partial success is not sent again.
func (e *encoder) Judge(b *send.Batch, a *send.Answer) send.Verdict {
	switch {
	case a.Code/100 == 2:
		rejected, message := partialSuccess(a.Body)
		return send.Verdict{Outcome: send.Sent, Rejected: min(rejected, b.Samples), Note: message}
	case a.Code == http.StatusTooManyRequests, a.Code == http.StatusBadGateway, a.Code == http.StatusServiceUnavailable, a.Code == http.StatusGatewayTimeout:
		return send.Verdict{Outcome: send.Retry}
	}
	return send.Verdict{Outcome: send.Refused, Rejected: b.Samples}
}

func validUTF8(s string) string { return strings.ToValidUTF8(s, string(utf8.RuneError)) }
