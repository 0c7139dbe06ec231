package integration

import (
	"bufio"
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/multiprom/multiprom/aggregate"
	"github.com/multiprom/multiprom/metric"
)

// randomDirectory is a line of testdata/python/random_directories.py.
type randomDirectory struct {
	Dir      string
	Families map[string]randomFamily
	Rules    []string
}

type randomFamily struct {
	Kind, Help string
	Samples    []randomSample
}

// randomSample has its numbers in hexadecimal, exact to the last bit.
type randomSample struct {
	Name   string
	Labels map[string]string
	LE     string // of a bucket
	Value  string
}

// clientPythonCommand runs a script with Debian's client_python, or with the one in the
// directory MULTIPROM_CLIENT_PYTHON.
func clientPythonCommand(args ...string) *exec.Cmd {
	cmd := exec.Command(python, args...)
	cmd.Env = append(os.Environ(), "PYTHONDONTWRITEBYTECODE=1")
	if path := os.Getenv("MULTIPROM_CLIENT_PYTHON"); path != "" {
		cmd.Env = append(cmd.Env, "PYTHONPATH="+path)
	}
	cmd.Stderr = os.Stderr
	return cmd
}

// TestRandomDirectoriesOfClientPython has client_python write random directories, and
// compares the merged view with the output of its own collector. The directories have
// colliding names, awkward labels, all modes, times of any size, NaN and infinities. Only
// what docs/client_python.md names may differ. MULTIPROM_SCHEDULES is the number of
// directories, MULTIPROM_CLIENT_PYTHON the path of another client_python.
func TestRandomDirectoriesOfClientPython(t *testing.T) {
	needPython(t)
	docs, err := os.ReadFile("../docs/client_python.md")
	require.NoError(t, err)
	count := 8
	if n, err := strconv.Atoi(os.Getenv("MULTIPROM_SCHEDULES")); err == nil {
		count = n
	}
	cmd := clientPythonCommand("testdata/python/random_directories.py", t.TempDir(), "1", strconv.Itoa(count))
	out, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	rules, seen, samples := map[string]int{}, 0, 0
	lines := bufio.NewScanner(out)
	lines.Buffer(nil, 16<<20)
	for lines.Scan() {
		var d randomDirectory
		require.NoError(t, json.Unmarshal(lines.Bytes(), &d), lines.Text())
		t.Run(strconv.Itoa(seen), func(t *testing.T) { samples += d.compare(t, rules) })
		seen++
		require.NoError(t, os.RemoveAll(d.Dir))
		require.NoError(t, os.RemoveAll(d.Dir+".reduced"))
	}
	require.NoError(t, lines.Err())
	require.NoError(t, cmd.Wait())
	require.Equal(t, count, seen)
	for _, rule := range slices.Sorted(maps.Keys(rules)) {
		require.True(t, strings.Contains(string(docs), "\n| "+rule+" |"), "docs/client_python.md does not say what differs: %s", rule)
		t.Logf("%4d directories differ by the rule: %s", rules[rule], rule)
	}
	t.Logf("%d directories, %d samples", seen, samples)
}

// compare compares a directory and returns the number of samples.
func (d *randomDirectory) compare(t *testing.T, rules map[string]int) (samples int) {
	a, err := aggregate.Open(d.Dir, aggregate.Options{NoSelfMetrics: true})
	require.NoError(t, err)
	defer a.Close()
	used := map[string]bool{}
	for range 2 { // cold and warm
		families, err := a.Gather(t.Context())
		require.NoError(t, err)
		samples = d.compareFamilies(t, families, used, func(string) bool { return true })
	}
	_, err = aggregate.Compact(t.Context(), d.Dir, aggregate.CompactOptions{Python: true})
	require.NoError(t, err)
	families, err := a.Gather(t.Context())
	require.NoError(t, err)
	d.compareFamilies(t, families, used, func(kind string) bool { return !strings.HasPrefix(kind, "gauge_live") })
	for _, rule := range d.Rules {
		used[rule] = true
	}
	for rule := range used {
		rules[rule]++
	}
	return samples
}

// compareFamilies compares the families of the kinds that there should be.
func (d *randomDirectory) compareFamilies(t *testing.T, families []*metric.Family, used map[string]bool, there func(kind string) bool) (samples int) {
	t.Helper()
	ours := map[string]*metric.Family{}
	for _, f := range families {
		ours[f.Name] = f
	}
	for name, theirs := range d.Families {
		f := ours[name]
		delete(ours, name)
		if len(theirs.Samples) == 0 || !there(theirs.Kind) {
			require.Nil(t, f, name)
			if there(theirs.Kind) {
				used["a family of mode mostrecent that nobody has set"] = true
			}
			continue
		}
		require.NotNil(t, f, name)
		kind, _, _ := strings.Cut(theirs.Kind, "_")
		require.Equal(t, kind, f.Type.String(), name)
		require.Equal(t, theirs.Help, f.Help, name)
		samples += len(theirs.Samples)
		want, buckets := theirs.byKey(t)
		got := map[string]string{}
		for i := range f.Series {
			s := &f.Series[i]
			addSamples(f, s, got)
			if f.Type == metric.Histogram {
				compareBuckets(t, buckets[labelKey(s.Labels)], s, used)
			}
		}
		require.Equal(t, want, got, name)
	}
	require.Empty(t, ours)
	return samples
}

// byKey returns the values of the samples by name and labels, and each series' buckets by
// bound.
func (f *randomFamily) byKey(t *testing.T) (values map[string]string, buckets map[string]map[float64]float64) {
	values, buckets = map[string]string{}, map[string]map[float64]float64{}
	for _, s := range f.Samples {
		v, err := strconv.ParseFloat(s.Value, 64)
		require.NoError(t, err)
		labels := labelKey(metric.LabelsFromMap(s.Labels))
		if s.LE == "" {
			values[s.Name+labels] = asShown(v)
			continue
		}
		le, err := strconv.ParseFloat(s.LE, 64)
		require.NoError(t, err)
		if buckets[labels] == nil {
			buckets[labels] = map[float64]float64{}
		}
		buckets[labels][le] = v
	}
	return values, buckets
}

func labelKey(ls metric.Labels) string { return fmt.Sprintf("%q", ls) }

// asShown formats a value for comparison: zeros have no sign, and all NaNs are equal.
func asShown(v float64) string { return strconv.FormatFloat(v+0, 'x', -1, 64) }

// addSamples adds all samples of a series except its buckets.
func addSamples(f *metric.Family, s *metric.Series, out map[string]string) {
	labels := labelKey(s.Labels)
	switch f.Type {
	case metric.Counter:
		out[f.Name+"_total"+labels] = asShown(s.Value)
	case metric.Gauge:
		out[f.Name+labels] = asShown(s.Value)
	default:
		out[f.Name+"_sum"+labels] = asShown(s.Sum)
		out[f.Name+"_count"+labels] = asShown(float64(s.Count))
	}
}

// compareBuckets compares the buckets of a series. The merged view has the buckets of the
// whole family.
func compareBuckets(t *testing.T, theirs map[float64]float64, s *metric.Series, used map[string]bool) {
	t.Helper()
	last := 0.0
	for _, b := range s.Buckets {
		if v, there := theirs[b.UpperBound]; there {
			last = v
			delete(theirs, b.UpperBound)
		} else {
			used["histograms with different buckets"] = true
		}
		require.Equal(t, last, float64(b.Count), "%v %v", s.Labels, b.UpperBound)
	}
	require.Empty(t, theirs)
	require.True(t, math.IsInf(s.Buckets[len(s.Buckets)-1].UpperBound, 1))
}
