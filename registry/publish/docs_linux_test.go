package publish_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/multiprom/multiprom/internal/doctest"
)

// TestDocs runs the code of docs/collectors.md in a worker: what it publishes is in the
// merged view.
func TestDocs(t *testing.T) {
	blocks := doctest.MarkdownBlocks(t, "../../docs/collectors.md", "go")
	require.Len(t, blocks, 2)
	for i, line := range []string{"\ngo_goroutines{pid=", "\nprocess_open_fds{pid="} {
		block := blocks[i]
		if i == 1 {
			block += "if err != nil {\nreturn err\n}\ndefer p.Close()\n" // as in the first one
		}
		program := doctest.Build(t, doctest.PublishingWorker(block, "p"))
		require.Contains(t, doctest.Run(t, program, t.TempDir()), line)
	}
}
