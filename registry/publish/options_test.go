package publish

import (
	"testing"

	"github.com/multiprom/multiprom/internal/options"
	"github.com/multiprom/multiprom/internal/optiontest"
	"github.com/multiprom/multiprom/multiproc"
	"github.com/multiprom/multiprom/registry"
)

func TestOptions(t *testing.T) {
	t.Setenv(multiproc.EnvDir, "") // the default Set stays on the heap
	optiontest.Check(t, Options{Source: registry.New(registry.Options{})}, map[string]optiontest.Row{
		"Source": {}, "Set": {}, "Mode": {}, "Name": {Bad: []any{"\xff"}, Good: []any{"a b"}},
		"Period": {}, "Timeout": {}, "MaxSeries": {Special: []int64{options.NoLimit}}, "OnError": {}, "Now": {},
	}, func(o Options) error {
		if o.Set == nil {
			o.Set = multiproc.NewSet(multiproc.SetOptions{})
		}
		p, err := Start(o)
		if err == nil {
			err = p.Close()
		}
		return err
	})
}

// TestNoLimit: it is no bound, and not a bound of nothing.
func TestNoLimit(t *testing.T) {
	o, err := Options{MaxSeries: options.NoLimit}.withDefaults()
	if err != nil || o.MaxSeries < 1<<30 {
		t.Fatal(o.MaxSeries, err)
	}
}
