package policy

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestWorkflow: the workflow of a public forge runs the commands that .ci/run runs and no
// others, those after the variable of the real servers with it, and every target of make that
// they name exists.
func TestWorkflow(t *testing.T) {
	read := func(name ...string) string {
		text, err := os.ReadFile(filepath.Join(append([]string{root}, name...)...))
		require.NoError(t, err)
		return string(text)
	}
	const variable = "MULTIPROM_INTEGRATION"
	before, after, ok := strings.Cut(read(".ci", "run"), "\nexport "+variable+"=1\n")
	require.True(t, ok)
	lint, test, ok := strings.Cut(read(".github", "workflows", "ci.yml"), "\n  test:\n")
	require.True(t, ok)
	require.NotContains(t, lint, variable)
	require.Regexp(t, `(?m)^    env: \{`+variable+`: "1"\}$`, test)

	commands := func(pattern, text string) (all []string) {
		for _, m := range regexp.MustCompile(`(?m)^`+pattern+`((?:make|go) .+)$`).FindAllStringSubmatch(text, -1) {
			all = append(all, m[1])
		}
		return all
	}
	const step = ` +- (?:run: )?`
	deps := []string{"make integration-deps"}
	require.Equal(t, append(commands(step, lint), deps...), commands("", before))
	require.ElementsMatch(t, commands(step, test), append(commands("", after), deps...))
	require.Contains(t, test, "      - run: make integration-deps\n      - run: ${{ matrix.run }}\n")

	makefile := read("Makefile")
	for _, command := range append(commands("", before), commands("", after)...) {
		if words := strings.Fields(command); words[0] == "make" {
			require.Contains(t, makefile, "\n"+words[1]+":")
		}
	}
}
