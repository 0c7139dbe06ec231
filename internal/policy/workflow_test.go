package policy

import (
	"os"
	"path/filepath"
	"regexp"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestWorkflow: the workflow of a public forge runs every command that .ci/run runs, and
// every target of make that it names exists.
func TestWorkflow(t *testing.T) {
	read := func(name ...string) string {
		text, err := os.ReadFile(filepath.Join(append([]string{root}, name...)...))
		require.NoError(t, err)
		return string(text)
	}
	workflow, makefile := read(".github", "workflows", "ci.yml"), read("Makefile")
	commands := regexp.MustCompile(`(?m)^(?:make|go) .+$`).FindAllString(read(".ci", "run"), -1)
	require.Greater(t, len(commands), 10)
	for _, command := range commands {
		require.Regexp(t, `(?m)(- |run: )`+regexp.QuoteMeta(command)+`$`, workflow)
	}
	for _, m := range regexp.MustCompile(`(?m)make ([a-z-]+)(?: [A-Z]+=\S+)?$`).FindAllStringSubmatch(workflow, -1) {
		require.Regexp(t, `(?m)^`+m[1]+`:`, makefile)
	}
}
