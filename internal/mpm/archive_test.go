package mpm

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/multiprom/multiprom/internal/form"
	"github.com/multiprom/multiprom/metric"
)

func sampleArchive() *Archive {
	a := &Archive{
		ArchiveVersion: ArchiveVersion{ID: Incarnation{1, 2, 3}, Generation: 7},
		Epoch:          2, Compactions: 5, Compacted: 90, CompactTime: time.Second, Counts: [...]uint64{1, 2, 3, 4, 5, 6, 7},
		Processes: []StoredProcess{{Label: "slot-1", Incarnation: Incarnation{9}, Created: 11, Compacted: 12}},
		Families: []StoredFamily{
			{
				Schema: &metric.Schema{Name: "c", Help: "C.", Type: metric.Counter}, First: 1, Newest: 2,
				Series: archivedList(
					StoredSeries{Labels: metric.MakeLabels("a", "1", "b", ""), Process: -1, Created: 3, Words: []uint64{4, 5, 6}, Exemplars: []metric.Exemplar{
						{Labels: metric.MakeLabels("trace_id", "x", "ü", ""), Value: 2.5, Timestamp: time.Unix(7, 8)},
					}},
					StoredSeries{Process: -1, Words: []uint64{0, 0}},
				),
			},
			{
				Schema: &metric.Schema{Name: "g", Help: "G.", Type: metric.Gauge, Mode: metric.ModeAll}, PythonFile: "gauge_all_ü.db",
				Series: archivedList(StoredSeries{Labels: metric.MakeLabels("ü", "\n"), Process: 0, Words: []uint64{8}}),
			},
			{
				Schema: &metric.Schema{Name: "h", Help: "H.", Type: metric.Histogram, Bounds: []float64{1, 2}},
			},
		},
	}
	a.Consume(&Archive{}, []Incarnation{{5}, {3}, {4}, {3}}, nil)
	return a
}

// TestArchiveHasRoom: the bounds of native files do not apply to the archive.
func TestArchiveHasRoom(t *testing.T) {
	d := openTestDir(t)
	long := strings.Repeat("x", 10*MaxStringLen)
	var many metric.Labels
	for i := range 100 * form.MaxLabels {
		many = append(many, metric.Label{Name: fmt.Sprintf("l%05d", i), Value: long[:i]})
	}
	bounds := make([]float64, 100*form.MaxBounds)
	for i := range bounds {
		bounds[i] = float64(i)
	}
	want := &Archive{Processes: []StoredProcess{{Label: long}}, Families: []StoredFamily{
		{
			Schema: &metric.Schema{Name: long, Help: long, Unit: long, Type: metric.Counter}, PythonFile: long,
			Series: archivedList(
				StoredSeries{Labels: many, Process: -1, Words: []uint64{1, 2}},
				StoredSeries{Labels: metric.MakeLabels(long, long), Process: -1, Words: []uint64{3, 4}},
			),
		},
		{
			Schema: &metric.Schema{Name: "h", Type: metric.Histogram, Bounds: bounds},
			Series: archivedList(StoredSeries{Process: -1, Words: make([]uint64, len(bounds)+1)}),
		},
		{
			Schema: &metric.Schema{Name: "none", Type: metric.Histogram},
			Series: archivedList(StoredSeries{Process: -1, Words: []uint64{1}}),
		},
		{
			Schema: &metric.Schema{Name: "s", Type: metric.StateSet, States: []string{long, ""}},
			Series: archivedList(StoredSeries{Process: 0, Words: []uint64{1}}),
		},
	}}
	require.NoError(t, d.StageArchive(want, ReadOptions{}))
	require.NoError(t, d.CommitArchive())
	got, err := d.ReadArchive(ReadOptions{})
	require.NoError(t, err)
	got.Consumed, want.Consumed = nil, nil
	require.Equal(t, want, got)
}

func archivedList(series ...StoredSeries) (l StoredList) {
	for _, s := range series {
		l.Add(s)
	}
	return l
}

func openTestDir(t *testing.T) *Dir {
	t.Helper()
	d, err := OpenDir(t.TempDir())
	require.NoError(t, err)
	t.Cleanup(func() { d.Close() })
	return d
}

func TestArchiveRoundTrip(t *testing.T) {
	d := openTestDir(t)
	empty, err := d.ReadArchive(ReadOptions{})
	require.NoError(t, err)
	require.Equal(t, &Archive{}, empty, "a directory without an archive")
	v, err := d.ArchiveVersion(ReadOptions{})
	require.NoError(t, err)
	require.Zero(t, v)

	want := sampleArchive()
	require.NoError(t, d.StageArchive(want, ReadOptions{}))
	v, err = d.ArchiveVersion(ReadOptions{})
	require.NoError(t, err)
	require.Zero(t, v, "staged is not committed")
	require.NoError(t, d.CommitArchive())
	require.NoError(t, d.SyncDir())
	got, err := d.ReadArchive(ReadOptions{})
	require.NoError(t, err)
	require.Equal(t, want, got)
	v, err = d.ArchiveVersion(ReadOptions{})
	require.NoError(t, err)
	require.Equal(t, want.ArchiveVersion, v)
	require.True(t, got.HasConsumed(Incarnation{4}))
	require.False(t, got.HasConsumed(Incarnation{6}))
}

