package remotewrite

import (
	"errors"
	"testing"

	"github.com/multiprom/multiprom/bridge/delivery"
	"github.com/multiprom/multiprom/internal/optiontest"
)

// TestOptions: package delivery tests its own fields.
func TestOptions(t *testing.T) {
	optiontest.Check(t, Options{Options: delivery.Options{URL: "http://localhost"}}, map[string]optiontest.Row{
		"Options":  {Needed: true},
		"Labels":   {Bad: []any{map[string]string{"a-b": "x"}, map[string]string{"__name__": "x"}}, Good: []any{map[string]string{"job": ""}}},
		"Protocol": {Bad: []any{"3.0"}, Good: []any{"auto", "1.0", "2.0"}},

		"NativeHistograms": {Bad: []any{"sometimes"}, Good: []any{"auto", "always", "never"}},
	}, func(o Options) error {
		_, err := New(o)
		if err != nil && o.URL == "" {
			err = errors.Join(err, errors.New("in Options"))
		}
		return err
	})
}
