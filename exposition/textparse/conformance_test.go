package textparse

import (
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

// conformanceCases returns the directory of the OpenMetrics project's parser
// cases (tests/testdata/parsers in its repository), which are not ours to copy.
func conformanceCases(t *testing.T) string {
	t.Helper()
	const variable = "MULTIPROM_OPENMETRICS_CASES"
	dir := os.Getenv(variable)
	if dir == "" {
		dir = filepath.Join("..", "..", "..", "shared", "conformance", "openmetrics", "parsers")
	}
	if _, err := os.Stat(dir); err != nil {
		if os.Getenv("CI") != "" {
			require.NoError(t, err, "%s must name the directory of the OpenMetrics parser cases", variable)
		}
		t.Skipf("no OpenMetrics parser cases: %v; set %s to their directory", err, variable)
	}
	return dir
}

func TestConformance(t *testing.T) {
	dir := conformanceCases(t)
	entries, err := os.ReadDir(dir)
	require.NoError(t, err)
	accepted, rejected := 0, 0
	for _, entry := range entries {
		if !entry.IsDir() {
			continue
		}
		t.Run(entry.Name(), func(t *testing.T) {
			description, err := os.ReadFile(filepath.Join(dir, entry.Name(), "test.json"))
			require.NoError(t, err)
			var test struct {
				File        string `json:"file"`
				ShouldParse bool   `json:"shouldParse"`
			}
			require.NoError(t, json.Unmarshal(description, &test))
			input, err := os.Open(filepath.Join(dir, entry.Name(), test.File))
			require.NoError(t, err)
			defer input.Close()

			families, err := Parse(input, Options{Format: OpenMetrics})
			if test.ShouldParse {
				accepted++
				require.NoError(t, err)
				requireValid(t, families)
				requireOpenMetricsRoundTrip(t, families, openMetrics)
				return
			}
			rejected++
			require.Error(t, err)
			t.Log(err)
		})
	}
	t.Logf("%d accepted, %d rejected", accepted, rejected)
	require.NotZero(t, accepted)
	require.NotZero(t, rejected)
}
