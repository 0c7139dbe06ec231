package mpm

import (
	"errors"
	"math"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/multiprom/multiprom/internal/lifetime"
	"github.com/multiprom/multiprom/metric"
)

// TestReadParts: the janitor finds what other processes and the archive have of some series.
func TestReadParts(t *testing.T) {
	dir := t.TempDir()
	now := time.Unix(1000, 0)
	seconds := func(n int64) int64 { return n * 1e9 }
	schema := func(ttl time.Duration, labels ...string) *metric.Schema {
		return &metric.Schema{Name: "c", Help: "C.", Type: metric.Counter, Labels: labels, Const: metric.MakeLabels("dc", "eu"), TTL: ttl}
	}
	create := func() *Store {
		s, err := Create(dir, Options{Now: func() time.Time { return now }})
		require.NoError(t, err)
		return s
	}
	add := func(s *Store, schema *metric.Schema, values ...string) *Series {
		f, err := s.AddSchema(schema)
		require.NoError(t, err)
		h, err := s.AddSeries(f, values, nil)
		require.NoError(t, err)
		return h
	}
	own := create()
	add(own, schema(time.Minute, "a", "b"), "x", "y")
	swapped, unlike, without := create(), create(), create()
	now = now.Add(time.Hour)
	expired := add(swapped, schema(time.Minute, "b", "a"), "y", "x")
	now = now.Add(time.Minute)
	expired.Expire(now.UnixNano())
	add(swapped, schema(time.Hour, "b", "a"), "y", "x")
	add(swapped, schema(time.Hour, "b", "a"), "x", "y")
	other := schema(time.Minute, "a", "b")
	other.Name = "d"
	add(unlike, other, "x", "y")
	other = schema(time.Minute, "a", "b")
	other.Type = metric.Summary
	add(unlike, other, "x", "y")
	other = schema(time.Minute, "a", "b")
	other.Const = metric.MakeLabels("dc", "us")
	add(unlike, other, "x", "y")
	add(unlike, schema(time.Minute, "a", "c"), "x", "y")
	add(unlike, schema(time.Minute, "a"), "x")
	add(without, schema(0, "a", "b"), "x", "y")
	require.NoError(t, os.WriteFile(own.Path()+"x", nil, 0o600))

	d, err := OpenDir(dir)
	require.NoError(t, err)
	defer d.Close()
	stored := func(ttl time.Duration, name string) StoredFamily {
		f := StoredFamily{Schema: &metric.Schema{Name: name, Help: "C.", Type: metric.Counter, TTL: ttl}}
		f.Series.Timed = ttl > 0
		for _, dc := range []string{"eu", "us"} {
			for _, value := range []string{"y", "z"} {
				f.Series.Add(StoredSeries{
					Labels: metric.MakeLabels("a", "x", "b", value, "dc", dc), Process: -1, Created: seconds(10), Active: seconds(20), Words: []uint64{1, 0},
				})
			}
		}
		f.Series.Add(StoredSeries{Labels: metric.MakeLabels("a", "x", "dc", "eu"), Process: -1, Words: []uint64{1, 0}})
		return f
	}
	archive := &Archive{Families: []StoredFamily{stored(2*time.Minute, "c"), stored(0, "c"), stored(time.Minute, "d")}}
	require.NoError(t, d.StageArchive(archive, ReadOptions{}))
	require.NoError(t, d.CommitArchive())

	key := string(AppendString(AppendString(nil, "x"), "y"))
	found, err := d.ReadParts(PartsOptions{Own: filepath.Base(own.Path()), Schema: schema(time.Minute, "a", "b"), Wanted: func(values []byte) int {
		if string(values) == key {
			return 5
		}
		return -1
	}})
	require.NoError(t, err)
	created := time.Unix(1000, 0).Add(time.Hour).UnixNano()
	for i := range found {
		require.Equal(t, 5, found[i].Number)
		found[i].Number = 0
		if !found[i].Part.Dead && found[i].TTL > 0 {
			require.InDelta(t, found[i].Part.Created, found[i].Part.Active, 1<<activeShift)
			found[i].Part.Active = found[i].Part.Created
		}
	}
	minute := created + int64(time.Minute)
	require.ElementsMatch(t, []FoundPart{
		{Part: lifetime.Part{Created: created, Active: created, Removed: minute, Gone: true}, TTL: int64(time.Minute)},
		{Part: lifetime.Part{Created: minute, Active: minute}, TTL: int64(time.Hour)},
		{Part: lifetime.Part{Created: minute, Active: math.MaxInt64 / 2}},
		{Part: lifetime.Part{Created: seconds(10), Active: seconds(20), Dead: true}, TTL: int64(2 * time.Minute)},
	}, found)

	// One that has closed its store is dead.
	require.NoError(t, without.Close())
	found, err = d.ReadParts(PartsOptions{Own: filepath.Base(own.Path()), Schema: schema(time.Minute, "a", "b"), Wanted: func([]byte) int { return 0 }})
	require.NoError(t, err)
	i := slices.IndexFunc(found, func(f FoundPart) bool { return f.TTL == 0 })
	require.Equal(t, lifetime.Part{Created: minute, Active: minute, Dead: true}, found[i].Part)
}

// TestReadPartsOfABusyFile: a part that begins a new life all the time is read as a pair, and one
// whose file cannot be read in time is an error.
func TestReadPartsOfABusyFile(t *testing.T) {
	s := NewHeap(Options{})
	f, err := s.AddSchema(ttlSchema("c", metric.Counter, 0))
	require.NoError(t, err)
	h, err := s.AddSeries(f, []string{"x"}, nil)
	require.NoError(t, err)
	r := s.Reader(nil)
	r.parser.pause = func(time.Duration) {}
	o := &PartsOptions{Schema: f.schema, Wanted: func([]byte) int { return 0 }}
	steps, created := 0, int64(0)
	o.Wanted = func([]byte) int { // between created and active
		if steps++; steps == 1 {
			h.Renew(s.Moment(), make([]uint64, 2))
			created = int64(loadWord(s.record(h.at), offSerCreated))
		}
		return 0
	}
	found, err := r.parts(o)
	require.NoError(t, err)
	require.Equal(t, created, found[0].Part.Created)
	require.Equal(t, 2, steps)

	header, _ := blockStart(0)
	o.Wanted = func([]byte) int {
		addWord(s.first, header+offBlockShape, 2)
		return 0
	}
	_, err = r.parts(o)
	require.True(t, errors.Is(err, ErrStale), err)
}
