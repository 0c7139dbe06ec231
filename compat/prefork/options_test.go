package prefork_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/multiprom/multiprom/aggregate"
	"github.com/multiprom/multiprom/compat/prefork"
	"github.com/multiprom/multiprom/internal/optiontest"
	"github.com/multiprom/multiprom/multiproc"
	"github.com/multiprom/multiprom/registry"
)

func TestOptions(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "file")
	require.NoError(t, os.WriteFile(file, nil, 0o600))
	t.Setenv(multiproc.EnvDir, dir) // Master sets it
	optiontest.Check(t, prefork.Options{}, map[string]optiontest.Row{
		"Dir":            {Bad: []any{file, filepath.Join(file, "below")}, Good: []any{dir}},
		"MetricsAddress": {Bad: []any{"nonsense", "127.0.0.1:-1"}, Good: []any{"127.0.0.1:0"}},
		"Gatherer":       {Bad: []any{registry.New(registry.Options{})}}, // nothing says where
		"Compact":        {Bad: []any{aggregate.CompactorOptions{Period: -1}}},
		"NoCompact":      {}, "Logger": {},
	}, func(o prefork.Options) error {
		t.Setenv(multiproc.EnvDir, dir)
		p, err := prefork.Master(o)
		if err == nil {
			err = p.Close()
		}
		return err
	})
}
