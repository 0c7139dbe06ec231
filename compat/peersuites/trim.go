package main

import (
	"context"
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// maxRounds bounds how often a package is compiled while what does not compile is
// taken out of it.
const maxRounds = 20

// trim takes out of a package's tests, in both copies, what does not compile
// outside the package: it needs names that are not exported. It returns the names
// of the tests that are gone.
func trim(ctx context.Context, dir, other, pkg string) (leftOut []string, err error) {
	for range maxRounds {
		problems, err := compile(ctx, dir, pkg)
		if err != nil {
			return nil, err
		}
		if len(problems) == 0 {
			return leftOut, nil
		}
		for _, file := range sortedKeys(problems) {
			names, err := takeOut(filepath.Join(dir, file), filepath.Join(other, file), problems[file])
			if err != nil {
				return nil, fmt.Errorf("%s: %w", file, err)
			}
			for _, name := range names {
				leftOut = append(leftOut, pkg+" "+name)
			}
		}
	}
	return nil, fmt.Errorf("%s: it does not compile, whatever is taken out", pkg)
}

func sortedKeys[T any](m map[string]T) []string {
	var keys []string
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}

// problem is a line that does not compile.
type problem struct {
	line int
	text string
}

var problemLine = regexp.MustCompile(`^(?:vet: )?(?:\./)?(\S+\.go):(\d+):\d+: (.*)$`)

// compile compiles the tests of a package and returns what is wrong, by file.
func compile(ctx context.Context, dir, pkg string) (map[string][]problem, error) {
	cmd := exec.CommandContext(ctx, "go", "test", "-mod=mod", "-gcflags=-e", "-vet=off", "-c", "-o", os.DevNull, "./"+pkg)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "GOWORK=off")
	out, err := cmd.CombinedOutput()
	if err == nil {
		return nil, nil
	}
	if _, exited := errors.AsType[*exec.ExitError](err); !exited {
		return nil, err
	}
	problems := map[string][]problem{}
	for line := range strings.Lines(string(out)) {
		m := problemLine.FindStringSubmatch(strings.TrimSpace(line))
		if m == nil {
			continue
		}
		n, _ := strconv.Atoi(m[2])
		problems[m[1]] = append(problems[m[1]], problem{n, m[3]})
	}
	if len(problems) == 0 {
		return nil, fmt.Errorf("go test -c ./%s: %w\n%s", pkg, err, out)
	}
	return problems, nil
}

// takeOut removes the declarations and imports that have a problem from a file, and
// those of the same names from the other copy.
func takeOut(file, other string, problems []problem) (names []string, err error) {
	gone := map[string]bool{}
	if err := editFile(file, func(set *token.FileSet, f *ast.File) {
		for _, p := range problems {
			if d := declarationAt(set, f, p.line); d != nil {
				gone[nameOf(d)] = true
			}
		}
		dropNamed(f, gone)
	}); err != nil {
		return nil, err
	}
	if err := editFile(other, func(_ *token.FileSet, f *ast.File) { dropNamed(f, gone) }); err != nil {
		return nil, err
	}
	for name := range gone {
		if isTest(name) {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names, nil
}

func isTest(name string) bool {
	return strings.HasPrefix(name, "Test") || strings.HasPrefix(name, "Example")
}

func editFile(name string, change func(*token.FileSet, *ast.File)) error {
	source, err := os.ReadFile(name)
	if err != nil {
		return err
	}
	set := token.NewFileSet()
	f, err := parser.ParseFile(set, "", source, parser.ParseComments|parser.SkipObjectResolution)
	if err != nil {
		return err
	}
	before := slices.Clone(f.Decls)
	change(set, f)
	// The declarations that are gone are cut out of the text: the syntax tree would
	// leave their comments.
	out := slices.Clone(source)
	for _, d := range before {
		if slices.Contains(f.Decls, d) {
			continue
		}
		for i := set.Position(start(d)).Offset; i < set.Position(d.End()).Offset; i++ {
			if out[i] != '\n' {
				out[i] = ' '
			}
		}
	}
	if out, err = dropUnusedImports(out); err != nil {
		return err
	}
	return os.WriteFile(name, out, 0o644)
}

// start is where a declaration begins, its comment included.
func start(d ast.Decl) token.Pos {
	switch d := d.(type) {
	case *ast.FuncDecl:
		if d.Doc != nil {
			return d.Doc.Pos()
		}
	case *ast.GenDecl:
		if d.Doc != nil {
			return d.Doc.Pos()
		}
	}
	return d.Pos()
}

// declarationAt returns the declaration that the line is in, other than imports.
func declarationAt(set *token.FileSet, f *ast.File, line int) ast.Decl {
	for _, d := range f.Decls {
		if g, ok := d.(*ast.GenDecl); ok && g.Tok == token.IMPORT {
			continue
		}
		if set.Position(d.Pos()).Line <= line && line <= set.Position(d.End()).Line {
			return d
		}
	}
	return nil
}

// nameOf is what tells a declaration from the others of its file in both copies.
func nameOf(d ast.Decl) string {
	switch d := d.(type) {
	case *ast.FuncDecl:
		if d.Recv != nil && len(d.Recv.List) > 0 {
			return receiver(d.Recv.List[0].Type) + "." + d.Name.Name
		}
		return d.Name.Name
	case *ast.GenDecl:
		for _, spec := range d.Specs {
			switch spec := spec.(type) {
			case *ast.TypeSpec:
				return spec.Name.Name
			case *ast.ValueSpec:
				return spec.Names[0].Name
			}
		}
	}
	return ""
}

func receiver(t ast.Expr) string {
	switch t := t.(type) {
	case *ast.StarExpr:
		return receiver(t.X)
	case *ast.Ident:
		return t.Name
	}
	return ""
}

func dropNamed(f *ast.File, gone map[string]bool) {
	f.Decls = slices.DeleteFunc(f.Decls, func(d ast.Decl) bool {
		g, ok := d.(*ast.GenDecl)
		return !(ok && g.Tok == token.IMPORT) && gone[nameOf(d)]
	})
}

// dropUnusedImports blanks the imports that nothing in the file names any more.
func dropUnusedImports(source []byte) ([]byte, error) {
	set := token.NewFileSet()
	f, err := parser.ParseFile(set, "", source, parser.SkipObjectResolution)
	if err != nil {
		return nil, err
	}
	used := map[string]bool{}
	ast.Inspect(f, func(n ast.Node) bool {
		if s, ok := n.(*ast.SelectorExpr); ok {
			if x, ok := s.X.(*ast.Ident); ok {
				used[x.Name] = true
			}
		}
		return true
	})
	for _, spec := range f.Imports {
		if name := localName(spec); name != "." && name != "_" && !used[name] {
			for i := set.Position(spec.Pos()).Offset; i < set.Position(spec.End()).Offset; i++ {
				source[i] = ' '
			}
		}
	}
	return source, nil
}

var versionSuffix = regexp.MustCompile(`/v\d+$`)

// localName is the name by which a file knows an import. The last part of the path
// is it in all that these suites import.
func localName(spec *ast.ImportSpec) string {
	if spec.Name != nil {
		return spec.Name.Name
	}
	p, _ := strconv.Unquote(spec.Path.Value)
	p = versionSuffix.ReplaceAllString(p, "")
	return strings.TrimPrefix(p[strings.LastIndexByte(p, '/')+1:], "go-")
}
