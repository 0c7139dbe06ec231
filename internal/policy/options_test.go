package policy

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"maps"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// optionStructs are the exported option structs of a package, and those that its tests
// check.
type optionStructs struct {
	types   map[string]ast.Expr // what each exported type is declared as
	foreign map[string]bool     // imports of other modules, by the name that files use
	checked map[string]bool     // by optiontest.Check
}

// TestOptionsAreChecked checks that every exported option struct is tested by
// optiontest.Check, which needs a row for every field. Option structs are those with a name
// that ends in Options or Opts, and those in their fields.
func TestOptionsAreChecked(t *testing.T) {
	packages := map[string]*optionStructs{}
	require.NoError(t, filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name := d.Name()
		if d.IsDir() {
			if path != root && (strings.HasPrefix(name, ".") || name == "testdata" || name == "internal") {
				return fs.SkipDir
			}
			return nil
		}
		if !strings.HasSuffix(name, ".go") {
			return nil
		}
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		p := packages[filepath.Dir(path)]
		if p == nil {
			p = &optionStructs{types: map[string]ast.Expr{}, foreign: map[string]bool{}, checked: map[string]bool{}}
			packages[filepath.Dir(path)] = p
		}
		if strings.HasSuffix(name, "_test.go") {
			p.takeChecks(file)
		} else if file.Name.Name != "main" {
			p.takeTypes(file)
		}
		return nil
	}))
	found := 0
	for dir, p := range packages {
		for _, name := range p.wanted() {
			found++
			if !p.checked[name] {
				t.Errorf("%s: no test calls optiontest.Check(t, %s{…}, rows, try), which says what its fields make of their values", dir, name)
			}
		}
	}
	require.Greater(t, found, 25)
}

func (p *optionStructs) takeTypes(file *ast.File) {
	for _, i := range file.Imports {
		path, _ := strconv.Unquote(i.Path.Value)
		name := path[strings.LastIndex(path, "/")+1:]
		if i.Name != nil {
			name = i.Name.Name
		}
		if !strings.HasPrefix(path, module) {
			p.foreign[name] = true
		}
	}
	for _, d := range file.Decls {
		d, ok := d.(*ast.GenDecl)
		if !ok {
			continue
		}
		for _, spec := range d.Specs {
			if spec, ok := spec.(*ast.TypeSpec); ok && spec.Name.IsExported() {
				p.types[spec.Name.Name] = spec.Type
			}
		}
	}
}

// takeChecks finds calls of optiontest.Check with a literal or an instance of the type.
func (p *optionStructs) takeChecks(file *ast.File) {
	ast.Inspect(file, func(n ast.Node) bool {
		call, ok := n.(*ast.CallExpr)
		if !ok {
			return true
		}
		fun, of := call.Fun, ast.Expr(nil)
		if index, ok := fun.(*ast.IndexExpr); ok {
			fun, of = index.X, index.Index
		}
		if sel, ok := fun.(*ast.SelectorExpr); !ok || sel.Sel.Name != "Check" || typeName(sel.X) != "optiontest" {
			return true
		}
		if literal, ok := call.Args[1].(*ast.CompositeLit); ok {
			of = literal.Type
		}
		p.checked[typeName(of)] = true
		return true
	})
}

// wanted returns the names of the structs that need a check. A struct in a field needs
// none, since optiontest walks it; one that is a pointer, or in a slice, does.
func (p *optionStructs) wanted() []string {
	want := map[string]bool{}
	var take func(name string)
	take = func(name string) {
		if want[name] || !p.isStruct(p.types[name]) {
			return
		}
		want[name] = true
		s, _ := p.types[name].(*ast.StructType)
		if s == nil {
			return
		}
		for _, f := range s.Fields.List {
			if len(f.Names) > 0 && !f.Names[0].IsExported() {
				continue
			}
			switch typ := f.Type.(type) {
			case *ast.StarExpr:
				take(typeName(typ.X))
			case *ast.ArrayType:
				take(typeName(typ.Elt))
			}
		}
	}
	for _, name := range slices.Sorted(maps.Keys(p.types)) {
		if strings.HasSuffix(name, "Options") || strings.HasSuffix(name, "Opts") {
			take(name)
		}
	}
	return slices.Sorted(maps.Keys(want))
}

// isStruct reports whether a declaration is a struct with exported fields, or an alias of a
// struct in this project.
func (p *optionStructs) isStruct(typ ast.Expr) bool {
	switch typ := typ.(type) {
	case *ast.StructType:
		return slices.ContainsFunc(typ.Fields.List, func(f *ast.Field) bool { return len(f.Names) == 0 || f.Names[0].IsExported() })
	case *ast.Ident:
		return p.isStruct(p.types[typ.Name])
	case *ast.SelectorExpr:
		return !p.foreign[typeName(typ.X)]
	}
	return false
}

// typeName returns the last part of a type's name.
func typeName(e ast.Expr) string {
	switch e := e.(type) {
	case *ast.Ident:
		return e.Name
	case *ast.SelectorExpr:
		return e.Sel.Name
	}
	return ""
}
