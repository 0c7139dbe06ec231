package record

import (
	"context"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/multiprom/multiprom/aggregate"
)

// TestPlantedPlaces: whatever another user has put where the recording will be, a recorder
// writes to no file elsewhere, makes none, and does not wait.
func TestPlantedPlaces(t *testing.T) {
	file := func(name string) func(t *testing.T, dir, victim string) {
		return func(t *testing.T, dir, victim string) {
			require.NoError(t, os.Mkdir(dir, 0o700))
			require.NoError(t, os.Symlink(victim, filepath.Join(dir, name)))
		}
	}
	for name, c := range map[string]struct {
		plant   func(t *testing.T, dir, victim string)
		records bool // in spite of it
	}{
		"the folder is a link": {plant: func(t *testing.T, dir, victim string) {
			require.NoError(t, os.Symlink(filepath.Dir(victim), dir))
		}},
		"the folder belongs to another user": {plant: func(t *testing.T, dir, victim string) {
			if os.Geteuid() != 0 {
				t.Skip("only root can give a folder away")
			}
			require.NoError(t, os.Mkdir(dir, 0o777))
			require.NoError(t, os.Chown(dir, 12345, 12345))
		}},
		"lock is a link":      {plant: file("lock")},
		"the tail is a link":  {plant: file(tailName)},
		"a file is a link":    {plant: file(fileNames[0])},
		"a new one is a link": {plant: file(fileNames[0] + ".new"), records: true},
		"lock leads to no file": {plant: func(t *testing.T, dir, victim string) {
			file("lock")(t, dir, victim+" missing")
		}},
		"the tail is a second name of the file": {plant: func(t *testing.T, dir, victim string) {
			require.NoError(t, os.Mkdir(dir, 0o700))
			require.NoError(t, os.Link(victim, filepath.Join(dir, tailName)))
		}},
		"a file is a FIFO": {plant: func(t *testing.T, dir, victim string) {
			require.NoError(t, os.Mkdir(dir, 0o700))
			require.NoError(t, syscall.Mkfifo(filepath.Join(dir, fileNames[0]), 0o600))
		}},
	} {
		t.Run(name, func(t *testing.T) {
			elsewhere := t.TempDir()
			victim := filepath.Join(elsewhere, "victim")
			require.NoError(t, os.WriteFile(victim, []byte("secret"), 0o600))
			metrics := filepath.Join(t.TempDir(), "app")
			require.NoError(t, os.Mkdir(metrics, 0o700))
			dir := DirOf(metrics)
			c.plant(t, dir, victim)

			a, err := aggregate.Open(metrics, aggregate.Options{})
			require.NoError(t, err)
			defer a.Close()
			r, err := Open(dir, a, Options{})
			if c.records {
				require.NoError(t, err)
				require.NoError(t, r.Tick(context.Background()))
				require.NoError(t, r.Close())
				_, err = loadAll(dir)
				require.NoError(t, err)
			} else {
				require.Error(t, err)
			}
			content, err := os.ReadFile(victim)
			require.NoError(t, err)
			require.Equal(t, "secret", string(content))
			entries, err := os.ReadDir(elsewhere)
			require.NoError(t, err)
			require.Len(t, entries, 1, "%v", entries)
		})
	}
}
