package integration

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/multiprom/multiprom/aggregate"
	"github.com/multiprom/multiprom/internal/form"
	"github.com/multiprom/multiprom/internal/mpm"
	"github.com/multiprom/multiprom/internal/pyfiletest"
)

// TestLargeClientPythonFiles: with more buckets, labels or bytes than a native file can
// have, the view equals that of client_python's own collector, before and after compaction.
func TestLargeClientPythonFiles(t *testing.T) {
	needPython(t)
	for what, limit := range map[string]int{
		"buckets": form.MaxBounds, "labels": form.MaxLabels, "bytes of a name": form.MaxNameLen,
		"bytes of a label name": form.MaxNameLen, "bytes of a label value": mpm.MaxStringLen, "bytes of a help": form.MaxHelpLen,
	} {
		for _, n := range []int{limit, limit + 1, 10 * limit} {
			t.Run(fmt.Sprint(n, " ", what), func(t *testing.T) {
				dir := t.TempDir()
				for name, samples := range pyfiletest.Large(what, n) {
					require.NoError(t, os.WriteFile(filepath.Join(dir, name), pyfiletest.Simple.Content(samples...), 0o600))
				}
				a, err := aggregate.Open(dir, aggregate.Options{NoSelfMetrics: true})
				require.NoError(t, err)
				defer a.Close()
				before := serve(t, a)
				require.Equal(t, parsed(t, collectPython(t, dir)), parsed(t, before))

				r, err := aggregate.Compact(t.Context(), dir, aggregate.CompactOptions{Python: true})
				require.NoError(t, err)
				require.Len(t, r.Compacted, 2)
				require.True(t, bytes.Equal(before, serve(t, a)))
			})
		}
	}
}
