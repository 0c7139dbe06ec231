package integration

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestDocsOfClientPython: docs/client_python.md shows the files in docs/client_python, and
// its table has every difference from client_python.
func TestDocsOfClientPython(t *testing.T) {
	text, err := os.ReadFile("../docs/client_python.md")
	require.NoError(t, err)
	files, err := filepath.Glob("../docs/client_python/*")
	require.NoError(t, err)
	require.Len(t, files, 7)
	for _, name := range files {
		b, err := os.ReadFile(name)
		require.NoError(t, err)
		require.Contains(t, string(text), "\n"+string(b)+"```\n", name)
	}
	for name := range differences {
		require.Contains(t, string(text), " | "+name+" |\n")
	}
}

// TestDocsNameTests: the tests that docs/from_client_python.md names exist.
func TestDocsNameTests(t *testing.T) {
	text, err := os.ReadFile("../docs/from_client_python.md")
	require.NoError(t, err)
	named := 0
	for line := range strings.Lines(string(text)) {
		cells := strings.Split(line, " | ")
		if len(cells) != 3 || !strings.Contains(cells[2], "Test") {
			continue
		}
		var sources string
		for word := range strings.FieldsFuncSeq(cells[2], func(r rune) bool { return strings.ContainsRune(" ,|\n", r) }) {
			if dir, ok := strings.CutPrefix(word, "`"); ok {
				sources = testSources(t, strings.TrimSuffix(dir, "`"))
				continue
			}
			named++
			require.True(t, strings.Contains(sources, "func "+word+"(t *testing.T)"), "there is no %s: %s", word, line)
		}
	}
	require.Greater(t, named, 50)
}

// testSources returns the source of a package's tests.
func testSources(t *testing.T, dir string) string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join("..", dir, "*_test.go"))
	require.NoError(t, err)
	require.NotEmpty(t, files, dir)
	var all strings.Builder
	for _, name := range files {
		b, err := os.ReadFile(name)
		require.NoError(t, err)
		all.Write(b)
	}
	return all.String()
}
