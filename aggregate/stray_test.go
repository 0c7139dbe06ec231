package aggregate

import (
	"bytes"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/multiprom/multiprom/internal/mpm"
)

// strays are what somebody may have put under the name of the archive, or of the file
// that becomes it.
var strays = map[string]func(path string) error{
	"directory": func(path string) error { return os.MkdirAll(filepath.Join(path, "below"), 0o700) },
	"fifo":      func(path string) error { return needed("a FIFO", "run it on a Unix system", mkfifo(path)) },
	"symlink":   func(path string) error { return symlink("/etc/passwd", path) },
	"dangling":  func(path string) error { return symlink("nowhere", path) },
}

func symlink(to, path string) error {
	return needed("a symbolic link", "on Windows, turn on the developer mode", os.Symlink(to, path))
}

// needed says what a test lacks and how to get it.
func needed(what, how string, err error) error {
	if err != nil {
		err = fmt.Errorf("the test needs %s in its temporary directory (%s): %w", what, how, err)
	}
	return err
}

// TestStraysInPlaceOfTheArchive: what is no file of anybody who is trusted has no say.
// Scrapes go on, it is counted, compaction says why it cannot work, and tells so once.
func TestStraysInPlaceOfTheArchive(t *testing.T) {
	for name, put := range strays {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			archive := filepath.Join(dir, mpm.ArchiveName)
			if err := put(archive); err != nil {
				t.Skip(err)
			}
			dead(t, dir, "a", 1, 1)
			a := openDir(t, dir, Options{})
			for range 2 {
				got := gather(t, a)
				require.EqualValues(t, 1, got["c_total"])
				require.EqualValues(t, 1, got[`multiprom_files{state="untrusted"}`])
				require.EqualValues(t, 1, got[`multiprom_files{state="ok"}`])
			}
			before := listing(t, dir)
			for _, work := range []func() error{
				func() error { _, err := Compact(t.Context(), dir, CompactOptions{Reserve: true}); return err },
				func() error { _, err := Wipe(dir, true); return err },
			} {
				err := work()
				require.ErrorIs(t, err, mpm.ErrNotTrusted)
				require.ErrorContains(t, err, archive)
				require.ErrorContains(t, err, "move")
				require.Equal(t, before, listing(t, dir))
			}
			var log lockedBuffer
			compactor, compactorErr := NewCompactor(dir, CompactorOptions{Period: time.Millisecond, Logger: slog.New(slog.NewTextHandler(&log, nil))})
			require.NoError(t, compactorErr)
			runInBackground(t, compactor)
			require.Eventually(t, func() bool { return bytes.Contains([]byte(log.String()), []byte("moved away")) }, 10*time.Second, time.Millisecond)
			dead(t, dir, "b", 2, 20)
			require.EqualValues(t, 21, gather(t, a)["c_total"])

			require.NoError(t, os.RemoveAll(archive))
			require.Eventually(t, func() bool {
				_, err := Compact(t.Context(), dir, CompactOptions{})
				return err == nil
			}, 10*time.Second, time.Millisecond)
			require.EqualValues(t, 21, gather(t, a)["c_total"])
			require.Equal(t, 1, bytes.Count([]byte(log.String()), []byte("level=WARN")), log.String())

			// Once there was an archive, its loss is one: the last good one stands in
			// until a file vanishes.
			path := dead(t, dir, "c", 3, 300)
			require.EqualValues(t, 321, gather(t, a)["c_total"])
			require.NoError(t, os.Remove(archive))
			require.NoError(t, put(archive))
			require.EqualValues(t, 321, gather(t, a)["c_total"])
			require.NoError(t, os.Remove(path))
			_, err := a.Gather(t.Context())
			require.ErrorIs(t, err, mpm.ErrNotTrusted)
		})
	}
}

// TestStraysInPlaceOfTheNextArchive: scrapes do not look at it, compaction says what is in
// its way, and does its work once that is gone.
func TestStraysInPlaceOfTheNextArchive(t *testing.T) {
	for name, put := range strays {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			staged := filepath.Join(dir, mpm.StagedName)
			if err := put(staged); err != nil {
				t.Skip(err)
			}
			dead(t, dir, "a", 1, 1)
			a := openDir(t, dir, Options{})
			require.EqualValues(t, 1, gather(t, a)["c_total"])
			before := listing(t, dir)
			for _, work := range []func() error{
				func() error { _, err := Compact(t.Context(), dir, CompactOptions{}); return err },
				func() error { _, err := Wipe(dir, true); return err },
			} {
				err := work()
				require.ErrorIs(t, err, mpm.ErrNotTrusted)
				require.ErrorContains(t, err, staged)
				require.ErrorContains(t, err, "move away")
				require.Equal(t, before, listing(t, dir))
			}
			require.EqualValues(t, 1, gather(t, a)["c_total"])
			require.NoError(t, os.RemoveAll(staged))
			compactDir(t, dir)
			require.EqualValues(t, 1, gather(t, a)["c_total"])
		})
	}
}
