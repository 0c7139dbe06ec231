package publish_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/multiprom/multiprom/internal/doctest"
)

// TestDocs runs the code of docs/client_golang.md in a worker: what it publishes is in the
// merged view.
func TestDocs(t *testing.T) {
	blocks := doctest.MarkdownBlocks(t, "../../docs/client_golang.md", "go")
	require.Len(t, blocks, 2)
	option := "publish.Options{}"
	for i, published := range []string{"\ngo_goroutines ", "\nprocess_open_fds "} {
		block := blocks[0]
		if i == 1 { // the second one is an option of the first
			block = strings.ReplaceAll(block, option, "publish.Options{\n"+blocks[1]+"}")
			require.NotEqual(t, blocks[0], block)
		}
		program := doctest.Build(t, `
import "github.com/multiprom/multiprom/compat/publish"
`+doctest.PublishingWorker(block, "publisher"))
		require.Contains(t, doctest.Run(t, program, t.TempDir()), published)
	}
}
