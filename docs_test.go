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

// TestNativeHistogramsOfThePage runs the histograms of docs/native_histograms.md in two
// processes, of which one is dead when the other one serves both.
func TestNativeHistogramsOfThePage(t *testing.T) {
	blocks := doctest.MarkdownBlocks(t, "docs/native_histograms.md", "go")
	require.Len(t, blocks, 2)
	program := doctest.Build(t, blocks[0]+blocks[1]+`
func main() {
	latency.Observe(0.25)
	both.Observe(0.25)
	request := httptest.NewRequest("GET", "/metrics", nil)
	request.Header.Set("Accept", "application/openmetrics-text;version=2.0.0")
	response := httptest.NewRecorder()
	multiprom.Handler().ServeHTTP(response, request)
	fmt.Println(response.Body)
}
`)
	dir := t.TempDir()
	doctest.Run(t, program, dir)
	out := doctest.Run(t, program, dir)
	const buckets = "{count:2,sum:0.5,schema:3,zero_threshold:2.938735877055719e-39,zero_count:0,positive_spans:[-16:1],positive_buckets:[2]"
	require.Contains(t, out, "\nrequest_duration_seconds "+buckets+"} st@")
	require.Contains(t, out, "\njob_duration_seconds "+buckets+",bucket:[0.3:2,+Inf:2]} st@")
}
