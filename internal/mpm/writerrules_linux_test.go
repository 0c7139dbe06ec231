package mpm

import (
	"go/ast"
	goparser "go/parser"
	"go/token"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// writerRules returns the format of each reason that CheckWriter gives.
func writerRules(t *testing.T) (rules []string) {
	t.Helper()
	for _, name := range []string{"checkwriter.go", "checkchanges.go"} {
		f, err := goparser.ParseFile(token.NewFileSet(), name, nil, 0)
		require.NoError(t, err)
		ast.Inspect(f, func(n ast.Node) bool {
			if call, ok := n.(*ast.CallExpr); ok {
				if fun, ok := call.Fun.(*ast.Ident); ok && fun.Name == "fail" {
					text, err := strconv.Unquote(call.Args[1].(*ast.BasicLit).Value)
					require.NoError(t, err)
					if !slices.Contains(rules, text) {
						rules = append(rules, text)
					}
				}
			}
			return true
		})
	}
	return rules
}

var verb = regexp.MustCompile(`%[a-z]`)

// TestWriterRules: each rule of CheckWriter is broken by a writer of a test, and docs/format.md
// has it, and no other.
func TestWriterRules(t *testing.T) {
	page, err := os.ReadFile("../../docs/format.md")
	require.NoError(t, err)
	_, chapter, ok := strings.Cut(string(page), "\n**What is checked.**")
	require.True(t, ok)
	chapter, _, _ = strings.Cut(chapter, "\n## ")
	said := map[string]bool{}
	for _, code := range regexp.MustCompile("\\| `([^`]+)` \\|").FindAllStringSubmatch(chapter, -1) {
		said[code[1]] = true
	}
	wants := wrongNames
	for _, table := range []map[string]brokenRule{brokenRules, brokenChanges, brokenLocks} {
		for _, b := range table {
			wants = append(wants, b.want)
		}
	}
	for _, rule := range writerRules(t) {
		parts := strings.Split(verb.ReplaceAllString(regexp.QuoteMeta(rule), "\x00"), "\x00")
		whole := regexp.MustCompile("^" + strings.Join(parts, ".*") + "$")
		require.True(t, slices.ContainsFunc(wants, func(want string) bool {
			return want != "" && (whole.MatchString(want) || strings.Contains(rule, want))
		}), "no writer of a test breaks the rule %q", rule)
		shown := verb.ReplaceAllString(rule, "…")
		require.True(t, said[shown], "docs/format.md, \"What is checked\", does not have %q", shown)
		delete(said, shown)
	}
	require.Empty(t, said, "docs/format.md has rules that nothing checks")
}
