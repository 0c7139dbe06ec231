package prom_test

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/multiprom/multiprom/compat/prom"
)

// TestDocsNameTests: the tests that docs/client_golang.md names are in these
// packages, and its table of modes is the rule.
func TestDocsNameTests(t *testing.T) {
	text, err := os.ReadFile("../../docs/client_golang.md")
	require.NoError(t, err)
	var sources strings.Builder
	for _, pattern := range []string{"*_test.go", "../convert/*_test.go", "../publish/*_test.go", "../integration/*_test.go"} {
		files, err := filepath.Glob(pattern)
		require.NoError(t, err)
		require.NotEmpty(t, files)
		for _, name := range files {
			b, err := os.ReadFile(name)
			require.NoError(t, err)
			sources.Write(b)
		}
	}
	named := regexp.MustCompile(`\bTest[A-Z]\w+`).FindAllString(string(text), -1)
	require.Greater(t, len(named), 20)
	for _, name := range named {
		require.True(t, strings.Contains(sources.String(), "func "+name+"(t *testing.T)"), "there is no %s", name)
	}

	rules := 0
	for _, row := range regexp.MustCompile("(?m)^\\| (`[a-z_`, ]+`) \\| (\\w+)").FindAllStringSubmatch(string(text), -1) {
		for _, suffix := range strings.Split(row[1], ", ") {
			require.Equal(t, row[2], prom.ModeByName("x"+strings.Trim(suffix, "`")).String(), row[0])
			rules++
		}
	}
	require.Equal(t, 6, rules)
	require.Contains(t, string(text), "| anything else | "+prom.ModeByName("x").String()+" |")
}
