package mpm

import (
	"os"
	"path/filepath"
	"runtime"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestReserveBecomesTheArchive: the archive is written to the reserved space, and none of its
// old content is left.
func TestReserveBecomesTheArchive(t *testing.T) {
	d := openTestDir(t)
	require.NoError(t, d.Reserve(3*BlockSize, ReadOptions{}))
	reserved, err := os.Stat(d.Join(StagedName))
	require.NoError(t, err)
	require.EqualValues(t, 3*BlockSize, reserved.Size())
	require.NoError(t, d.Reserve(2*BlockSize, ReadOptions{}), "enough is there")
	info, err := os.Stat(d.Join(StagedName))
	require.NoError(t, err)
	require.EqualValues(t, 3*BlockSize, info.Size())
	require.NoError(t, d.Reserve(BlockSize, ReadOptions{}), "far too much is there")
	info, err = os.Stat(d.Join(StagedName))
	require.NoError(t, err)
	require.EqualValues(t, BlockSize, info.Size())

	want := sampleArchive()
	require.NoError(t, d.StageArchive(want, ReadOptions{}))
	require.NoError(t, d.CommitArchive())
	info, err = os.Stat(d.Join(ArchiveName))
	require.NoError(t, err)
	if runtime.GOOS != "windows" {
		require.True(t, os.SameFile(reserved, info))
	}
	got, err := d.ReadArchive(ReadOptions{})
	require.NoError(t, err)
	require.Equal(t, want, got)

	require.NoError(t, os.WriteFile(d.Join(StagedName), []byte(archiveMagic+"torn"), 0o600))
	require.NoError(t, d.StageArchive(want, ReadOptions{}), "what a kill has left is room too")
	require.NoError(t, d.RemoveReserve(ReadOptions{}))
	require.NoError(t, d.RemoveReserve(ReadOptions{}), "there is none")
	require.NoFileExists(t, d.Join(StagedName))
}

// TestStagedOfOthers: a foreign file with the name of the next archive is not touched, and
// does not disturb readers.
func TestStagedOfOthers(t *testing.T) {
	for name, put := range map[string]func(t *testing.T, path string){
		"directory": func(t *testing.T, path string) { require.NoError(t, os.Mkdir(path, 0o700)) },
		"fifo": func(t *testing.T, path string) {
			if err := mkfifo(path); err != nil {
				t.Skip(err)
			}
		},
		"symlink": func(t *testing.T, path string) {
			target := filepath.Join(t.TempDir(), "target")
			require.NoError(t, os.WriteFile(target, []byte("precious"), 0o600))
			if err := os.Symlink(target, path); err != nil {
				t.Skip(err)
			}
		},
		"untrusted": func(t *testing.T, path string) {
			require.NoError(t, os.WriteFile(path, []byte(archiveMagic+"precious"), 0o600))
		},
		"foreign": func(t *testing.T, path string) { require.NoError(t, os.WriteFile(path, []byte("precious"), 0o600)) },
	} {
		t.Run(name, func(t *testing.T) {
			d := openTestDir(t)
			put(t, d.Join(StagedName))
			before, err := os.Lstat(d.Join(StagedName))
			require.NoError(t, err)
			var opts ReadOptions
			want := ErrNotTrusted
			switch name {
			case "foreign":
				want = ErrForeign
			case "untrusted":
				opts.Trusted = func(int) bool { return false }
			}
			for _, err := range []error{d.StageArchive(sampleArchive(), opts), d.Reserve(BlockSize, opts)} {
				require.ErrorIs(t, err, want)
				require.ErrorContains(t, err, d.Join(StagedName))
				require.ErrorContains(t, err, "move away what stands there")
			}
			require.NoError(t, d.RemoveReserve(opts))
			after, err := os.Lstat(d.Join(StagedName))
			require.NoError(t, err)
			require.True(t, os.SameFile(before, after))
			require.Equal(t, before.Size(), after.Size())
			_, err = d.ReadArchive(ReadOptions{})
			require.NoError(t, err)
		})
	}
	t.Run("hard link", func(t *testing.T) {
		d := openTestDir(t)
		target := filepath.Join(t.TempDir(), "target")
		require.NoError(t, os.WriteFile(target, []byte(archiveMagic+"precious"), 0o600))
		if err := os.Link(target, d.Join(StagedName)); err != nil || runtime.GOOS == "windows" {
			t.Skip("no hard links")
		}
		require.NoError(t, d.StageArchive(sampleArchive(), ReadOptions{}))
		b, err := os.ReadFile(target)
		require.NoError(t, err)
		require.Equal(t, archiveMagic+"precious", string(b))
	})
}

// TestTrim: only the parts of a dead process's file that nobody reads are freed. The file of a
// living process stays as it is.
func TestTrim(t *testing.T) {
	s, err := Create(t.TempDir(), Options{})
	require.NoError(t, err)
	f, err := s.AddSchema(counterSchema("c", "l"))
	require.NoError(t, err)
	for i := range 3000 {
		c, err := s.AddSeries(f, []string{string(rune('a' + i%26))}, nil)
		require.NoError(t, err)
		c.Words()[CellCounterInts] = uint64(i)
	}
	d, err := OpenDir(filepath.Dir(s.Path()))
	require.NoError(t, err)
	defer d.Close()
	freed, err := d.Trim(filepath.Base(s.Path()), ReadOptions{})
	require.NoError(t, err)
	require.Zero(t, freed, "its process lives")

	b, err := os.ReadFile(s.Path())
	require.NoError(t, err)
	dead := openTestDir(t)
	path := dead.Join(filepath.Base(s.Path()))
	for i := BlockSize; i < len(b); i += BlockSize { // data that a kill left unpublished
		for j := le.Uint64(b[i+offBlockUsed:]); j < BlockSize; j++ {
			b[i+int(j)] = 0xee
		}
	}
	require.NoError(t, os.WriteFile(path, b, 0o600))
	freed, err = dead.Trim(filepath.Base(path), ReadOptions{})
	if runtime.GOOS != "linux" {
		require.Error(t, err)
		return
	}
	require.NoError(t, err)
	require.Positive(t, freed)
	after, err := os.ReadFile(path)
	require.NoError(t, err)
	require.Len(t, after, len(b))
	for i := 0; i < len(b); i += BlockSize {
		header, _ := blockStart(i / BlockSize)
		used := le.Uint64(b[i+int(header)+offBlockUsed:])
		require.Equal(t, b[i:i+int(used)], after[i:i+int(used)])
	}
	problems, err := Verify(path, ReadOptions{})
	require.NoError(t, err)
	require.Empty(t, problems)
	require.NoError(t, os.WriteFile(dead.Join("counter_1.db"), b, 0o600))
	_, err = dead.Trim("counter_1.db", ReadOptions{})
	require.ErrorIs(t, err, ErrForeign)
}
