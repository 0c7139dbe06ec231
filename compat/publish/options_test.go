package publish_test

import (
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/multiprom/multiprom/compat/publish"
	"github.com/multiprom/multiprom/internal/optiontest"
	"github.com/multiprom/multiprom/metric"
	"github.com/multiprom/multiprom/multiproc"
	"github.com/multiprom/multiprom/registry"
)

func TestOptions(t *testing.T) {
	optiontest.Check(t, publish.Options{}, map[string]optiontest.Row{
		"Source": {Bad: []any{registry.New(registry.Options{})}}, "Set": {}, "Mode": {}, "Name": {Bad: []any{"\xff"}},
		"Period": {}, "Timeout": {}, "MaxSeries": {Special: []int64{metric.NoLimit}}, "OnError": {}, "Now": {},
	}, func(o publish.Options) error {
		if o.Set == nil {
			o.Set = multiproc.NewSet(multiproc.SetOptions{})
		}
		p, err := publish.Start(prometheus.NewRegistry(), o)
		if err == nil {
			err = p.Close()
		}
		return err
	})
}
