package policy

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"go/ast"
	"go/build"
	"go/importer"
	"go/parser"
	"go/token"
	"go/types"
	"io"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

var update = flag.Bool("update", false, "write docs/api.txt")

// listing is a file with one line for each exported identifier.
const listing = "docs/api.txt"

// Limits of what may be exported: identifiers of packages, and methods. Users have to learn
// every one of them, and after a first release none can be removed.
var apiLimits = []struct {
	what                 string
	packages             func(dir string) bool
	identifiers, methods int
	together             int // of both, if the two are 0
}{
	{"mmapstore", func(dir string) bool { return dir == "mmapstore" }, 0, 0, 41},
	{"all packages", func(string) bool { return true }, 286, 164, 0},
}

// TestAPI compares the exported identifiers with the listing and the limits.
func TestAPI(t *testing.T) {
	api := loadAPI(t)
	var lines []string
	identifiers, methods := map[string]int{}, map[string]int{}
	for _, dir := range slices.Sorted(maps.Keys(api)) {
		p := api[dir]
		lines = append(lines, p.lines...)
		identifiers[dir], methods[dir] = p.identifiers, p.methods
		t.Logf("%-24s %4d identifiers %4d methods", dir, p.identifiers, p.methods)
	}
	for _, p := range api {
		for _, l := range p.unnameable {
			t.Errorf("%s: users cannot name this type of an internal package", l)
		}
	}
	for _, l := range apiLimits {
		i, m := 0, 0
		for dir := range api {
			if l.packages(dir) {
				i, m = i+identifiers[dir], m+methods[dir]
			}
		}
		t.Logf("%-24s %4d identifiers %4d methods", l.what, i, m)
		if l.together > 0 && i+m > l.together {
			t.Errorf("%s: %d identifiers and %d methods are exported, the limit is %d together: make some internal", l.what, i, m, l.together)
		}
		if l.together == 0 && (i > l.identifiers || m > l.methods) {
			t.Errorf("%s: %d identifiers and %d methods are exported, the limits are %d and %d: make some internal", l.what, i, m, l.identifiers, l.methods)
		}
	}
	path := filepath.Join(root, filepath.FromSlash(listing))
	want := []byte(strings.Join(lines, "\n") + "\n")
	if *update {
		require.NoError(t, os.WriteFile(path, want, 0o644))
		return
	}
	have, err := os.ReadFile(path)
	require.NoError(t, err)
	if !bytes.Equal(bytes.ReplaceAll(have, []byte("\r\n"), []byte("\n")), want) {
		t.Errorf("%s is not what the packages export. Look at each line, then run `make api`:\n%s", listing, lineDiff(string(have), lines))
	}
}

// lineDiff returns the lines that only one of the two texts has.
func lineDiff(have string, want []string) string {
	old := strings.Split(strings.TrimSuffix(have, "\n"), "\n")
	var out strings.Builder
	for _, l := range old {
		if !slices.Contains(want, l) {
			fmt.Fprintln(&out, "-", l)
		}
	}
	for _, l := range want {
		if !slices.Contains(old, l) {
			fmt.Fprintln(&out, "+", l)
		}
	}
	return out.String()
}

// packageAPI is the exported API of a package.
type packageAPI struct {
	lines                []string
	unnameable           []string // lines with a type of an internal package
	identifiers, methods int
}

// loadAPI type-checks the packages that users can import. It reads their sources itself, so
// that Go's test cache notices changes. Only other modules and the standard library come
// from the go command.
func loadAPI(t *testing.T) map[string]*packageAPI {
	t.Helper()
	loader := &loader{fset: token.NewFileSet(), checked: map[string]*types.Package{}}
	loader.export = importer.ForCompiler(loader.fset, "gc", exportData(t))
	out := map[string]*packageAPI{}
	for _, s := range sources(t) {
		if strings.HasPrefix(s.dir, "internal") || strings.Contains(s.dir, "/internal") || strings.HasPrefix(s.dir, "examples") || out[s.dir] != nil {
			continue
		}
		pkg, err := loader.Import(strings.TrimSuffix(module+"/"+s.dir, "/."))
		require.NoError(t, err)
		if pkg.Name() != "main" {
			out[s.dir] = describe(pkg)
		}
	}
	return out
}

// target is the system whose API is listed.
var target = []string{"GOOS=linux", "GOARCH=amd64", "CGO_ENABLED=0"}

// exportData returns the paths of the compiler's export data of other packages.
func exportData(t *testing.T) importer.Lookup {
	t.Helper()
	cmd := exec.Command("go", "list", "-export", "-deps", "-f", "{{if and .Export (not (and .Module .Module.Main))}}{{.ImportPath}}={{.Export}}{{end}}", "./...")
	cmd.Dir = root
	cmd.Env = append(os.Environ(), target...)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	require.NoError(t, err, stderr.String())
	files := map[string]string{}
	for line := range strings.Lines(string(out)) {
		path, file, _ := strings.Cut(strings.TrimSpace(line), "=")
		files[path] = file
	}
	return func(path string) (io.ReadCloser, error) {
		if file, ok := files[path]; ok {
			return os.Open(file)
		}
		return nil, fmt.Errorf("no export data of %s", path)
	}
}

