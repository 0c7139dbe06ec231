package main

import (
	"bytes"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/multiprom/multiprom/multiproc"
)

// TestSpaceOfRemovedSeries: inspect and check say how much of a file removed series have.
func TestSpaceOfRemovedSeries(t *testing.T) {
	dir := t.TempDir()
	set := multiproc.NewSet(multiproc.SetOptions{Dir: dir})
	defer set.Close()
	v, err := set.NewCounterVec(multiproc.CounterOpts{Name: "c", Help: "C."}, []string{"l"})
	require.NoError(t, err)
	v.WithLabelValues("kept").Inc()
	v.WithLabelValues("gone").Inc()
	require.True(t, v.DeleteLabelValues("gone"))
	files, err := filepath.Glob(filepath.Join(dir, "*.mpm"))
	require.NoError(t, err)
	require.Len(t, files, 1)

	in, err := inspectNative(files[0])
	require.NoError(t, err)
	require.Equal(t, 1, in.Series)
	require.Equal(t, 1, in.Native.RemovedSeries)
	require.EqualValues(t, 56+2*8, in.Native.RemovedBytes, "a record and two words")
	require.Zero(t, in.Native.FreeBytes)

	check := newCheck()
	var out bytes.Buffer
	check.SetErr(&out)
	check.SetArgs(files)
	require.NoError(t, check.Execute())
	require.Equal(t, "1 file checked, 0 problems\n72 bytes are of removed series, 0 are free for new ones\n", out.String())
}
