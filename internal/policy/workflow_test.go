package policy

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// variable has tests fail that miss a real server, instead of skipping.
const variable = "MULTIPROM_INTEGRATION"

var (
	// commandOfRun is a line of .ci/run that the workflow has too.
	commandOfRun = regexp.MustCompile(`^(?:make|go) .+$`)
	// setUp are the lines of .ci/run that are no such commands.
	setUp = []string{
		"set -euo pipefail", `cd "$(dirname "$0")/.."`, "export " + variable + "=1",
		`trap 'echo "== $((SECONDS / 60)) min: $BASH_COMMAND"' DEBUG`,
		`git --no-pager diff "${BASE:-HEAD~1}" -- docs/api.txt || true`,
	}
	// setUpOfForge are the steps of the workflow that .ci/run does not need, or has in another form.
	setUpOfForge = []string{
		"apt-get update && apt-get install -y --no-install-recommends ca-certificates git gcc libc6-dev make",
		`git config --global --add safe.directory "$GITHUB_WORKSPACE"`,
		`git --no-pager diff "${{ github.event.pull_request.base.sha || 'HEAD~1' }}" -- docs/api.txt || true`,
	}
	stepOfForge   = regexp.MustCompile(`^ +(?:- )?run: (.+)$`)
	ofMatrix      = regexp.MustCompile(`^ {10}- (.+)$`)
	mayLeaveOut   = regexp.MustCompile(`^ *(?:- )?(?:if|continue-on-error|exclude|include|shell|working-directory|defaults|needs|paths|paths-ignore):`)
	variableIsSet = regexp.MustCompile(`(?m)^    env: \{` + variable + `: "1"\}$`)
)

// compareCI says in what a workflow differs from what .ci/run runs.
func compareCI(run, workflow, makefile string) error {
	before, after, ok := strings.Cut(run, "\nexport "+variable+"=1\n")
	if !ok {
		return fmt.Errorf(".ci/run does not set %s", variable)
	}
	lint, test, ok := strings.Cut(workflow, "\n  test:\n")
	if !ok {
		return fmt.Errorf("the workflow has no job test")
	}
	if strings.Contains(lint, variable) || !variableIsSet.MatchString(test) {
		return fmt.Errorf("only the job test sets %s", variable)
	}
	var commands [2][]string
	for i, text := range []string{before, after} {
		for line := range strings.Lines(text) {
			line = strings.TrimSuffix(line, "\n")
			switch {
			case line == "" || strings.HasPrefix(line, "#") || slices.Contains(setUp, line):
			case commandOfRun.MatchString(line):
				commands[i] = append(commands[i], line)
			default:
				return fmt.Errorf(".ci/run: nobody compares %q", line)
			}
		}
	}
	var steps [2][]string
	for i, text := range []string{lint, test} {
		_, matrix, _ := strings.Cut(text, "\n        run:\n")
		matrix, _, _ = strings.Cut(matrix, "\n    #")
		for line := range strings.Lines(matrix) {
			if m := ofMatrix.FindStringSubmatch(strings.TrimSuffix(line, "\n")); m != nil {
				steps[i] = append(steps[i], m[1])
			}
		}
		for line := range strings.Lines(text) {
			line = strings.TrimSuffix(line, "\n")
			m := stepOfForge.FindStringSubmatch(line)
			switch {
			case mayLeaveOut.MatchString(line):
				return fmt.Errorf("the workflow may leave a step out: %q", line)
			case m == nil || slices.Contains(setUpOfForge, m[1]):
			case commandOfRun.MatchString(m[1]) || m[1] == "${{ matrix.run }}":
				steps[i] = append(steps[i], m[1])
			default:
				return fmt.Errorf("the workflow runs %q, and .ci/run does not", m[1])
			}
		}
	}
	const deps = "make integration-deps" // before the others, in each job that has real servers
	if want := append(steps[0], deps); !slices.Equal(want, commands[0]) {
		return fmt.Errorf("before the variable, .ci/run runs %q and the workflow %q", commands[0], want)
	}
	want := append(commands[1], deps, "${{ matrix.run }}")
	if !strings.HasSuffix(test, "      - run: "+deps+"\n      - run: ${{ matrix.run }}\n") || !slices.Equal(want, steps[1]) {
		return fmt.Errorf("after the variable, .ci/run runs %q and the workflow %q", want, steps[1])
	}
	for _, command := range slices.Concat(commands[0], commands[1]) {
		if words := strings.Fields(command); words[0] == "make" && !strings.Contains(makefile, "\n"+words[1]+":") {
			return fmt.Errorf("the Makefile has no target %s", words[1])
		}
	}
	return nil
}

