package main

import (
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestMain(m *testing.M) {
	if spec := os.Getenv(fleetEnv); spec != "" {
		runFleet(spec)
		return
	}
	os.Exit(m.Run())
}

// TestEveryRowRuns measures every row once at a tiny size. It checks that they run and
// yield something, not how long they take.
func TestEveryRowRuns(t *testing.T) {
	o := options{full: true, tiny: true, dir: t.TempDir(), match: regexp.MustCompile(""), effort: effort{rounds: 1}}
	seen := map[string]bool{}
	for _, g := range groups {
		results := o.runGroup(g)
		require.NotEmpty(t, results, g.name)
		for _, r := range results {
			id := r.Group + "/" + r.Row + "/" + r.Other
			require.False(t, seen[id], "%s is there twice", id)
			seen[id] = true
			if !strings.Contains(r.Row, "allocations") && r.Unit != "B" && r.Unit != "B/value" {
				require.Positive(t, r.Ours, id)
				require.True(t, r.Other == "" || r.Value > 0, id)
			}
		}
	}
	entries, err := os.ReadDir(o.dir)
	require.NoError(t, err)
	require.Empty(t, entries, "what a group makes goes with it")
}

func TestTable(t *testing.T) {
	var b strings.Builder
	require.NoError(t, printTable(&b, []result{
		{Group: "update", Row: "Inc", Unit: "ns", Ours: 2.2, Other: "atomic add", Value: 2, Ratio: 1.1, Goal: 1.05},
		{Group: "scrape", Row: "warm", Unit: "ns/line", Ours: 1500, Other: "client_python", Value: 2e6, Ratio: 0.00075, Goal: 1. / 300, OK: true},
		{Group: "scrape", Row: "file", Unit: "B", Ours: 96, Ratio: -1, OK: true},
	}))
	require.Equal(t, strings.TrimPrefix(`
row      ours          peer or floor             ratio   goal      
update:                                                            
  Inc    2.20 ns       atomic add     2 ns       1.10    <= 1.05   missed
scrape:                                                            
  warm   1.50 us/line  client_python  2 ms/line  1/1333  <= 1/300  ok
  file   96 B                                                      
`, "\n"), b.String())
}
