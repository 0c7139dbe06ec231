package policy

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// blocks are the code blocks of all pages, each by its page and its first line, with the
// test that runs or compares it, as "directory TestName", or the reason why none does, after
// "not run: ".
var blocks = []struct{ page, first, by string }{
	{"ARCHITECTURE.md", "each worker process                        the process that answers a scrape", picture},
	{"CONTRIBUTING.md", "make test   # a few minutes; says which tests skip, and why", "not run: .ci/run runs both"},
	{"README.md", "worker 1 ---> 4711-0f3a….mpm ---+", picture},
	{"README.md", "git clone https://github.com/multiprom/multiprom && cd multiprom", "not run: .ci/run runs the targets"},
	{"README.md", "answered 132018", "not run: TestScripts of cmd/mpctl runs the demo; the figures are of one run"},
	{"README.md", "package main", ". TestReadmeShowsTheExample"},
	{"README.md", "go mod init hello", "compat/internal/released TestReleased"},
	{"README.md", `http.Handle("/metrics", multiprom.Handler())`, ". TestHandlerOfTheReadme"},
	{"README.md", "mpctl writer python > multiprom_client.py", "integration TestReadmeGunicorn"},
	{"README.md", "mpctl run -n 4 --listen tcp://127.0.0.1:8080 --metrics 127.0.0.1:9090 --dir /dev/shm/server -- ./server", "integration TestReadmeRun"},
	{"deploy/README.md", "cp app.env /etc/multiprom/app.env", "not run: make packages-systemd does, under a systemd that boots for it"},
	{"docs/churn.md", "var tenantBytes = multiproc.NewCounterVec(multiproc.CounterOpts{", ". TestTTLOfThePage"},
	{"docs/client_golang.md", "publisher, err := publish.Start(prometheus.DefaultGatherer, publish.Options{})", "compat/publish TestDocs"},
	{"docs/client_golang.md", "Mode: func(f *metric.Family) (metric.Mode, bool) {", "compat/publish TestDocs"},
	{"docs/client_python.md", "# gunicorn -c gunicorn_conf.py app:app", shown},
	{"docs/client_python.md", "# app.py", shown},
	{"docs/client_python.md", "python3 -m venv --system-site-packages venv", shown},
	{"docs/client_python.md", "mkdir -p /dev/shm/metrics", shown},
	{"docs/client_python.md", "# gunicorn -c gunicorn_conf.py app:app", shown},
	{"docs/client_python.md", "# systemctl edit multiprom@app", "deploy TestUnits"},
	{"docs/client_python.md", "apiVersion: v1", shown},
	{"docs/client_python.md", "[uwsgi]", shown},
	{"docs/format.md", "file    = block 0, block 1, …                    each of 65536 bytes", picture},
	{"docs/format.md", "archive = header (160) | consumed | processes | families | u32 CRC-32C of all before", "not run: a grammar"},
	{"docs/format.md", "consumed  = u32 n | n × (incarnation 16 | u64 generation), ascending by incarnation", "not run: a grammar"},
	{"docs/client_python.md", "mpctl writer python > multiprom_client.py", "integration TestCommandsOfClientPython"},
	{"docs/client_python.md", `mpctl dump --dir "$PROMETHEUS_MULTIPROC_DIR"     # what a scrape would return`, "integration TestCommandsOfClientPython"},
	{"docs/format/conformance/README.md", "mpctl check --writer DIR", "integration TestCommandsOfConformance"},
	{"docs/collectors.md", "p, err := publish.Start(publish.Options{})", "registry/publish TestDocs"},
	{"docs/collectors.md", "reg := registry.New(registry.Options{})", "registry/publish TestDocs"},
	{"docs/native_histograms.md", "var latency = multiproc.NewHistogram(multiproc.HistogramOpts{", ". TestNativeHistogramsOfThePage"},
	{"docs/native_histograms.md", "var both = multiproc.NewHistogram(multiproc.HistogramOpts{", ". TestNativeHistogramsOfThePage"},
	{"docs/native_histograms.md", "histogram_quantile(0.99, sum(rate(request_duration_seconds[5m])))", "integration TestPrometheusReadsNativeHistograms"},
	{"docs/operations.md", "mpctl top /dev/shm/app --once --json --interval 10s | jq '.workers[] | select(.silent or .stopped) | .pid'", "integration TestCommandsOfOperations"},
	{"docs/operations.md", "mpctl replay --dir /dev/shm/app                            # which time there is, and which processes have died", "integration TestCommandsOfOperations"},
	{"docs/operations.md", "mpctl replay --dir /dev/shm/app --at -60s >before.txt", "integration TestCommandsOfOperations"},
	{"docs/performance.md", "make bench                                # rows with a goal, 2 minutes", "not run: they measure for minutes; .ci/run runs each row once by make bench-test"},
	{"docs/performance.md", "cd bench && go build -o ../bin/bench .", "not run: a profile is for a person to read; .ci/run builds the command"},
	{"docs/prefork.md", "p := prefork.New(&fasthttp.Server{", "compat/integration TestDocsAreExamples"},
	{"docs/prefork.md", "app := fiber.New(fiber.Config{Prefork: true, DisableStartupMessage: true})", "compat/integration TestDocsAreExamples"},
	{"docs/releasing.md", `git tag -s vX.Y.Z -m vX.Y.Z`, "compat/internal/released TestReleased"},
	{"docs/scale.md", "scrape_configs:", "integration TestCommandsOfScale"},
	{"docs/scale.md", "groups:", "integration TestCommandsOfScale"},
	{"docs/scale.md", "prometheus --web.enable-remote-write-receiver --config.file=prometheus.yml", "integration TestCommandsOfScale"},
	{"docs/scale.md", "mpctl serve /dev/shm/shop --web.listen-address 127.0.0.1:9090 \\", "integration TestCommandsOfScale"},
	{"docs/scale.md", "mpctl remote-write http://prometheus.example:9090/api/v1/write --dir /dev/shm/shop --every 15s", "integration TestCommandsOfScale"},
	{"docs/scale.md", `sum by (code) (rate(http_requests_total{job="shop"}[5m]))`, "integration TestCommandsOfScale"},
}

