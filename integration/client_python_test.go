package integration

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
	"github.com/stretchr/testify/require"

	"github.com/multiprom/multiprom/aggregate"
	"github.com/multiprom/multiprom/exposition"
	"github.com/multiprom/multiprom/internal/inspect"
	"github.com/multiprom/multiprom/internal/mpm"
	"github.com/multiprom/multiprom/internal/pyfile"
	"github.com/multiprom/multiprom/supervisor"
)

// differences are the differences from client_python by case, each with its verdict and
// with the text that is served instead.
var differences = map[string]struct {
	verdict string
	serve   string
}{
	"identifier_underscore": {
		"the process identifier is kept whole: client_python cuts it at its first underscore, and shows processes as one",
		"# HELP g h\n# TYPE g gauge\ng{pid=\"my_host-1\"} 4\n",
	},
	"mode_mismatch": {
		"the first file's mode counts, as its type and help do; series of the other mode are left out and counted",
		"# HELP x g\n# TYPE x gauge\nx 3\n",
	},
	"type_mismatch": {
		"series of a conflicting type are left out and counted: under the first one's type they would lie",
		"# HELP x_total c help\n# TYPE x_total counter\nx_total 3\n",
	},
	"pid_label_user": {
		"a user's own label pid is kept: client_python overwrites it, or drops it and merges what it told apart",
		"# HELP ga h\n# TYPE ga gauge\nga{pid=\"user\",worker_pid=\"7\"} 1\n# HELP gs h\n# TYPE gs gauge\ngs{pid=\"a\"} 1\ngs{pid=\"b\"} 2\n",
	},
	"summary_vs_gauge_count": {
		"a sample has one family: client_python serves s_count twice, which Prometheus refuses; the first file by name has it",
		"# HELP s_count n\n# TYPE s_count gauge\ns_count 9\n",
	},
	"mostrecent_fast_clock": {
		"a time in the future counts as older than any other: client_python hides all true values until it has come",
		"# HELP g h\n# TYPE g gauge\ng 1\n",
	},
	"histogram_no_sum": {
		"a histogram has a sum, which OpenMetrics wants beside the count: client_python leaves it out",
		"# HELP h Help.\n# TYPE h histogram\nh_bucket{le=\"1\"} 1\nh_bucket{le=\"2\"} 2\nh_bucket{le=\"+Inf\"} 2\nh_sum 0\nh_count 2\n",
	},
	"mostrecent_unset": {
		"a family without a series has no HELP and TYPE either",
		"",
	},
}

// TestClientPythonConformance compares the merged view of client_python's directories
// with what client_python serves.
func TestClientPythonConformance(t *testing.T) {
	cases, err := filepath.Glob("testdata/client_python/*/in")
	require.NoError(t, err)
	require.Greater(t, len(cases), 30)
	for _, c := range cases {
		c = filepath.Dir(c)
		name := filepath.Base(c)
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			require.NoError(t, os.CopyFS(dir, os.DirFS(filepath.Join(c, "in"))))
			a, err := aggregate.Open(dir, aggregate.Options{NoSelfMetrics: true})
			require.NoError(t, err)
			defer a.Close()
			if strings.HasPrefix(name, "bad_") {
				checkBad(t, dir, name, a)
				return
			}
			want, err := os.ReadFile(filepath.Join(c, "expected.prom"))
			require.NoError(t, err)
			if d, ok := differences[name]; ok {
				require.NotEmpty(t, d.verdict)
				want = []byte(d.serve)
			}
			require.Equal(t, parsed(t, want), parsed(t, serve(t, a)))
			require.Equal(t, parsed(t, want), parsed(t, serve(t, a)), "a second scrape")
			checkDead(t, c, dir, a)
		})
	}
}

// TestClientPythonConformanceAfterCompaction: if the processes of a case are marked dead,
// the view is the same before and after compaction, byte for byte.
func TestClientPythonConformanceAfterCompaction(t *testing.T) {
	cases, err := filepath.Glob("testdata/client_python/*/in")
	require.NoError(t, err)
	for _, c := range cases {
		t.Run(filepath.Base(filepath.Dir(c)), func(t *testing.T) {
			dir := t.TempDir()
			require.NoError(t, os.CopyFS(dir, os.DirFS(c)))
			d, err := mpm.OpenDir(dir)
			require.NoError(t, err)
			defer d.Close()
			entries, err := d.Entries()
			require.NoError(t, err)
			for _, e := range entries {
				if e.Kind == mpm.KindPython {
					if _, err := pyfile.SetAside(d, e.Name); !errors.Is(err, mpm.ErrForeign) {
						require.NoError(t, err)
					}
				}
			}
			a, err := aggregate.Open(dir, aggregate.Options{NoSelfMetrics: true})
			require.NoError(t, err)
			defer a.Close()
			before := string(serve(t, a))
			_, err = aggregate.Compact(t.Context(), dir, aggregate.CompactOptions{Python: true})
			require.NoError(t, err)
			require.Equal(t, before, string(serve(t, a)))
			again, err := aggregate.Open(dir, aggregate.Options{NoSelfMetrics: true})
			require.NoError(t, err)
			defer again.Close()
			require.Equal(t, before, string(serve(t, again)))
		})
	}
}

