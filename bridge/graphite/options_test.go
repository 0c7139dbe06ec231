package graphite

import (
	"testing"

	"github.com/multiprom/multiprom/internal/options"
	"github.com/multiprom/multiprom/internal/optiontest"
)

func TestOptionValues(t *testing.T) {
	optiontest.Check(t, Options{Address: "localhost"}, map[string]optiontest.Row{
		"Address": {Needed: true, Bad: []any{"[::1"}, Good: []any{"localhost:1", "::1"}},
		"Network": {Bad: []any{"unix"}, Good: []any{"tcp", "udp"}},
		"Prefix":  {}, "Tags": {}, "Interval": {}, "Timeout": {}, "MaxBuffered": {Special: []int64{options.KeepNone}}, "Logger": {}, "Now": {},
	}, func(o Options) error {
		_, err := New(o)
		return err
	})
}
