package mpm

import (
	"io"
	"os"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestDeadNames(t *testing.T) {
	inc := Incarnation{0xab, 15: 1}
	dead := "gauge_all_my_host-1.db_dead-" + inc.String() + ".db"
	original, got, ok := SplitDeadName(dead)
	require.True(t, ok)
	require.Equal(t, "gauge_all_my_host-1.db", original)
	require.Equal(t, inc, got)
	require.Equal(t, Entry{Name: dead, Kind: KindPython, Incarnation: inc}, classify(dead))
	for _, bad := range []string{
		"", "counter_1.db", ".x_1.db_dead-" + inc.String() + ".db", "counter_1.db_dead-" + inc.String(),
		"counter_1.db_dead-" + inc.String()[1:] + ".db", "counter_1.db_dead-AB" + inc.String()[2:] + ".db",
		"counter_1_dead-" + inc.String() + ".db", "counter_1.db_dead-zz" + inc.String()[2:] + ".db",
	} {
		_, _, ok := SplitDeadName(bad)
		require.False(t, ok, bad)
		require.Zero(t, classify(bad).Incarnation)
	}
}

func TestSetAside(t *testing.T) {
	any := func(f io.ReaderAt, size int64) error {
		b, err := readAll(f, size)
		if string(b) == "foreign" {
			err = ErrForeign
		}
		return err
	}
	d, err := OpenDir(t.TempDir())
	require.NoError(t, err)
	defer d.Close()
	const name = "counter_1.db"
	write := func(content string) { require.NoError(t, os.WriteFile(d.Join(name), []byte(content), 0o600)) }
	write("first")
	first, err := d.SetAside(name, any)
	require.NoError(t, err)
	require.NoFileExists(t, d.Join(name))
	again, err := d.SetAside(first.Name, any)
	require.NoError(t, err)
	require.Equal(t, first, again)

	write("second")
	require.ErrorIs(t, d.Restore(first.Name, any), os.ErrExist)
	second, err := d.SetAside(name, any)
	require.NoError(t, err)
	require.NotEqual(t, first.Incarnation, second.Incarnation)
	require.NoError(t, d.Restore(second.Name, any))
	b, err := os.ReadFile(d.Join(name))
	require.NoError(t, err)
	require.Equal(t, "second", string(b))

	_, err = d.SetAside("counter_2.db", any)
	require.ErrorIs(t, err, os.ErrNotExist)
	require.NoError(t, os.WriteFile(d.Join("notes.txt"), nil, 0o600))
	_, err = d.SetAside("notes.txt", any)
	require.ErrorIs(t, err, ErrForeign)
	require.ErrorIs(t, d.Restore(name, any), ErrForeign)

	write("foreign")
	_, err = d.SetAside(name, any)
	require.ErrorIs(t, err, ErrForeign)
	require.NoError(t, os.WriteFile(d.Join(first.Name), []byte("foreign"), 0o600))
	require.ErrorIs(t, d.Restore(first.Name, any), ErrForeign)
	require.ErrorIs(t, d.RemoveIf(name, any), ErrForeign)
	require.FileExists(t, d.Join(name))
	require.FileExists(t, d.Join(first.Name))
}
