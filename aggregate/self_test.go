package aggregate

import (
	"os"
	"regexp"
	"strconv"
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
