package registry_test

import (
	"context"
	"testing"

	"github.com/multiprom/multiprom/gather"
	"github.com/multiprom/multiprom/internal/form"
	"github.com/multiprom/multiprom/metric"
	"github.com/multiprom/multiprom/registry"
	"github.com/stretchr/testify/require"
)

// fake is a Describer with fixed families.
type fake struct {
	name     string // what an error calls it
	families []*metric.Family
	describe []*metric.Family
	runs     int
}

func (c *fake) String() string { return c.name }

func (c *fake) Collect(context.Context) ([]*metric.Family, error) {
	c.runs++
	return c.families, nil
}

func (c *fake) Describe() []*metric.Family { return c.describe }

// described returns a collector that describes what it yields, unchecked one
// that does not.
func described(name string, fs ...*metric.Family) *fake {
	return &fake{name: name, families: fs, describe: fs}
}
func unchecked(name string, fs ...*metric.Family) *fake { return &fake{name: name, families: fs} }

// family returns a family with one unlabelled series.
func family(t metric.Type, name string) *metric.Family {
	s := metric.Series{Value: 1}
	switch t {
	case metric.Histogram, metric.GaugeHistogram:
		s = metric.Series{Count: 2, Sum: 3, Buckets: metric.Cumulate([]float64{1}, []uint64{1, 1})}
	case metric.Summary:
		s = metric.Series{Count: 2, Sum: 3, Quantiles: []metric.Quantile{{Q: 0.5, Value: 1}}}
	case metric.StateSet:
		s = metric.Series{States: []metric.State{{Name: "on", On: true}, {Name: "off"}}}
	}
	return &metric.Family{Name: name, Help: "Help of " + name + ".", Type: t, Series: []metric.Series{s}}
}

func gauge(name string, series ...metric.Series) *metric.Family {
	return &metric.Family{Name: name, Help: "A gauge.", Type: metric.Gauge, Series: series}
}

func series(v float64, labels ...string) metric.Series {
	return metric.Series{Labels: metric.MakeLabels(labels...), Value: v}
}

// lines returns a family's type and its samples, a line each.
func lines(families []*metric.Family) []string {
	var out []string
	for _, f := range families {
		for s := range f.Samples() {
			out = append(out, f.Type.String()+" "+s.Name+s.Labels.String()+" "+form.FormatFloat(s.Value))
		}
	}
	return out
}

func newRegistry(t *testing.T, cs ...registry.Collector) *registry.Registry {
	t.Helper()
	reg := registry.New(registry.Options{})
	for _, c := range cs {
		require.NoError(t, reg.Register(c))
	}
	return reg
}

func gatherer(fs ...*metric.Family) gather.Gatherer {
	return gather.Func(func(context.Context) ([]*metric.Family, error) { return fs, nil })
}
