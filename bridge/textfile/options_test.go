package textfile

import (
	"path/filepath"
	"testing"

	"github.com/multiprom/multiprom/internal/optiontest"
	"github.com/multiprom/multiprom/registry"
)

func TestOptions(t *testing.T) {
	dir := t.TempDir()
	optiontest.Check(t, Options{}, map[string]optiontest.Row{
		"Escaping": {Bad: []any{77}},
		"Labels":   {Bad: []any{map[string]string{"a-b": "x"}, map[string]string{"__a": "x"}}, Good: []any{map[string]string{"a": ""}}},
		"Created":  {}, "TempDir": {Bad: []any{filepath.Join(dir, "missing")}, Good: []any{dir}},
		"Mode": {Bad: []any{0o4644, 0o200, uint32(1 << 31)}, Good: []any{0o600, 0o444}},
	}, func(o Options) error {
		return Write(t.Context(), filepath.Join(dir, "x.prom"), registry.New(registry.Options{}), o)
	})
}