// checkDead marks the case's process dead and compares again.
func checkDead(t *testing.T, c, dir string, a *aggregate.Aggregator) {
	want, err := os.ReadFile(filepath.Join(c, "after_dead.prom"))
	if os.IsNotExist(err) {
		return
	}
	require.NoError(t, err)
	b, err := os.ReadFile(filepath.Join(c, "meta.json"))
	require.NoError(t, err)
	var meta struct {
		Dead any      `json:"dead"`
		Left []string `json:"files_left"`
	}
	require.NoError(t, json.Unmarshal(b, &meta))
	_, err = supervisor.MarkProcessDead(t.Context(), dir, fmt.Sprint(meta.Dead), aggregate.MarkOptions{})
	require.NoError(t, err)
	entries, err := os.ReadDir(dir)
	require.NoError(t, err)
	var left []string
	for _, e := range entries {
		name := e.Name()
		if original, _, ok := mpm.SplitDeadName(name); ok {
			name = original // marked: it counts as before
		}
		left = append(left, name)
	}
	require.ElementsMatch(t, meta.Left, left)
	require.Equal(t, parsed(t, want), parsed(t, serve(t, a)))
}

// checkBad expects everything that is undamaged, and the name of the bad file.
func checkBad(t *testing.T, dir, name string, a *aggregate.Aggregator) {
	good := map[string]string{
		"bad_empty_file":    "c_total 1",
		"bad_old_value_8":   `c_total{l="0"} 7 c_total{l="1"} 7 c_total{l="2"} 7`,
		"bad_used_past_end": "c_total 7",
		"bad_gauge_no_mode": "",
		"bad_huge_keylen":   "",
		"bad_json":          "",
		"bad_truncated_key": "",
		"bad_unknown_type":  "",
	}
	want, ok := good[name]
	require.True(t, ok, "the case is new")
	var got []string
	for line := range strings.Lines(string(serve(t, a))) {
		if !strings.HasPrefix(line, "#") {
			got = append(got, strings.TrimSpace(line))
		}
	}
	require.Equal(t, want, strings.Join(got, " "))
	reported := 0
	for _, f := range inspect.Files(a) {
		if f.Err != nil {
			require.ErrorContains(t, f.Err, f.Name)
			reported++
		}
	}
	if name == "bad_old_value_8" {
		require.Zero(t, reported, "it is only old")
	} else {
		require.Equal(t, 1, reported)
	}
}

// serve returns the view as text.
func serve(t testing.TB, a *aggregate.Aggregator) []byte {
	t.Helper()
	families, err := a.Gather(context.Background())
	require.NoError(t, err)
	var b bytes.Buffer
	require.NoError(t, exposition.Encode(&b, families, exposition.Options{}))
	return b.Bytes()
}

// parsed returns types, helps and values of a text as unordered lines.
func parsed(t *testing.T, text []byte) (out []string) {
	t.Helper()
	eachFamily(t, text, func(schema string, samples model.Vector) {
		out = append(out, schema)
		for _, s := range samples {
			value := float64(s.Value)
			if math.IsNaN(value) {
				value = math.NaN() // so that all NaNs are equal
			}
			out = append(out, fmt.Sprintf("%s %v", s.Metric, value))
		}
	})
	slices.Sort(out)
	return out
}

// vector returns the samples of a text.
func vector(t testing.TB, text []byte) (out model.Vector) {
	t.Helper()
	eachFamily(t, text, func(_ string, samples model.Vector) { out = append(out, samples...) })
	return out
}

// vectorOf returns the samples of that name.
func vectorOf(t *testing.T, text []byte, name string) model.Vector {
	t.Helper()
	return slices.DeleteFunc(vector(t, text), func(s *model.Sample) bool { return s.Metric[model.MetricNameLabel] != model.LabelValue(name) })
}

// valueOf returns the value of the one sample of that name.
func valueOf(t *testing.T, text []byte, name string) float64 {
	t.Helper()
	v := vectorOf(t, text, name)
	require.Len(t, v, 1, name)
	return float64(v[0].Value)
}

// eachFamily calls visit with the name, type, help and samples of each family of a text.
func eachFamily(t testing.TB, text []byte, visit func(schema string, samples model.Vector)) {
	t.Helper()
	parser := expfmt.NewTextParser(model.UTF8Validation)
	families, err := parser.TextToMetricFamilies(bytes.NewReader(text))
	require.NoError(t, err, "%s", text)
	for _, f := range families {
		samples, err := expfmt.ExtractSamples(&expfmt.DecodeOptions{}, f)
		require.NoError(t, err)
		visit(fmt.Sprintf("%s %s %q", f.GetName(), f.GetType(), f.GetHelp()), samples)
	}
}