// TestWorkflow: the workflow of a public forge runs the commands that .ci/run runs and no
// others, those after the variable of the real servers with it, and every target of make that
// they name exists. Each change that would break that is found.
func TestWorkflow(t *testing.T) {
	read := func(name ...string) string {
		text, err := os.ReadFile(filepath.Join(append([]string{root}, name...)...))
		require.NoError(t, err)
		return string(text)
	}
	run, workflow, makefile := read(".ci", "run"), read(".github", "workflows", "ci.yml"), read("Makefile")
	require.NoError(t, compareCI(run, workflow, makefile))

	for name, change := range map[string]struct{ in, from, to string }{
		"a step is left out":           {"workflow", "          - make oracle\n", ""},
		"a step is added":              {"workflow", "          - make oracle\n", "          - make oracle\n          - make soak\n"},
		"an argument differs":          {"workflow", "FUZZTIME=3s", "FUZZTIME=1s"},
		"a failure is ignored":         {"workflow", "          - make race\n", "          - make race || true\n"},
		"a step has a condition":       {"workflow", "      - run: ${{ matrix.run }}\n", "      - if: false\n        run: ${{ matrix.run }}\n"},
		"a job may fail":               {"workflow", "    timeout-minutes: 60\n", "    timeout-minutes: 60\n    continue-on-error: true\n"},
		"the matrix leaves one out":    {"workflow", "    # The real servers", "        exclude: [{run: make race}]\n    # The real servers"},
		"a step of several lines":      {"workflow", "      - run: make lint\n", "      - run: |\n          make lint\n"},
		"lint is left out":             {"workflow", "      - run: make lint\n", ""},
		"the matrix is not run":        {"workflow", "      - run: ${{ matrix.run }}\n", ""},
		"no real servers":              {"workflow", "      - run: make integration-deps\n", ""},
		"servers may be missed":        {"workflow", `    env: {MULTIPROM_INTEGRATION: "1"}` + "\n", ""},
		"only of some files":           {"workflow", "  pull_request:\n", "  pull_request:\n    paths: [docs]\n"},
		"run has one more":             {"run", "make race\n", "make race\nmake soak\n"},
		"run has one less":             {"run", "make race\n", ""},
		"run has it in a folder":       {"run", "make race\n", "make race\n(cd bench && make all)\n"},
		"run has it with a variable":   {"run", "make race\n", "make race\nGOFLAGS=-v make soak\n"},
		"run has it in a script":       {"run", "make race\n", "make race\n./deploy/package/chroot.sh\n"},
		"run does not end at an error": {"run", "set -euo pipefail", "set -uo pipefail"},
		"run has it without servers":   {"run", "export MULTIPROM_INTEGRATION=1\nmake test\n", "make test\nexport MULTIPROM_INTEGRATION=1\n"},
		"make has no such target":      {"makefile", "\nrace:", "\nraces:"},
	} {
		files := map[string]string{"run": run, "workflow": workflow, "makefile": makefile}
		require.Contains(t, files[change.in], change.from, name)
		files[change.in] = strings.Replace(files[change.in], change.from, change.to, 1)
		require.Error(t, compareCI(files["run"], files["workflow"], files["makefile"]), name)
	}
}
