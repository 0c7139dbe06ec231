package prom

import (
	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
)

// newExemplar returns client_golang's exemplar of v at this time, or its error
// where the labels are invalid or too long.
func newExemplar(v float64, labels prometheus.Labels) (*dto.Exemplar, error) {
	m, err := prometheus.NewMetricWithExemplars(carrier, prometheus.Exemplar{Value: v, Labels: labels})
	if err != nil {
		return nil, err
	}
	var out dto.Metric
	if err := m.Write(&out); err != nil {
		return nil, err
	}
	return out.Counter.Exemplar, nil
}

// carrier is a counter that an exemplar is attached to.
var carrier = prometheus.MustNewConstMetric(prometheus.NewDesc("carrier", "", nil, nil), prometheus.CounterValue, 0)
