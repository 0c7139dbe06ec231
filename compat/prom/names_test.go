package prom_test

import (
	"bytes"
	"go/ast"
	"go/parser"
	"go/token"
	"math/rand/v2"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/common/expfmt"
	"github.com/stretchr/testify/require"

	"github.com/multiprom/multiprom/compat/convert"
	"github.com/multiprom/multiprom/compat/prom"
	"github.com/multiprom/multiprom/exposition"
	"github.com/multiprom/multiprom/metric"
	"github.com/multiprom/multiprom/registry"
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

// TestCounterNames: a counter whose name ends in _total is served as client_golang serves
// it, whatever stands before that, in text and in OpenMetrics: over a store, and through
// convert. Another is served as if it ended so.
func TestCounterNames(t *testing.T) {
	r := rand.New(rand.NewPCG(8, 9))
	part := func(of ...string) string { return of[r.IntN(len(of))] }
	names := []string{"x_total_total", "total", "x_total_created", "_total_total", "__total", "x_TOTAL"}
	for range 200 {
		names = append(names, part("x", "requests", "total", "a:b", "_")+part("", "", "_total", "_created", "total")+part("", "_total", "_count")+part("", "_total"))
	}
	for _, name := range names {
		reg := prometheus.NewRegistry()
		suffixed := name
		if !strings.HasSuffix(name, "_total") {
			suffixed += "_total"
		}
		if suffixed == "_total" {
			continue
		}
		genuine := prometheus.NewCounter(prometheus.CounterOpts{Name: suffixed, Help: "h"})
		genuine.Add(1.5)
		reg.MustRegister(genuine)
		theirs, err := reg.Gather()
		require.NoError(t, err)
		for format, ours := range map[expfmt.Format]exposition.ContentType{
			expfmt.NewFormat(expfmt.TypeTextPlain): {}, expfmt.NewFormat(expfmt.TypeOpenMetrics): {Format: exposition.OpenMetrics100},
		} {
			var want bytes.Buffer
			encoder := expfmt.NewEncoder(&want, format)
			require.NoError(t, encoder.Encode(theirs[0]))
			if closer, ok := encoder.(expfmt.Closer); ok {
				require.NoError(t, closer.Close())
			}
			f, set := newFactory(t, prom.Options{})
			f.NewCounter(prometheus.CounterOpts{Name: name, Help: "h"}).Add(1.5)
			require.NoError(t, set.Open())
			stored, err := registry.Instruments(set).Gather(t.Context())
			require.NoError(t, err)
			require.Equal(t, want.String(), encoded(t, stored, ours), name)

			converted, err := convert.Families(theirs)
			require.NoError(t, err)
			got := encoded(t, converted, ours)
			if strings.HasSuffix(suffixed, "_total_total") { // see docs/client_golang.md
				require.Contains(t, got, "\n"+suffixed+" 1", name)
			} else {
				require.Equal(t, want.String(), got, name)
			}
		}
	}
}

// encoded returns the families without those of multiprom itself.
func encoded(t *testing.T, families []*metric.Family, format exposition.ContentType) string {
	var own []*metric.Family
	for _, f := range families {
		if !strings.HasPrefix(f.Name, "multiprom_") {
			own = append(own, f)
		}
	}
	var b bytes.Buffer
	require.NoError(t, exposition.Encode(&b, own, exposition.Options{ContentType: format}))
	return b.String()
}
