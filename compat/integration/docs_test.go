package integration

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestDocsAreExamples finds each block of Go in docs/prefork.md, line by line, in one
// of the examples that the other tests run.
func TestDocsAreExamples(t *testing.T) {
	text, err := os.ReadFile("../../docs/prefork.md")
	require.NoError(t, err)
	paths, err := filepath.Glob("../examples/*/main.go")
	require.NoError(t, err)
	require.Len(t, paths, 7)
	blocks := strings.Split(string(text), "```go\n")[1:]
	require.Len(t, blocks, 2)
	for i, example := range []string{"fasthttp", "fiberv2"} {
		source, err := os.ReadFile(filepath.Join("../examples", example, "main.go"))
		require.NoError(t, err)
		block, _, found := strings.Cut(blocks[i], "```")
		require.True(t, found)
		for line := range strings.Lines(block) {
			require.Contains(t, string(source), strings.TrimSpace(line), example)
		}
	}
}
