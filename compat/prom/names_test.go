package prom_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestEveryName finds each exported name of client_golang's packages in ours, so
// that whatever a file uses, it compiles with the import replaced.
func TestEveryName(t *testing.T) {
	for theirs, ours := range map[string]string{
		"prometheus": ".", "prometheus/promauto": "promauto", "prometheus/promhttp": "promhttp",
	} {
		list := func(format, pkg string) []string {
			out, err := exec.Command("go", "list", "-f", format, pkg).Output()
			require.NoError(t, err)
			return strings.Fields(string(out))
		}
		pkg := "github.com/prometheus/client_golang/" + theirs
		dir := list("{{.Dir}}", pkg)[0]
		var files []string
		for _, name := range list(`{{join .GoFiles " "}}`, pkg) {
			files = append(files, filepath.Join(dir, name))
		}
		own, err := filepath.Glob(filepath.Join(ours, "*.go"))
		require.NoError(t, err)
		have := exported(t, own)
		want := exported(t, files)
		require.Greater(t, len(want), 10)
		for name := range want {
			require.Contains(t, have, name, "package %s", ours)
		}
	}
}

// exported returns the exported package-level names of files, and the methods
// of exported types as Type.Method.
func exported(t *testing.T, files []string) map[string]bool {
	out := map[string]bool{}
	for _, path := range files {
		if strings.HasSuffix(path, "_test.go") {
			continue
		}
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.SkipObjectResolution)
		require.NoError(t, err)
		for _, d := range file.Decls {
			switch d := d.(type) {
			case *ast.FuncDecl:
				if d.Recv == nil && d.Name.IsExported() {
					out[d.Name.Name] = true
				}
				// The types that are ours, not aliases.
				if d.Recv != nil && d.Name.IsExported() {
					if id, ok := d.Recv.List[0].Type.(*ast.Ident); ok && (id.Name == "v2" || id.Name == "Factory") {
						out[id.Name+"."+d.Name.Name] = true
					}
				}
			case *ast.GenDecl:
				for _, spec := range d.Specs {
					switch spec := spec.(type) {
					case *ast.TypeSpec:
						if spec.Name.IsExported() {
							out[spec.Name.Name] = true
						}
					case *ast.ValueSpec:
						for _, name := range spec.Names {
							if name.IsExported() {
								out[name.Name] = true
							}
						}
					}
				}
			}
		}
	}
	return out
}
