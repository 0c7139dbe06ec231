package mpm

import (
	"go/ast"
	goparser "go/parser"
	"go/token"
	"os"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestFormatPage compares docs/format.md with the code: each offset in a table of the page is
// the constant of that name, and none is missing.
func TestFormatPage(t *testing.T) {
	page, err := os.ReadFile("../../docs/format.md")
	require.NoError(t, err)
	documented := map[string]int{}
	for _, m := range regexp.MustCompile("(?m)^\\| (\\d+) \\|[^|]*\\|[^|]*\\| `(off\\w+)` \\|").FindAllStringSubmatch(string(page), -1) {
		n, err := strconv.Atoi(m[1])
		require.NoError(t, err)
		require.NotContains(t, documented, m[2])
		documented[m[2]] = n
	}
	require.Equal(t, constants(t), documented)
	for _, want := range []string{"0x7FF86D756E736574", "65536 bytes", "0x0A0B0C0D", `\x89MPM\r\n\x1a\n`, `\x89MPA\r\n\x1a\n`} {
		require.Contains(t, string(page), want)
	}
	require.Equal(t, uint64(0x7FF86D756E736574), uint64(UnsetBits))
	require.EqualValues(t, 65536, BlockSize)
}

// constants returns the constants off… of the two formats.
func constants(t *testing.T) map[string]int {
	out := map[string]int{}
	for _, source := range []string{"format.go", "archive_codec.go"} {
		collect(t, source, out)
	}
	return out
}

func collect(t *testing.T, source string, out map[string]int) {
	file, err := goparser.ParseFile(token.NewFileSet(), source, nil, 0)
	require.NoError(t, err)
	ast.Inspect(file, func(n ast.Node) bool {
		spec, ok := n.(*ast.ValueSpec)
		if !ok || len(spec.Values) != 1 || !strings.HasPrefix(spec.Names[0].Name, "off") {
			return true
		}
		lit, ok := spec.Values[0].(*ast.BasicLit)
		require.True(t, ok, spec.Names[0].Name)
		v, err := strconv.Atoi(lit.Value)
		require.NoError(t, err)
		out[spec.Names[0].Name] = v
		return true
	})
}

func TestFileName(t *testing.T) {
	h := Header{PID: 42, Incarnation: Incarnation{0xab, 15: 1}}
	pid, inc, ok := ParseFileName(h.FileName())
	require.True(t, ok)
	require.Equal(t, 42, pid)
	require.Equal(t, h.Incarnation, inc)
	for _, bad := range []string{
		"", "42.mpm", "-ab.mpm", "042-" + inc.String() + ".mpm", "42-" + inc.String(), "42-" + inc.String()[1:] + ".mpm",
		"42-AB" + inc.String()[2:] + ".mpm", "-1-" + inc.String() + ".mpm", h.tempName(), "x" + h.FileName(),
	} {
		_, _, ok := ParseFileName(bad)
		require.False(t, ok, bad)
	}
	for name, want := range map[string]FileKind{
		h.FileName(): KindNative, h.tempName(): KindTemp, "archive.mpm": KindArchive, "archive.mpm.tmp": KindArchive,
		"counter_1.db": KindPython, "gauge_live_my_host-1.db": KindPython, "weird_1.db": KindPython, ".counter_1.db": KindOther,
		"notes.txt": KindOther,
	} {
		require.Equal(t, want, classify(name).Kind, name)
	}
}
