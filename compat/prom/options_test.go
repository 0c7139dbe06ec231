package prom_test

import (
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/multiprom/multiprom/compat/prom"
	"github.com/multiprom/multiprom/internal/optiontest"
	"github.com/multiprom/multiprom/metric"
	"github.com/multiprom/multiprom/multiproc"
)

func TestOptions(t *testing.T) {
	optiontest.Check(t, prom.Options{}, map[string]optiontest.Row{
		"Mode": {}, "MaxSeries": {Special: []int64{metric.NoLimit}}, "Period": {}, "TTL": {},
	}, func(o prom.Options) error {
		set := multiproc.NewSet(multiproc.SetOptions{})
		defer set.Close()
		v := prom.New(set, o).NewCounterVec(prometheus.CounterOpts{Name: "c", Help: "C."}, []string{"l"})
		v.WithLabelValues("x").Inc()
		return nil
	})
}
