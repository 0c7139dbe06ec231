package main

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/multiprom/multiprom/internal/doctest"
)

// TestCommandsOfScale: mpctl accepts the command lines in docs/scale.md.
func TestCommandsOfScale(t *testing.T) {
	found := 0
	for _, block := range doctest.MarkdownBlocks(t, "../../docs/scale.md", "sh") {
		for line := range strings.Lines(strings.ReplaceAll(block, "\\\n", " ")) {
			args := strings.Fields(line)
			if len(args) == 0 || args[0] != "mpctl" {
				continue
			}
			found++
			cmd, rest, err := newRoot().Find(args[1:])
			require.NoError(t, err, line)
			require.NoError(t, cmd.ParseFlags(rest), line)
			require.NoError(t, cmd.ValidateArgs(cmd.Flags().Args()), line)
		}
	}
	require.Equal(t, 2, found)
}
