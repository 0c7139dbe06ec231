package multiproc_test

import (
	"log/slog"
	"os"
	"runtime"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/multiprom/multiprom/multiproc"
)

// TestWarnsOfTheDirectory: once, when the file is made, of what can make the
// merged view wrong.
func TestWarnsOfTheDirectory(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("windows has no permission bits")
	}
	for mode, want := range map[os.FileMode]int{0o777: 1, 0o700: 0} {
		dir := t.TempDir()
		require.NoError(t, os.Chmod(dir, mode))
		var log strings.Builder
		s := multiproc.NewSet(multiproc.SetOptions{Dir: dir, Logger: slog.New(slog.NewTextHandler(&log, nil))})
		c := multiproc.MustNew(s.NewCounter(multiproc.CounterOpts{Name: "c", Help: "C."}))
		require.Empty(t, log.String(), "declaring looks at nothing")
		c.Inc()
		c.Inc()
		require.NoError(t, s.Open())
		require.Equal(t, want, strings.Count(log.String(), "writable by everybody"), log.String())
		require.NotContains(t, log.String(), "tmpfs: updates cause disk writes", "the operator's to judge")
	}
}
