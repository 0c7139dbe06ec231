package registry

import (
	"testing"

	"github.com/multiprom/multiprom/internal/optiontest"
	"github.com/multiprom/multiprom/metric"
)

func TestOptions(t *testing.T) {
	optiontest.Check(t, Options{}, map[string]optiontest.Row{
		"CollectTimeout": {}, "Concurrency": {}, "AutoDescribe": {},
		"TargetInfo": {Bad: []any{metric.MakeLabels("\xff", "x"), metric.MakeLabels("a", "1", "a", "2")}, Good: []any{metric.Labels{}, metric.MakeLabels("a", "b")}},
	}, func(o Options) error {
		New(o)
		return nil
	})
}
