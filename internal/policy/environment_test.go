package policy

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestEnvironmentVariables checks that the table of docs/lifecycle.md has exactly the
// variables that the code names.
func TestEnvironmentVariables(t *testing.T) {
	variable := regexp.MustCompile(`\b(MULTIPROM|PROMETHEUS|prometheus)_[A-Za-z]\w*`)
	named := map[string]bool{}
	require.NoError(t, filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name := d.Name()
		if d.IsDir() {
			// The benchmark uses variables only between its own processes.
			if path != root && (strings.HasPrefix(name, ".") || name == "testdata" || name == "bench") {
				return fs.SkipDir
			}
			return nil
		}
		if !strings.HasSuffix(name, ".go") || strings.HasSuffix(name, "_test.go") {
			return nil
		}
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		ast.Inspect(file, func(n ast.Node) bool {
			if lit, ok := n.(*ast.BasicLit); ok && lit.Kind == token.STRING {
				value, _ := strconv.Unquote(lit.Value)
				// A whole value, or the part before the = of a setting, but no text or path.
				value, _, _ = strings.Cut(value, "=")
				if variable.FindString(value) == value && value != "" {
					named[value] = true
				}
			}
			return true
		})
		return nil
	}))
	page, err := os.ReadFile(filepath.Join(root, "docs", "lifecycle.md"))
	require.NoError(t, err)
	_, table, found := strings.Cut(string(page), "\n## Environment variables\n")
	require.True(t, found)
	table, _, _ = strings.Cut(table, "\n## ")
	listed := map[string]bool{}
	for line := range strings.Lines(table) {
		if cells := strings.Split(line, "|"); len(cells) > 2 {
			for _, name := range variable.FindAllString(cells[1], -1) {
				listed[name] = true
			}
		}
	}
	require.Equal(t, slices.Sorted(maps.Keys(named)), slices.Sorted(maps.Keys(listed)), "the variables in the code, and in the table")
	require.Greater(t, len(named), 8)
}
