package aggregate

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/multiprom/multiprom/internal/pyfiletest"
)

// TestRoomThatComesBack: series that are left out because their family has no room are
// shown once there is some, be they a process's, in the archive, or client_python's.
func TestRoomThatComesBack(t *testing.T) {
	const series = 200
	for _, from := range []string{"process", "archive", "python"} {
		t.Run(from, func(t *testing.T) {
			dir, elsewhere := t.TempDir(), t.TempDir()
			a := openDir(t, dir, Options{NoSelfMetrics: true})
			add := func(dir, label string, n int, bounds ...float64) *process {
				p := newProcess(t, dir, label, 1)
				s := histogram("h", bounds...)
				s.Labels = []string{"l"}
				f, err := p.AddSchema(s)
				require.NoError(t, err)
				for i := range n {
					_, err := p.AddSeries(f, []string{label + strconv.Itoa(i)}, nil)
					require.NoError(t, err)
				}
				return p
			}
			shown := func() (n int) {
				for _, f := range show(t, a) {
					if f.Name == "h" {
						n = len(f.Series)
					}
				}
				return n
			}
			var bounds []float64 // of which hardly any series has its own
			for i := range 1000 {
				bounds = append(bounds, float64(i))
			}
			add(dir, "bounds", 1, bounds...)
			require.Equal(t, 1, shown())
			path := die(t, add(elsewhere, "goes", 10, 1).Store, elsewhere)
			switch from {
			case "process":
				add(dir, "many", series, 1)
			case "archive":
				die(t, add(elsewhere, "many", series, 1).Store, dir)
				require.Len(t, compact(t, dir).Compacted, 1)
			case "python":
				var samples []pyfiletest.Sample
				for i := range series {
					key := fmt.Sprintf(`["h", "h_bucket", {"l": "many%d", "le": "+Inf"}, "H."]`, i)
					samples = append(samples, pyfiletest.Sample{Key: key, Value: 1})
				}
				require.NoError(t, os.WriteFile(filepath.Join(dir, "histogram_1.db"), pyfiletest.Timed.Content(samples...), 0o600))
			}
			full := shown()
			require.Less(t, full, 1+series)
			conflicts := a.table.conflicts

			// Another file comes, which needs room too, and goes.
			there := filepath.Join(dir, filepath.Base(path))
			require.NoError(t, os.Rename(path, there))
			require.InDelta(t, full, shown(), 2)
			require.NoError(t, os.Remove(there))
			require.InDelta(t, full, shown(), 2)

			// The files have more words, so there is more room.
			p := newProcess(t, dir, "words", 4)
			f, err := p.AddSchema(counter("c", "l"))
			require.NoError(t, err)
			for i := range 10_000 {
				_, err := p.AddSeries(f, []string{strconv.Itoa(i)}, nil)
				require.NoError(t, err)
			}
			require.Equal(t, 1+series, shown())
			require.LessOrEqual(t, a.table.conflicts, conflicts+10, "what is left out again is not counted again")
		})
	}
}
