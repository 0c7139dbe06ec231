package aggregate

import (
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/multiprom/multiprom/internal/views"
	"github.com/multiprom/multiprom/metric"
	"github.com/stretchr/testify/require"
)

// TestSelfMetricsAreDocumented holds the table in doc.go and the view together.
func TestSelfMetricsAreDocumented(t *testing.T) {
	doc, err := os.ReadFile("doc.go")
	require.NoError(t, err)
	documented := map[string]string{}
	for _, m := range regexp.MustCompile(`(?m)^//\t(multiprom_\w+)(?:\{\w+\})? +(gauge|counter) `).FindAllStringSubmatch(string(doc), -1) {
		documented[m[1]] = m[2]
	}
	dir := t.TempDir()
	for i := range 12 { // slot 10 comes before slot 2
		newProcess(t, dir, strconv.Itoa(i), 1)
	}
	a := openDir(t, dir, Options{})
	families, err := a.Gather(t.Context())
	require.NoError(t, err)
	served := map[string]string{}
	for _, f := range families {
		for s := range f.Samples() {
			served[s.Name] = f.Type.String()
		}
		if f.Help == "" || f.Name == "multiprom_process_unchanged_seconds" {
			continue
		}
		for _, s := range f.Series {
			for _, l := range s.Labels {
				require.Contains(t, string(doc), l.Value, "the state %s of %s", l.Value, f.Name)
			}
		}
	}
	require.Equal(t, documented, served)

	sorted := views.Whole(a.selfMetrics(time.Now()))
	metric.SortFamilies(sorted)
	for i, f := range sorted { // no scrape sorts them
		require.Equal(t, f.Name, families[i].Name)
		for j, s := range f.Series {
			require.Equal(t, s.Labels, families[i].Series[j].Labels, f.Name)
		}
	}
}

// TestWorkersWithoutAStore: a worker may have had no file to count in.
func TestWorkersWithoutAStore(t *testing.T) {
	dir := t.TempDir()
	newProcess(t, dir, "a", 1)
	var asked int
	a := openDir(t, dir, Options{Workers: func() []int {
		asked++
		return []int{os.Getpid(), os.Getpid() + 1}
	}})
	got := gather(t, a)
	require.EqualValues(t, 1, got[`multiprom_processes{state="live"}`])
	require.EqualValues(t, 1, got[`multiprom_processes{state="nostore"}`])
	require.Equal(t, 1, asked)
}

// TestSelfMetricsAreKept: a view has the layouts of the one before while no label changes, and
// says which values have changed. What Gather returned stays as it was.
func TestSelfMetricsAreKept(t *testing.T) {
	dir := t.TempDir()
	p := newProcess(t, dir, "a", 1)
	schema, err := p.AddSchema(counter("c"))
	require.NoError(t, err)
	_, err = p.AddSeries(schema, nil, nil)
	require.NoError(t, err)
	a := openDir(t, dir, Options{})
	type shown struct {
		layout            uint64
		revision, changed uint32
		value             float64 // the sum of all
	}
	view := func() map[string]shown {
		out := map[string]shown{}
		(*viewer)(a).View(t.Context(), func(families []views.Family, err error) {
			require.NoError(t, err)
			for _, f := range families {
				if !strings.HasPrefix(f.Name, "multiprom_") {
					continue
				}
				now := shown{layout: f.Layout, revision: f.Revision, changed: slices.Max(f.Revisions)}
				for i := range f.Len() {
					var s metric.Series
					f.Rows.Read(i, &s)
					now.value += s.Value
				}
				out[f.Name] = now
			}
		})
		return out
	}
	view()
	before := view()
	gathered, err := a.Gather(t.Context())
	require.NoError(t, err)
	find := func(families []*metric.Family, name string) *metric.Family {
		i := slices.IndexFunc(families, func(f *metric.Family) bool { return f.Name == name })
		return families[i]
	}
	_, err = p.AddSeries(schema, nil, nil)
	require.NoError(t, err)
	after := view()
	require.Equal(t, len(before), len(after))
	for name, now := range after {
		require.Equal(t, before[name].layout, now.layout, name)
		if name != "multiprom_scrape_duration_seconds" { // Gather has changed it twice
			require.Equal(t, before[name].value != now.value, now.changed > before[name].revision, name)
		}
	}
	require.EqualValues(t, 1, find(gathered, "multiprom_read_series").Series[0].Value)
	require.EqualValues(t, 2, after["multiprom_read_series"].value)

	newProcess(t, dir, "b", 1)
	later := view()
	require.NotEqual(t, after["multiprom_process_unchanged_seconds"].layout, later["multiprom_process_unchanged_seconds"].layout, "it has one more series")
	require.Equal(t, after["multiprom_processes"].layout, later["multiprom_processes"].layout)
	require.Greater(t, later["multiprom_processes"].changed, after["multiprom_processes"].revision)
}
