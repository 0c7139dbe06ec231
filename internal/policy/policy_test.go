package policy

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

const (
	module = "github.com/multiprom/multiprom"
	root   = "../.."
)

// order is the order of the packages: each imports only packages above it. multiproc and
// aggregate communicate only through files. Packages of internal/ that are not listed are
// leaves.
var order = []string{
	"metric", "gather", "internal/openmetrics", "internal/histogram", "internal/views", "internal/inspect",
	"internal/lifetime", "internal/mpm", "internal/pyfile", "internal/access", "mmapstore", "multiproc",
	"aggregate/internal/sum", "aggregate/internal/snapshot", "aggregate/internal/table", "aggregate/internal/compact", "aggregate",
	"registry/collectors", "registry", "registry/publish", "exposition", ".", "exposition/textparse",
	"bridge/delivery", "bridge/internal/tlsclient", "bridge/internal/send", "bridge/remotewrite", "bridge/otlp",
	"bridge/pushgateway", "bridge/graphite", "bridge/textfile",
	"internal/record", "internal/glance", "supervisor", "writers", "cmd/mpctl", "integration",
}

var forbidden = map[string][]string{
	"multiproc": {"aggregate"},
	"aggregate": {"multiproc"},
	// A compaction keeps every schema: what a view shows of them is none of its business.
	"aggregate/internal/compact": {"aggregate/internal/table"},
	// The registry uses its collectors; they know the registry only by its method set.
	"registry/collectors": {"multiproc", "aggregate"},
}

// libraryDeps are the modules that library packages may import.
var libraryDeps = []string{
	"github.com/edsrzf/mmap-go", "golang.org/x/sys", "github.com/gofrs/flock",
	"github.com/klauspost/compress", "github.com/prometheus/procfs", "google.golang.org/protobuf/encoding/protowire",
}

// source is a Go file that is not a test.
type source struct {
	dir     string // relative to the root, with slashes
	path    string
	imports []string
}

func sources(t *testing.T) (out []source) {
	t.Helper()
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() {
			if _, err := os.Stat(filepath.Join(path, "go.mod")); err == nil && path != root {
				return fs.SkipDir // a nested module
			}
			if name := d.Name(); path != root && (strings.HasPrefix(name, ".") || name == "testdata") {
				return fs.SkipDir
			}
			return nil
		}
		if !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
			return nil
		}
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.ImportsOnly)
		if err != nil {
			return err
		}
		dir, err := filepath.Rel(root, filepath.Dir(path))
		if err != nil {
			return err
		}
		s := source{dir: filepath.ToSlash(dir), path: path}
		for _, i := range file.Imports {
			p, err := strconv.Unquote(i.Path.Value)
			if err != nil {
				return err
			}
			s.imports = append(s.imports, p)
		}
		out = append(out, s)
		return nil
	})
	require.NoError(t, err)
	require.NotEmpty(t, out)
	return out
}

func TestImportOrder(t *testing.T) {
	for _, s := range sources(t) {
		at := slices.Index(order, s.dir)
		if at < 0 && strings.HasPrefix(s.dir, "internal/") || strings.HasPrefix(s.dir, "examples/") {
			continue
		}
		require.GreaterOrEqual(t, at, 0, "%s: package %s has no place in the order of design", s.path, s.dir)
		for _, imp := range s.imports {
			dep, ours := strings.CutPrefix(imp, module+"/")
			above := slices.Index(order, dep)
			if !ours || above < 0 && strings.HasPrefix(dep, "internal/") {
				continue
			}
			require.GreaterOrEqual(t, above, 0, "%s imports %s, which has no place in the order", s.path, imp)
			require.Less(t, above, at, "%s: %s must not import %s", s.path, s.dir, dep)
			require.NotContains(t, forbidden[s.dir], dep, s.path)
		}
	}
}

func TestLibraryDependencies(t *testing.T) {
	for _, s := range sources(t) {
		if s.dir == "bridge/internal/send" && slices.Contains(s.imports, "go.etcd.io/bbolt") {
			continue // the queue, which nothing but remotewrite and otlp links
		}
		if s.dir == "cmd/mpctl" || s.dir == "integration" || strings.HasPrefix(s.dir, "examples/") {
			continue
		}
		for _, imp := range s.imports {
			host, _, _ := strings.Cut(imp, "/")
			if !strings.Contains(host, ".") || strings.HasPrefix(imp, module) {
				continue
			}
			allowed := slices.ContainsFunc(libraryDeps, func(dep string) bool {
				return imp == dep || strings.HasPrefix(imp, dep+"/")
			})
			require.True(t, allowed, "%s: a library package must not import %s", s.path, imp)
		}
	}
}

// TestDocumentation checks that every package has a doc.go with a package comment.
func TestDocumentation(t *testing.T) {
	for _, s := range sources(t) {
		path := filepath.Join(root, s.dir, "doc.go")
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.ParseComments)
		require.NoError(t, err, "package %s has no doc.go", s.dir)
		require.NotNil(t, file.Doc, "%s has no package comment", path)
		require.Greater(t, len(file.Doc.Text()), 100, "%s says too little", path)
	}
}

// TestNoWorkInInit checks that there are no init functions: importing a package does nothing.
func TestNoWorkInInit(t *testing.T) {
	for _, s := range sources(t) {
		file, err := parser.ParseFile(token.NewFileSet(), s.path, nil, parser.SkipObjectResolution)
		require.NoError(t, err)
		for _, d := range file.Decls {
			if f, ok := d.(*ast.FuncDecl); ok && f.Recv == nil {
				require.NotEqual(t, "init", f.Name.Name, s.path)
			}
		}
	}
}

// TestExportedAreDocumented checks that everything exported has a doc comment.
func TestExportedAreDocumented(t *testing.T) {
	for _, s := range sources(t) {
		file, err := parser.ParseFile(token.NewFileSet(), s.path, nil, parser.ParseComments)
		require.NoError(t, err)
		if file.Name.Name == "main" {
			continue
		}
		for _, d := range file.Decls {
			switch d := d.(type) {
			case *ast.FuncDecl:
				if d.Name.IsExported() && receiverIsExported(d) && d.Name.Name != "Error" {
					require.NotNil(t, d.Doc, "%s: %s has no comment", s.path, d.Name.Name)
				}
			case *ast.GenDecl:
				for _, spec := range d.Specs {
					if ts, ok := spec.(*ast.TypeSpec); ok && ts.Name.IsExported() {
						require.True(t, d.Doc != nil || ts.Doc != nil, "%s: %s has no comment", s.path, ts.Name.Name)
					}
				}
			}
		}
	}
}

func receiverIsExported(f *ast.FuncDecl) bool {
	if f.Recv == nil {
		return true
	}
	exported := true
	ast.Inspect(f.Recv.List[0].Type, func(n ast.Node) bool {
		if id, ok := n.(*ast.Ident); ok {
			exported = id.IsExported()
			return false
		}
		return true
	})
	return exported
}
