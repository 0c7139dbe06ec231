package main

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestCommandsOfDocs: mpctl accepts each of its command lines in the README and in docs, with
// all flags and arguments, and the targets of make exist. TestBlocks of internal/policy lists
// what runs each block.
func TestCommandsOfDocs(t *testing.T) {
	pages := []string{"../../README.md", "../../CONTRIBUTING.md"}
	for _, pattern := range []string{"../../docs/*.md", "../../docs/format/*/*.md", "../../deploy/*.md", "../../deploy/*/*.md"} {
		more, err := filepath.Glob(pattern)
		require.NoError(t, err)
		pages = append(pages, more...)
	}
	makefile, err := os.ReadFile("../../Makefile")
	require.NoError(t, err)
	ours, targets := 0, 0
	for _, page := range pages {
		text, err := os.ReadFile(page)
		require.NoError(t, err)
		for _, line := range commandsOf(string(text)) {
			at := page + ": " + line
			args := strings.Fields(line)
			switch args[0] {
			case "mpctl":
				ours++
				cmd, rest, err := newRoot().Find(args[1:])
				require.NoError(t, err, at)
				require.True(t, cmd.Runnable(), at)
				require.NoError(t, cmd.ParseFlags(rest), at)
				require.NoError(t, cmd.ValidateArgs(cmd.Flags().Args()), at)
			case "make":
				targets++
				require.Contains(t, string(makefile), "\n"+args[1]+":", at)
			}
		}
	}
	require.Greater(t, ours, 10)
	require.Greater(t, targets, 5)
}

var (
	fencedCommands   = regexp.MustCompile("(?ms)^```sh\n(.*?)^```")
	indentedCommands = regexp.MustCompile(`(?m)^    ((?:mpctl|make) .*)$`)
	quoted           = regexp.MustCompile(`"[^"]*"|'[^']*'`)
	endOfCommand     = regexp.MustCompile(` (?:#|\||>|&$).*`)
)

// commandsOf returns the command lines of a page, each up to what the shell does with it, and
// with one word for each that is quoted.
func commandsOf(text string) (lines []string) {
	var all strings.Builder
	for _, m := range fencedCommands.FindAllStringSubmatch(text, -1) {
		all.WriteString(m[1])
	}
	for _, m := range indentedCommands.FindAllStringSubmatch(text, -1) {
		all.WriteString(m[1] + "\n")
	}
	for line := range strings.Lines(strings.NewReplacer("\\\n", " ", " && ", "\n").Replace(all.String())) {
		line = quoted.ReplaceAllString(strings.TrimSpace(line), "word")
		if line = endOfCommand.ReplaceAllString(line, ""); line != "" && !strings.HasPrefix(line, "#") {
			lines = append(lines, line)
		}
	}
	return lines
}