// loader imports the packages of this module from source.
type loader struct {
	fset    *token.FileSet
	export  types.Importer
	checked map[string]*types.Package
}

func (l *loader) Import(path string) (*types.Package, error) {
	dir, ours := strings.CutPrefix(path, module)
	if !ours {
		return l.export.Import(path)
	}
	if p := l.checked[path]; p != nil {
		return p, nil
	}
	ctx := build.Default
	ctx.GOOS, ctx.GOARCH, ctx.CgoEnabled = "linux", "amd64", false
	from, err := ctx.ImportDir(filepath.Join(root, filepath.FromSlash(dir)), 0)
	if err != nil {
		return nil, err
	}
	var files []*ast.File
	for _, name := range from.GoFiles {
		f, err := parser.ParseFile(l.fset, filepath.Join(from.Dir, name), nil, parser.SkipObjectResolution)
		if err != nil {
			return nil, err
		}
		files = append(files, f)
	}
	var errs []error
	config := types.Config{Importer: l, IgnoreFuncBodies: true, Error: func(err error) { errs = append(errs, err) }}
	pkg, _ := config.Check(path, l.fset, files, nil)
	l.checked[path] = pkg
	return pkg, errors.Join(errs...)
}

// describe lists what a package exports: a line for each identifier, field and method, as in
// Go's api files.
func describe(pkg *types.Package) *packageAPI {
	out := &packageAPI{}
	name := strings.TrimPrefix(pkg.Path(), module+"/")
	if pkg.Path() == module {
		name = pkg.Name()
	}
	prefix := "pkg " + name + ", "
	internal := false
	add := func(format string, args ...any) {
		out.lines = append(out.lines, prefix+fmt.Sprintf(format, args...))
		if internal {
			out.unnameable = append(out.unnameable, out.lines[len(out.lines)-1])
		}
		internal = false
	}
	str := func(t types.Type) string {
		return types.TypeString(unnamed(t), func(p *types.Package) string {
			if p == pkg {
				return ""
			}
			internal = internal || strings.HasPrefix(p.Path(), module+"/internal/")
			return p.Name()
		})
	}
	methods := map[types.Object]bool{}
	for _, name := range pkg.Scope().Names() {
		obj := pkg.Scope().Lookup(name)
		if !obj.Exported() {
			continue
		}
		out.identifiers++
		switch obj := obj.(type) {
		case *types.Const:
			add("const %s %s", name, str(obj.Type()))
		case *types.Var:
			add("var %s %s", name, str(obj.Type()))
		case *types.Func:
			add("func %s%s%s", name, typeParams(obj.Signature(), str), strings.TrimPrefix(str(obj.Type()), "func"))
		case *types.TypeName:
			describeType(obj, methods, str, add)
		}
	}
	slices.Sort(out.lines)
	out.methods = len(methods)
	return out
}

// describeType adds the lines of a type, and counts its methods. A declared method counts
// once, even if several types get it by embedding. Methods of interfaces are listed but not
// counted.
func describeType(obj *types.TypeName, methods map[types.Object]bool, str func(types.Type) string, add func(string, ...any)) {
	name := obj.Name()
	typ := obj.Type()
	if named, ok := typ.(*types.Named); ok && named.TypeParams() != nil {
		name = str(named)
	}
	under := typ.Underlying()
	switch u := under.(type) {
	case *types.Struct:
		add("type %s struct", name)
		for f := range u.Fields() {
			if f.Exported() {
				add("type %s struct, %s %s", name, f.Name(), str(f.Type()))
			}
		}
	case *types.Interface:
		add("type %s interface", name)
		for m := range u.Methods() {
			if m.Exported() {
				add("type %s interface, %s%s", name, m.Name(), strings.TrimPrefix(str(m.Type()), "func"))
			}
		}
		return
	default:
		add("type %s %s", name, str(under))
	}
	set := types.NewMethodSet(types.NewPointer(typ))
	for s := range set.Methods() {
		if m := s.Obj(); m.Exported() {
			methods[m.(*types.Func).Origin()] = true
			add("method (%s) %s%s", name, m.Name(), strings.TrimPrefix(str(s.Type()), "func"))
		}
	}
}

// typeParams returns the type parameters of a function, such as [T error].
func typeParams(sig *types.Signature, str func(types.Type) string) string {
	var out []string
	for p := range sig.TypeParams().TypeParams() {
		out = append(out, p.Obj().Name()+" "+str(p.Constraint()))
	}
	if out == nil {
		return ""
	}
	return "[" + strings.Join(out, ", ") + "]"
}

// unnamed returns a function's type without parameter names.
func unnamed(t types.Type) types.Type {
	sig, ok := t.(*types.Signature)
	if !ok {
		return t
	}
	strip := func(tuple *types.Tuple) *types.Tuple {
		var vars []*types.Var
		for v := range tuple.Variables() {
			vars = append(vars, types.NewParam(v.Pos(), v.Pkg(), "", v.Type()))
		}
		return types.NewTuple(vars...)
	}
	return types.NewSignatureType(nil, nil, nil, strip(sig.Params()), strip(sig.Results()), sig.Variadic())
}
