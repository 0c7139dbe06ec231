package integration

import (
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/multiprom/multiprom/internal/doctest"
)

// TestCommandsOfTheExamples: the commands that each example's comment has serve metrics.
func TestCommandsOfTheExamples(t *testing.T) {
	examples, err := filepath.Glob("../examples/*/main.go")
	require.NoError(t, err)
	require.Len(t, examples, 7)
	for _, example := range examples {
		t.Run(filepath.Base(filepath.Dir(example)), func(t *testing.T) {
			doctest.RunCommands(t, "../..", example)
		})
	}
}
