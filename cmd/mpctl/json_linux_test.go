package main

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/multiprom/multiprom/internal/glance"
)

// jsonOutput is what a command prints with --json. A key is a command with what else it needs.
var jsonOutput = map[string]any{
	"check": []problem{}, "demo": demoResult{}, "diff": []difference{}, "dump": []dumpedFamily{}, "families": []shownFamily{},
	"gc": gcResult{}, "inspect": []*inspection{}, "ls": []listed{}, "replay": recording{},
	"replay NAME": []dumpedFamily{}, "replay --process ID": recordedProcess{}, "replay --rate NAME": []rateRow{},
	"top": glance.Picture{}, "version": versionInfo{},
}

// writeJSON writes the fields of what --json prints, with the comments that they have in the
// code.
func writeJSON(t *testing.T, page *strings.Builder) {
	page.WriteString(`
## JSON

What ` + "`--json`" + ` prints, one document a call. Fields stay within a major version, and others may be added. Those in
brackets are left out if they are empty, or not known. Numbers that may be NaN or infinite are strings, because JSON has
neither. Times are in UTC, in the form of RFC 3339.
`)
	f := &fieldWriter{page: page, comments: fieldComments(t, ".", "../../internal/glance")}
	for _, use := range sortedKeys(jsonOutput) {
		of := reflect.TypeOf(jsonOutput[use])
		fmt.Fprintf(page, "\n### mpctl %s --json\n\n", use)
		if use == "replay NAME" {
			page.WriteString("As `mpctl dump --json`.\n")
			continue
		}
		page.WriteString(map[bool]string{true: "A list; of each element:", false: "An object:"}[of.Kind() == reflect.Slice] + "\n\n| field | type | what |\n|---|---|---|\n")
		if of.Kind() == reflect.Slice {
			of = of.Elem()
		}
		f.fields("", of)
	}
}

// TestJSONOfEachCommand: no command has a --json whose fields are not documented.
func TestJSONOfEachCommand(t *testing.T) {
	for _, cmd := range newRoot().Commands() {
		_, documented := jsonOutput[cmd.Name()]
		require.Equal(t, cmd.Flags().Lookup("json") != nil, documented, cmd.Name())
	}
}

type fieldWriter struct {
	page     *strings.Builder
	comments map[string]string // by Type.Field
}

// fields writes a row for each field of a struct, and for those in it.
func (w *fieldWriter) fields(path string, of reflect.Type) {
	for of.Kind() == reflect.Pointer {
		of = of.Elem()
	}
	for f := range fieldsOf(of) {
		name, options, _ := strings.Cut(f.Tag.Get("json"), ",")
		switch {
		case f.Anonymous && name == "":
			w.fields(path, f.Type)
			continue
		case !f.IsExported() || name == "-":
			continue
		}
		at, kind, inner := path+name, "", f.Type
		for kind == "" {
			switch {
			case inner == reflect.TypeFor[time.Time]():
				kind = "time"
			case inner.Kind() == reflect.Pointer:
				inner = inner.Elem()
			case inner.Kind() == reflect.Slice:
				at, inner = at+"[]", inner.Elem()
			case inner.Kind() == reflect.Map:
				at, inner = at+".*", inner.Elem()
			case inner.Kind() == reflect.Struct:
				kind = "object"
			default:
				kind = map[reflect.Kind]string{reflect.String: "string", reflect.Bool: "boolean"}[inner.Kind()]
				if kind == "" {
					kind = "number"
				}
			}
		}
		shown := "`" + at + "`"
		if options != "" {
			shown = "[" + shown + "]"
		}
		fmt.Fprintf(w.page, "| %s | %s | %s |\n", shown, kind, cell(w.comments[of.Name()+"."+f.Name]))
		if kind == "object" {
			w.fields(at+".", inner)
		}
	}
}

func fieldsOf(of reflect.Type) func(func(reflect.StructField) bool) {
	return func(yield func(reflect.StructField) bool) {
		for i := 0; i < of.NumField() && yield(of.Field(i)); i++ {
		}
	}
}

// fieldComments returns what is said of the fields of structs at the end of their lines.
func fieldComments(t *testing.T, dirs ...string) map[string]string {
	t.Helper()
	out := map[string]string{}
	for _, dir := range dirs {
		files, err := filepath.Glob(filepath.Join(dir, "*.go"))
		require.NoError(t, err)
		for _, file := range files {
			tree, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.ParseComments)
			require.NoError(t, err)
			ast.Inspect(tree, func(n ast.Node) bool {
				spec, is := n.(*ast.TypeSpec)
				if !is {
					return true
				}
				if s, is := spec.Type.(*ast.StructType); is {
					for _, f := range s.Fields.List {
						for _, name := range f.Names {
							out[spec.Name.Name+"."+name.Name] = strings.TrimSpace(f.Comment.Text())
						}
					}
				}
				return true
			})
		}
	}
	return out
}