const (
	picture = "not run: a picture"
	// shown blocks are files of docs/client_python, each of which another test of the directory runs.
	shown = "integration TestDocsOfClientPython"
)

// block is a code block of a page.
type block struct{ page, first string }

// TestBlocks: every code block of every page, fenced or indented, in any language, is run by
// a test, or the list says why not. The list has no other rows.
func TestBlocks(t *testing.T) {
	var found []block
	err := filepath.WalkDir(root, func(path string, d os.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && (d.Name() == "testdata" || d.Name() == ".git" || d.Name() == "dist") {
			return filepath.SkipDir
		}
		if d.IsDir() || !strings.HasSuffix(path, ".md") {
			return nil
		}
		text, err := os.ReadFile(path)
		require.NoError(t, err)
		require.NotContains(t, string(text), "<pre", "%s: write a fenced block", path)
		page, err := filepath.Rel(root, path)
		require.NoError(t, err)
		for _, first := range blocksOf(string(text)) {
			found = append(found, block{filepath.ToSlash(page), first})
		}
		return nil
	})
	require.NoError(t, err)
	var listed []block
	for _, b := range blocks {
		listed = append(listed, block{b.page, b.first})
		if _, excused := strings.CutPrefix(b.by, "not run: "); excused {
			continue
		}
		dir, name, ok := strings.Cut(b.by, " ")
		require.True(t, ok, b.by)
		require.True(t, testReads(t, dir, name, filepath.Base(b.page)), "%s: no file of %s has func %s and names the page", b.page, dir, name)
	}
	for _, b := range found {
		assert.Contains(t, listed, b, "no test runs this block of %s: write one and add it to the list, or say there why none can", b.page)
	}
	for _, b := range listed {
		assert.Contains(t, found, b, "%s has no block that begins so", b.page)
	}
	require.Len(t, listed, len(found), "two blocks of a page begin alike")
}

// testReads reports whether a file of the directory has the test, and one of its tests names the page.
func testReads(t *testing.T, dir, name, page string) bool {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(root, dir, "*_test.go"))
	require.NoError(t, err)
	has, names := false, false
	for _, file := range files {
		text, err := os.ReadFile(file)
		require.NoError(t, err)
		has = has || strings.Contains(string(text), "func "+name+"(t *testing.T)")
		names = names || strings.Contains(string(text), page)
	}
	return has && names
}

var (
	fence    = regexp.MustCompile("^ *(```+|~~~+)")
	listItem = regexp.MustCompile(`^ *([-*+]|\d+\.) `)
)

// blocksOf returns the first line of each code block of a page.
func blocksOf(text string) (firsts []string) {
	lines := strings.Split(text, "\n")
	inList := false
	for i := 0; i < len(lines); i++ {
		line := lines[i]
		if m := fence.FindStringSubmatch(line); m != nil {
			end := i + 1
			for end < len(lines) && !strings.HasPrefix(strings.TrimSpace(lines[end]), m[1]) {
				end++
			}
			if i+1 < len(lines) {
				firsts = append(firsts, strings.TrimSpace(lines[i+1]))
			}
			i = end
			continue
		}
		indented := strings.HasPrefix(line, "    ") && strings.TrimSpace(line) != ""
		switch {
		case listItem.MatchString(line):
			inList = true
		case strings.TrimSpace(line) != "" && !strings.HasPrefix(line, " "):
			inList = false
		case indented && (!inList || strings.HasPrefix(line, "        ")) && (i == 0 || strings.TrimSpace(lines[i-1]) == ""):
			firsts = append(firsts, strings.TrimSpace(line))
			for i+1 < len(lines) && (strings.HasPrefix(lines[i+1], "    ") || strings.TrimSpace(lines[i+1]) == "") {
				i++
			}
		}
	}
	return firsts
}

// TestBlocksAreFound: no way of writing a block escapes.
func TestBlocksAreFound(t *testing.T) {
	for name, text := range map[string]string{
		"fenced":               "text\n\n```sh\nx\n```\n",
		"without a language":   "```\nx\n```\n",
		"another language":     "```console\nx\n```\n",
		"tildes":               "~~~\nx\n~~~\n",
		"in a list":            "- item\n\n  ```sh\n  x\n  ```\n",
		"four backticks":       "````\nx\n```\ny\n````\n",
		"indented":             "text\n\n    x\n    y\n\n    z\n\ntext\n",
		"indented, at the top": "    x\n",
		"indented in a list":   "- item\n\n        x\n",
		"after a list":         "- item\n\ntext\n\n    x\n",
		"does not end":         "```sh\nx\n",
	} {
		require.Equal(t, []string{"x"}, blocksOf(text), name)
	}
	require.Empty(t, blocksOf("text\n- item\n    goes on\n\n    and on\n"), "a list's text")
	require.Empty(t, blocksOf("text\n    goes on\n"), "a paragraph")
	require.True(t, slices.ContainsFunc(blocks, func(b struct{ page, first, by string }) bool { return b.by == picture }))
}
