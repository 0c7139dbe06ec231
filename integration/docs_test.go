package integration

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestDocsOfClientPython: the files that docs/client_python.md shows are those
// beside it.
func TestDocsOfClientPython(t *testing.T) {
	text, err := os.ReadFile("../docs/client_python.md")
	require.NoError(t, err)
	files, err := filepath.Glob("../docs/client_python/*")
	require.NoError(t, err)
	require.Len(t, files, 5)
	for _, name := range files {
		b, err := os.ReadFile(name)
		require.NoError(t, err)
		require.Contains(t, string(text), "\n"+string(b)+"```\n", name)
	}
}
