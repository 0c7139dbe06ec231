package publish

import (
	"slices"
	"sync"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"

	"github.com/multiprom/multiprom/compat/internal/losses"
	"github.com/multiprom/multiprom/multiproc"
)

// classic is a Gatherer without histograms that have native buckets only: a store has
// no place for these. Each family that loses some is counted once.
type classic struct {
	from prometheus.Gatherer
	set  *multiproc.Set

	mu   sync.Mutex
	told map[string]bool // by family
}

// Gather implements prometheus.Gatherer.
func (c *classic) Gather() ([]*dto.MetricFamily, error) {
	families, err := c.from.Gather()
	out := make([]*dto.MetricFamily, 0, len(families))
	for _, f := range families {
		kept := slices.DeleteFunc(slices.Clone(f.Metric), nativeOnly)
		if len(kept) < len(f.Metric) {
			c.skipped(f.GetName())
			f = &dto.MetricFamily{Name: f.Name, Help: f.Help, Type: f.Type, Unit: f.Unit, Metric: kept}
		}
		if len(f.Metric) > 0 {
			out = append(out, f)
		}
	}
	return out, err
}

func (c *classic) skipped(name string) {
	c.mu.Lock()
	told := c.told[name]
	c.told[name] = true
	c.mu.Unlock()
	if !told {
		losses.Add(c.set, losses.Native, name, nil)
	}
}

// nativeOnly reports whether a metric is a histogram with native buckets only.
func nativeOnly(m *dto.Metric) bool {
	return m.Histogram != nil && m.Histogram.Schema != nil && len(m.Histogram.Bucket) == 0
}
