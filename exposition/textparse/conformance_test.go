package textparse

import (
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestConformance reads the parser cases of the OpenMetrics project.
func TestConformance(t *testing.T) {
	dir := filepath.Join("testdata", "openmetrics", "parsers")
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
	require.Equal(t, 44, accepted)
	require.Equal(t, 167, rejected)
}
