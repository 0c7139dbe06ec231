package mpm

import (
	"os"
	"testing"

	"github.com/edsrzf/mmap-go"
	"github.com/stretchr/testify/require"
)

func TestOpenForWriting(t *testing.T) {
	d, err := OpenDir(t.TempDir())
	require.NoError(t, err)
	defer d.Close()
	const name = "counter_1.db"
	written := func() bool {
		t.Helper()
		w, err := d.OpenForWriting(name)
		require.NoError(t, err)
		return w
	}
	require.NoError(t, os.WriteFile(d.Join(name), make([]byte, 4096), 0o600))
	require.False(t, written())

	reader, err := os.Open(d.Join(name))
	require.NoError(t, err)
	defer reader.Close()
	seen, err := mmap.Map(reader, mmap.RDONLY, 0)
	require.NoError(t, err)
	defer seen.Unmap()
	require.False(t, written(), "a reader does not count")

	writer, err := os.OpenFile(d.Join(name), os.O_RDWR, 0)
	require.NoError(t, err)
	require.True(t, written(), "open")
	mapped, err := mmap.Map(writer, mmap.RDWR, 0)
	require.NoError(t, err)
	require.NoError(t, writer.Close())
	require.True(t, written(), "only mapped")
	require.NoError(t, os.Rename(d.Join(name), d.Join("counter_2.db")))
	still, err := d.OpenForWriting("counter_2.db")
	require.NoError(t, err)
	require.True(t, still, "under another name")
	require.NoError(t, mapped.Unmap())
	require.NoError(t, os.Rename(d.Join("counter_2.db"), d.Join(name)))
	require.False(t, written())

	_, err = d.OpenForWriting("counter_3.db")
	require.ErrorIs(t, err, os.ErrNotExist)
	require.NoError(t, os.Symlink(d.Join(name), d.Join("counter_3.db")))
	_, err = d.OpenForWriting("counter_3.db")
	require.ErrorIs(t, err, ErrNotTrusted)
}
