package main

import (
	"bytes"
	"go/ast"
	"go/format"
	"go/parser"
	"go/token"
	"path"
	"strconv"
	"strings"
)

// replaceImports replaces imports, as a user would. A key that ends in a slash stands
// for all paths below it. Where the file has no name for the import, it gets the one
// that it has been using.
func replaceImports(source []byte, imports map[string]string) ([]byte, error) {
	return edit(source, func(file *ast.File) (changed bool) {
		for _, spec := range file.Imports {
			old, err := strconv.Unquote(spec.Path.Value)
			if err != nil {
				continue
			}
			for from, to := range imports {
				switch below, found := strings.CutPrefix(old, from); {
				case old == from:
					spec.Path.Value = strconv.Quote(to)
				case found && strings.HasSuffix(from, "/"):
					spec.Path.Value = strconv.Quote(to + below)
				default:
					continue
				}
				changed = true
				if spec.Name == nil {
					spec.Name = ast.NewIdent(path.Base(old))
				}
			}
		}
		return changed
	})
}

// dotImport adds a dot import of target to a file that is in the package under
// test itself. It anchors the import, since a file may use nothing of it.
func dotImport(source []byte, target string) ([]byte, error) {
	file, err := parser.ParseFile(token.NewFileSet(), "", source, parser.PackageClauseOnly)
	if err != nil || bytes.HasSuffix([]byte(file.Name.Name), []byte("_test")) {
		return source, err
	}
	end := int(file.Name.End()) - 1
	out := append([]byte{}, source[:end]...)
	out = append(out, "\n\nimport . "+strconv.Quote(target)...)
	out = append(out, source[end:]...)
	return append(out, "\nvar _ = "+anchors[path.Base(target)]+"\n"...), nil
}

// anchors are names that each package exports.
var anchors = map[string]string{"prometheus": "NewCounter", "prom": "NewCounter", "promauto": "NewCounter", "promhttp": "Handler"}

// edit parses a file, changes it and formats it. A file without changes keeps its
// bytes.
func edit(source []byte, change func(*ast.File) (changed bool)) ([]byte, error) {
	set := token.NewFileSet()
	file, err := parser.ParseFile(set, "", source, parser.ParseComments|parser.SkipObjectResolution)
	if err != nil {
		return nil, err
	}
	if !change(file) {
		return source, nil
	}
	var out bytes.Buffer
	if err := format.Node(&out, set, file); err != nil {
		return nil, err
	}
	return out.Bytes(), nil
}
