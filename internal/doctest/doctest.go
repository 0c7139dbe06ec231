package doctest

import (
	"fmt"
	"go/doc/comment"
	"go/parser"
	"go/token"
	"maps"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// PackageBlocks returns the code blocks in the package comment of a file.
func PackageBlocks(t *testing.T, path string) (blocks []string) {
	t.Helper()
	f, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.ParseComments|parser.PackageClauseOnly)
	if err != nil || f.Doc == nil {
		t.Fatalf("%s has no doc comment: %v", path, err)
	}
	for _, b := range new(comment.Parser).Parse(f.Doc.Text()).Content {
		if code, ok := b.(*comment.Code); ok {
			blocks = append(blocks, code.Text)
		}
	}
	return blocks
}

// MarkdownBlocks returns the code blocks of a language in a page.
func MarkdownBlocks(t *testing.T, path, language string) (blocks []string) {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for _, rest := range strings.Split("\n"+string(text), "\n```"+language+"\n")[1:] {
		block, _, found := strings.Cut(rest, "\n```")
		if !found {
			t.Fatalf("%s: a block does not end", path)
		}
		blocks = append(blocks, block+"\n")
	}
	return blocks
}

// imports are the imports of the snippets, by the name that they use. A snippet imports
// others itself.
var imports = map[string]string{
	"context": "context", "fmt": "fmt", "io": "io", "log": "log", "http": "net/http", "os": "os", "signal": "os/signal", "syscall": "syscall", "time": "time",
	"multiprom": strings.TrimSuffix(ours, "/"), "metric": ours + "metric", "gather": ours + "gather", "multiproc": ours + "multiproc", "exposition": ours + "exposition", "registry": ours + "registry",
	"collectors": ours + "registry/collectors", "publish": ours + "registry/publish", "supervisor": ours + "supervisor",
	"aggregate": ours + "aggregate", "bytes": "bytes", "strings": "strings", "httptest": "net/http/httptest",
	"prometheus": "github.com/prometheus/client_golang/prometheus",
}

const ours = "github.com/multiprom/multiprom/"

var selector = regexp.MustCompile(`\b([a-z]+)\.[A-Z]`)

// Build compiles declarations into a program and returns its path. It adds the package
// clause and the imports. replace are pairs of a text that the reader sees and the text
// that the test needs, such as an address. Each must occur.
func Build(t *testing.T, declarations string, replace ...string) (program string) {
	t.Helper()
	for i := 0; i < len(replace); i += 2 {
		if !strings.Contains(declarations, replace[i]) {
			t.Fatalf("the snippet has no %q:\n%s", replace[i], declarations)
		}
		declarations = strings.ReplaceAll(declarations, replace[i], replace[i+1])
	}
	own := map[string]bool{}
	head, err := parser.ParseFile(token.NewFileSet(), "", "package main\n"+declarations, parser.ImportsOnly)
	if err != nil {
		t.Fatalf("%v in\n%s", err, declarations)
	}
	for _, spec := range head.Imports {
		own[strings.Trim(path.Base(spec.Path.Value), `"`)] = true
	}
	used := map[string]bool{}
	for _, m := range selector.FindAllStringSubmatch(declarations, -1) {
		if path, ok := imports[m[1]]; ok && !own[m[1]] {
			used[path] = true
		}
	}
	var source strings.Builder
	source.WriteString("package main\n\n")
	for _, path := range slices.Sorted(maps.Keys(used)) {
		fmt.Fprintf(&source, "import %q\n", path)
	}
	source.WriteString("\n" + declarations)
	dir := t.TempDir()
	file := filepath.Join(dir, "main.go")
	if err := os.WriteFile(file, []byte(source.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	program = filepath.Join(dir, "program.exe")
	out, err := exec.Command("go", "build", "-o", program, file).CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s\n%s", err, out, source.String())
	}
	return program
}

// Run runs a program that ends by itself, in a metrics directory, and returns what it
// has written.
func Run(t *testing.T, program, dir string) string {
	t.Helper()
	cmd := exec.Command(program)
	cmd.Env = append(os.Environ(), "PROMETHEUS_MULTIPROC_DIR="+dir)
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%v: %s", err, stderr.String())
	}
	return string(out)
}

// PublishingWorker returns the source of a program that runs block, which declares a publisher
// of that name, publishes with it, and writes the merged view of its directory.
func PublishingWorker(block, publisher string) string {
	return `
func main() {
	if err := worker(); err != nil {
		panic(err)
	}
}

func worker() error {
	` + block + `
	if err := ` + publisher + `.Publish(context.Background()); err != nil {
		return err
	}
	view, err := aggregate.Open(os.Getenv("PROMETHEUS_MULTIPROC_DIR"), aggregate.Options{})
	if err != nil {
		return err
	}
	families, err := view.Gather(context.Background())
	if err != nil {
		return err
	}
	return exposition.Encode(os.Stdout, families, exposition.Options{})
}
`
}
