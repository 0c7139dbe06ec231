package multiproc

import (
	"github.com/multiprom/multiprom/internal/histogram"
	"github.com/multiprom/multiprom/internal/openmetrics"
	"github.com/multiprom/multiprom/metric"
)

// exemplarObserver is a Histogram that takes an exemplar with an observation.
type exemplarObserver interface {
	ObserveWithExemplar(v float64, exemplar Labels)
}

// AddWithExemplar adds v as Add does, and sets the counter's exemplar: labels such as a
// trace id, with v and the time of this call. The merged view shows the newest exemplar of
// all processes, in OpenMetrics and protobuf only.
//
// The names and values of an exemplar have at most 128 characters together (OpenMetrics
// 1.0, "Exemplars"). A longer one, or one with an invalid name, is dropped and counted as
// an invalid update, but v is added. Without labels there is no exemplar. Of two at the
// same moment, one is kept.
func (c *Counter) AddWithExemplar(v float64, exemplar Labels) {
	if c.add(v) {
		c.of().setExemplar(0, v, exemplar, nil)
	}
	c.of().keepAlive()
}

// ObserveWithExemplar counts v as Observe does, and sets the exemplar of its bucket by the
// rules of Counter.AddWithExemplar. Native buckets have up to NativeHistogramMaxExemplars
// together, whose values are spread out as in client_golang. They take a lock.
func (h *Histogram) ObserveWithExemplar(v float64, exemplar Labels) {
	h.Observe(v)
	native := &h.native
	if !native.Ready() {
		native = nil
	}
	h.s.setExemplar(h.buckets.find(v), v, exemplar, native)
	h.s.keepAlive()
}

// setExemplar sets the exemplar of a bucket and, of a histogram with native buckets, one of
// theirs.
func (s *series) setExemplar(bucket int, v float64, exemplar Labels, native *histogram.Recorder) {
	if len(exemplar) == 0 {
		return
	}
	var few [8]metric.Label // on the stack; more labels than these are rare
	labels := metric.Labels(few[:0])
	for name, value := range exemplar {
		labels = append(labels, metric.Label{Name: name, Value: value})
	}
	labels.Sort()
	if openmetrics.CheckExemplar(labels) != nil {
		s.in.set.count(countInvalid)
		return
	}
	now := s.in.set.nanos()
	s.handle.SetExemplar(bucket, labels, v, now)
	if native != nil {
		schema := s.in.schema
		added := histogram.Held{Value: v, Time: now}
		native.Exemplar(added, schema.Native.MaxExemplars, int64(s.in.exemplarTTL), func(place int) {
			s.handle.SetExemplar(len(schema.Bounds)+1+place, labels, v, now)
		})
	}
}
