package main

import (
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestReplaceImports gives a file the imports of this module, and its own names for
// them.
func TestReplaceImports(t *testing.T) {
	imports := map[string]string{theirPackage: ourPackage, theirPackage + "/promhttp": ourPackage + "/promhttp", theirPackage + "/push/": "example.com/push/"}
	out, err := replaceImports([]byte(`package p

import (
	"fmt"

	"github.com/prometheus/client_golang/prometheus"
	web "github.com/prometheus/client_golang/prometheus/promhttp"
	"github.com/prometheus/client_golang/prometheus/push/internal"
	"github.com/prometheus/client_golang/prometheus/testutil"
)

var _ = fmt.Sprint(prometheus.NewCounter, web.Handler, internal.X, testutil.Y)
`), imports)
	require.NoError(t, err)
	for _, line := range []string{
		`prometheus "github.com/multiprom/multiprom/compat/prom"`, `web "github.com/multiprom/multiprom/compat/prom/promhttp"`,
		`internal "example.com/push/internal"`, `"github.com/prometheus/client_golang/prometheus/testutil"`,
	} {
		require.Contains(t, string(out), "\t"+line+"\n")
	}
	unchanged := "package p\nimport \"fmt\"\n"
	out, err = replaceImports([]byte(unchanged), imports)
	require.NoError(t, err)
	require.Equal(t, unchanged, string(out))
}

// TestDotImport is given to files of the package itself only.
func TestDotImport(t *testing.T) {
	out, err := dotImport([]byte("// Comment.\npackage prometheus\n\nimport \"fmt\"\n"), ourPackage)
	require.NoError(t, err)
	_, err = parser.ParseFile(token.NewFileSet(), "", out, 0)
	require.NoError(t, err)
	require.Contains(t, string(out), `import . "`+ourPackage+`"`)
	outside := "package prometheus_test\n"
	out, err = dotImport([]byte(outside), ourPackage)
	require.NoError(t, err)
	require.Equal(t, outside, string(out))
}

// TestTakeOut takes what does not compile out of both copies, and what nothing needs
// any more.
func TestTakeOut(t *testing.T) {
	dir := t.TempDir()
	source := `package p

import (
	"testing"
	"time"
)

// TestInside needs what is not exported.
func TestInside(t *testing.T) {
	hidden(time.Now())
}

func (s *suite) helper() { hidden() }

func TestOutside(t *testing.T) {}
`
	a, b := filepath.Join(dir, "a.go"), filepath.Join(dir, "b.go")
	require.NoError(t, os.WriteFile(a, []byte(source), 0o600))
	require.NoError(t, os.WriteFile(b, []byte(strings.ReplaceAll(source, "package p", "package p // the other")), 0o600))
	names, err := takeOut(a, b, []problem{{10, "undefined: hidden"}, {13, "undefined: hidden"}})
	require.NoError(t, err)
	require.Equal(t, []string{"TestInside"}, names)
	for _, name := range []string{a, b} {
		got, err := os.ReadFile(name)
		require.NoError(t, err)
		require.NotContains(t, string(got), "hidden")
		require.NotContains(t, string(got), "not exported")
		require.NotContains(t, string(got), `"time"`)
		require.Contains(t, string(got), "func TestOutside")
	}
}

// TestCompare tells what is not as it was from what is documented.
func TestCompare(t *testing.T) {
	results := func(outcomes map[string]outcome) *result {
		r := &result{outcomes: map[test]outcome{}, said: map[test]string{}}
		for name, o := range outcomes {
			r.outcomes[test{"p", name}] = o
		}
		return r
	}
	expected := expectations{{"s", test{"p", "Known"}, "a reason"}, {"s", test{"p", "Mended"}, "a reason"}, {"s", test{"p", "Dies"}, "a reason"}}
	before := results(map[string]outcome{"Good": passed, "Known": passed, "Mended": passed, "Dies": passed, "Broken": failed, "New": passed, "Gone": passed})
	after := results(map[string]outcome{"Good": passed, "Known": failed, "Mended": passed, "Dies": died, "Broken": failed, "New": failed})
	var out strings.Builder
	require.Equal(t, 4, compare(suite{name: "s"}, modeDirectory, before, after, expected, options{}, &out))
	for _, line := range []string{"expected    p Known", "a reason", "PASSES      p Mended", "DIED        p Dies", "FAILS       p New", "NOT RUN     p Gone"} {
		require.Contains(t, out.String(), line)
	}
	require.NotContains(t, out.String(), "Broken")
	require.Equal(t, 4, compare(suite{name: "s"}, modePlain, before, after, expected, options{}, &out), "nothing is documented there")
}

// TestExpected reads the repository's list.
func TestExpected(t *testing.T) {
	list, err := readExpected("expected.txt")
	require.NoError(t, err)
	require.NotEmpty(t, list)
	for _, e := range list {
		require.Contains(t, strings.Join(suiteNames(), " "), e.suite)
		require.Greater(t, len(e.reason), 20)
	}
	bad := filepath.Join(t.TempDir(), "bad.txt")
	require.NoError(t, os.WriteFile(bad, []byte("# comment\nsuite package Test\n"), 0o600))
	_, err = readExpected(bad)
	require.ErrorContains(t, err, "bad.txt:2")
}

func suiteNames() (out []string) {
	for _, s := range suites {
		out = append(out, s.name)
	}
	return out
}

// TestPrograms: there is one for each suite that needs it.
func TestPrograms(t *testing.T) {
	for _, s := range suites {
		if s.operate != nil && s.command == nil {
			_, err := programs.ReadFile("programs/" + s.name + ".go.txt")
			require.NoError(t, err)
		}
	}
}

// TestFlags: what is unknown is refused before anything runs.
func TestFlags(t *testing.T) {
	for _, args := range [][]string{{"--suite", "nothing"}, {"--mode", "nothing"}, {"argument"}} {
		_, err := parse(args)
		require.Error(t, err, args)
	}
	opts, err := parse([]string{"--suite", "client_golang,component-base"})
	require.NoError(t, err)
	require.Equal(t, allModes, opts.modes)
	require.Len(t, opts.suites, 2)
}