// TestArchivedList: a list returns the series that were added.
func TestArchivedList(t *testing.T) {
	series := []StoredSeries{
		{Process: -1, Created: 1, Words: []uint64{2, 3}},
		{Process: 7, Created: -4, Labels: metric.MakeLabels("a", "", "b", "ü"), Words: []uint64{5}, Exemplars: []metric.Exemplar{
			{Labels: metric.MakeLabels("trace_id", "x"), Value: 6, Timestamp: time.Unix(0, 7)},
			{Value: 8, Timestamp: time.Unix(0, 9)},
		}},
		{Process: -1, Labels: metric.MakeLabels("a", strings.Repeat("x", MaxStringLen))},
	}
	l := archivedList(series...)
	require.Equal(t, len(series), l.Len())
	for i, want := range series {
		require.Equal(t, want, l.At(i))
		require.Equal(t, want.Process, l.Process(i))
		require.Equal(t, want.Created, l.Created(i))
		require.Equal(t, append([]uint64{1}, want.Words...), l.AppendWords([]uint64{1}, i))
	}
}

// TestArchiveIsReadWholeOrNotAtAll: a damaged archive must not look like another one.
func TestArchiveIsReadWholeOrNotAtAll(t *testing.T) {
	b, err := sampleArchive().encode()
	require.NoError(t, err)
	for i := range b {
		for bit := range 8 {
			b[i] ^= 1 << bit
			_, err := decodeArchive(b)
			require.Error(t, err, "bit %d of byte %d", bit, i)
			b[i] ^= 1 << bit
		}
		_, err := decodeArchive(b[:i])
		require.Error(t, err, "cut to %d bytes", i)
	}
	_, err = decodeArchive(append(b, 0))
	require.ErrorIs(t, err, ErrCorrupt)
}

func TestArchiveErrors(t *testing.T) {
	for _, c := range []struct {
		name   string
		change func(b []byte) []byte
		want   error
	}{
		{"empty", func([]byte) []byte { return nil }, ErrForeign},
		{"foreign", func(b []byte) []byte { return append([]byte("x"), b...) }, ErrForeign},
		{"newer", func(b []byte) []byte { b[offArcVersion] = 2; return b }, ErrUnsupported},
		{"cut", func(b []byte) []byte { return b[:len(b)-9] }, ErrCorrupt},
		{"within the header", func(b []byte) []byte { return b[:20] }, ErrCorrupt},
	} {
		t.Run(c.name, func(t *testing.T) {
			d := openTestDir(t)
			b, err := sampleArchive().encode()
			require.NoError(t, err)
			require.NoError(t, os.WriteFile(d.Join(ArchiveName), c.change(b), 0o600))
			_, err = d.ReadArchive(ReadOptions{})
			require.ErrorIs(t, err, c.want)
			require.ErrorContains(t, err, d.Join(ArchiveName))
		})
	}
	t.Run("symlink", func(t *testing.T) {
		d := openTestDir(t)
		target := filepath.Join(t.TempDir(), "x")
		require.NoError(t, os.WriteFile(target, nil, 0o600))
		require.NoError(t, os.Symlink(target, d.Join(ArchiveName)))
		_, err := d.ReadArchive(ReadOptions{})
		require.ErrorIs(t, err, ErrNotTrusted)
		require.NoError(t, d.StageArchive(sampleArchive(), ReadOptions{}))
	})
	t.Run("untrusted", func(t *testing.T) {
		d := openTestDir(t)
		require.NoError(t, d.StageArchive(sampleArchive(), ReadOptions{}))
		require.NoError(t, d.CommitArchive())
		_, err := d.ReadArchive(ReadOptions{Trusted: func(int) bool { return false }})
		require.ErrorIs(t, err, ErrNotTrusted)
	})
}

// TestArchiveThatNoReaderTakesIsNotStaged: better no compaction than a lost archive.
func TestArchiveThatNoReaderTakesIsNotStaged(t *testing.T) {
	d := openTestDir(t)
	a := sampleArchive()
	a.Families[0].Series.Add(StoredSeries{Process: -1, Labels: metric.Labels{{Name: "b", Value: ""}, {Name: "a", Value: ""}}})
	require.ErrorIs(t, d.StageArchive(a, ReadOptions{}), ErrCorrupt)
	require.ErrorIs(t, d.StageArchive(sampleArchive(), ReadOptions{MaxBytes: 200}), ErrTooBig)
	a = sampleArchive()
	a.Families[2].Schema.Bounds = []float64{2, 1}
	require.ErrorIs(t, d.StageArchive(a, ReadOptions{}), ErrCorrupt)
	there, err := d.Exists(StagedName)
	require.NoError(t, err)
	require.False(t, there)
}

// TestArchiveIsSharedLikeItsDirectory: everyone who may read the directory may read it.
func TestArchiveIsSharedLikeItsDirectory(t *testing.T) {
	for dirMode, want := range map[os.FileMode]os.FileMode{0o700: 0o600, 0o770: 0o640, 0o777: 0o644} {
		d := openTestDir(t)
		require.NoError(t, os.Chmod(d.Path(), dirMode))
		require.NoError(t, d.StageArchive(sampleArchive(), ReadOptions{}))
		require.NoError(t, d.CommitArchive())
		info, err := os.Stat(d.Join(ArchiveName))
		require.NoError(t, err)
		require.Equal(t, want, info.Mode().Perm(), "directory %v", dirMode)
	}
}
