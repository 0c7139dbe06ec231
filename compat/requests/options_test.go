package requests_test

import (
	"testing"

	"github.com/multiprom/multiprom/compat/requests"
	"github.com/multiprom/multiprom/internal/optiontest"
	"github.com/multiprom/multiprom/multiproc"
)

func TestOptions(t *testing.T) {
	optiontest.Check(t, requests.Options{}, map[string]optiontest.Row{
		"Set": {}, "Namespace": {Bad: []any{"\xff"}}, "Subsystem": {Bad: []any{"\xff"}},
		"ConstLabels": {Bad: []any{multiproc.Labels{"__x": ""}, multiproc.Labels{"path": "x"}}, Good: []any{multiproc.Labels{"a": "b"}}},
		"Buckets":     {Bad: []any{[]float64{}, []float64{2, 1}}, Good: []any{[]float64{1, 2}}}, "Now": {},
	}, func(o requests.Options) error {
		if o.Set == nil {
			o.Set = multiproc.NewSet(multiproc.SetOptions{})
		}
		defer o.Set.Close()
		requests.New(o)
		return nil
	})
}
