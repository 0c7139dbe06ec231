package multiprom_test

import (
	"fmt"
	"os"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/multiprom/multiprom/internal/doctest"
)

// TestReadmeShowsTheExample: the program in the README is examples/prefork, which has a test
// of its own.
func TestReadmeShowsTheExample(t *testing.T) {
	source, err := os.ReadFile("examples/prefork/main.go")
	require.NoError(t, err)
	require.Contains(t, string(source), "\n"+doctest.MarkdownBlocks(t, "README.md", "go")[0])
}

// TestHandlerOfTheReadme runs the README's handler in two processes of a directory. The
// second one's /metrics has the sum of what both counted.
func TestHandlerOfTheReadme(t *testing.T) {
	blocks := doctest.MarkdownBlocks(t, "README.md", "go")
	require.Len(t, blocks, 2)
	program := doctest.Build(t, `
var requests = multiproc.NewCounter(multiproc.CounterOpts{Name: "requests", Help: "Requests."})

func main() {
	requests.Inc()
`+blocks[1]+`
	response := httptest.NewRecorder()
	http.DefaultServeMux.ServeHTTP(response, httptest.NewRequest("GET", "/metrics", nil))
	fmt.Println(response.Body)
}
`)
	dir := t.TempDir()
	for n := 1; n <= 2; n++ {
		require.Contains(t, doctest.Run(t, program, dir), fmt.Sprintf("\nrequests_total %d\n", n))
	}
	require.Contains(t, doctest.Run(t, program, ""), "\nrequests_total 1\n", "of this process alone")
}

// TestPackageCommentCompiles: the blocks of the package comment are a program.
func TestPackageCommentCompiles(t *testing.T) {
	blocks := doctest.PackageBlocks(t, "doc.go")
	require.Len(t, blocks, 2)
	doctest.Build(t, blocks[1]+blocks[0])
}

// TestTTLOfThePage runs the Vec of docs/churn.md.
func TestTTLOfThePage(t *testing.T) {
	blocks := doctest.MarkdownBlocks(t, "docs/churn.md", "go")
	require.Len(t, blocks, 1)
	program := doctest.Build(t, blocks[0]+`
func main() {
	tenantBytes.WithLabelValues("a").Add(3)
	fmt.Println(tenantBytes.WithLabelValues("a").Value())
}
`)
	require.Contains(t, doctest.Run(t, program, t.TempDir()), "3")
}
