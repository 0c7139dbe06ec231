package mpm

import (
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/multiprom/multiprom/internal/histogram"
	"github.com/multiprom/multiprom/metric"
)

// checkedStore is a file with a series of each type that CheckWriter looks at.
func checkedStore(t *testing.T) (s *Store, series map[string]*Series) {
	t.Helper()
	s, err := Create(t.TempDir(), Options{})
	require.NoError(t, err)
	series = map[string]*Series{}
	for _, schema := range []*metric.Schema{
		{Name: "c", Type: metric.Counter, Labels: []string{"l"}},
		{Name: "g", Type: metric.Gauge},
		{Name: "h", Type: metric.Histogram, Bounds: []float64{1, 2}},
		{Name: "s", Type: metric.Summary},
		{Name: "m", Type: metric.Gauge, Mode: metric.ModeMostRecent},
		nativeSchema("n"),
		{Name: "e", Type: metric.StateSet, Mode: metric.ModeLiveAll, States: []string{"a", "b"}},
	} {
		f, err := s.AddSchema(schema)
		require.NoError(t, err)
		series[schema.Name], err = s.AddSeries(f, make([]string, len(schema.Labels)), nil)
		require.NoError(t, err)
	}
	f := series["c"].ref
	removed, err := s.AddSeries(f, []string{"removed"}, nil)
	require.NoError(t, err)
	removed.Remove()
	series["c"].Words()[CellCounterInts] = 5
	series["h"].Words()[CellHistogramBuckets] = 5
	series["s"].Words()[CellSummaryCount] = 5
	series["n"].Words()[histogram.CellZero] = 5
	series["n"].AddRegion(histogram.Region{Schema: 3})[2] = 5
	StoreRecent(series["m"].Words(), math.Float64bits(1), s.header.Created.UnixNano())
	series["c"].SetExemplar(0, metric.Labels{{Name: "a", Value: "1"}, {Name: "b", Value: "2"}}, 1, 1)
	return s, series
}

// TestCheckWriter: our own files are as a writer must leave them, and each thing that a writer
// may get wrong is named.
func TestCheckWriter(t *testing.T) {
	s, _ := checkedStore(t)
	problems, err := CheckWriter(s.Path(), ReadOptions{}, 1)
	require.NoError(t, err)
	require.Empty(t, problems)

	word := func(s *Store, off int, v uint64) { storeWord(s.first, uint64(off), v) }
	for name, tc := range map[string]struct {
		wrong func(s *Store, series map[string]*Series)
		want  string
	}{
		"reserved in the header": {func(s *Store, _ map[string]*Series) { word(s, headerSize-8, 1) }, "reserved bytes are not zero"},
		"reserved of a block":    {func(s *Store, _ map[string]*Series) { word(s, headerSize+offBlockShape+8, 1) }, "reserved bytes are not zero"},
		"features":               {func(s *Store, _ map[string]*Series) { word(s, offFeatures, 0) }, "bit 0 is not set"},
		"lease":                  {func(s *Store, _ map[string]*Series) { word(s, offLease, 0) }, "is 0: readers begin again"},
		"permissions":            {func(s *Store, _ map[string]*Series) { require.NoError(t, os.Chmod(s.path, 0o700)) }, "the permissions are 700"},
		"fractions of a counter": {func(_ *Store, x map[string]*Series) { x["c"].Words()[CellCounterFloat] = math.Float64bits(-1) }, "the fractions of a counter are -1"},
		"infinity":               {func(_ *Store, x map[string]*Series) { x["c"].Words()[CellCounterFloat] = math.Float64bits(math.Inf(1)) }, "+Inf"},
		"a state that is not":    {func(_ *Store, x map[string]*Series) { x["e"].Words()[CellState] = 2 }, "there is no state 2"},
		"a time in seconds":      {func(_ *Store, x map[string]*Series) { StoreRecent(x["m"].Words(), 0, 1_700_000_000) }, "not nanoseconds since 1970"},
		"a live series' removal": {func(s *Store, x map[string]*Series) { storeWord(s.record(x["c"].at), offSerRemoved, 1) }, "a live series has a time of removal"},
		"flags":                  {func(s *Store, x map[string]*Series) { s.record(x["c"].at)[offRecFlags] = 1 }, "flags are not 0"},
		"created in seconds":     {func(s *Store, x map[string]*Series) { storeWord(s.record(x["c"].at), offSerCreated, 0) }, "not one in nanoseconds"},
		"two of one created time": {func(s *Store, x map[string]*Series) {
			storeWord(s.record(x["c"].at), offSerCreated, loadWord(s.record(x["g"].at), offSerCreated))
		}, "the same created time"},
		"a region among other words": {func(s *Store, x map[string]*Series) {
			at := s.cells.take(2 * cacheLine)
			s.publish(&s.cells)
			rec := regionRecord{series: x["n"].at.record, cells: (at + lineWords - 1) &^ (lineWords - 1), schema: 3}
			_, err := s.addRecord(rec.encode())
			require.NoError(t, err)
		}, "in a block that has words of series"},
		"an exemplar out of order": {func(_ *Store, x map[string]*Series) {
			x["c"].SetExemplar(0, metric.Labels{{Name: "b", Value: "1"}, {Name: "a", Value: "2"}}, 1, 1)
		}, "1 exemplars are not shown"},
	} {
		t.Run(name, func(t *testing.T) {
			s, series := checkedStore(t)
			tc.wrong(s, series)
			problems, err := CheckWriter(s.Path(), ReadOptions{}, 0)
			require.NoError(t, err)
			require.NotEmpty(t, problems)
			require.Contains(t, problems[0].Error(), tc.want)
			require.Contains(t, problems[0].Error(), filepath.Base(s.Path()))
		})
	}
}

// TestCheckWriterOfChanges: what a living writer changes against the rules is named, and what it
// may change is not.
func TestCheckWriterOfChanges(t *testing.T) {
	for name, tc := range map[string]struct {
		change func(s *Store, x map[string]*Series)
		want   string // empty for no problem
	}{
		"updates": {func(_ *Store, x map[string]*Series) {
			x["c"].Words()[CellCounterInts] = 6
			x["g"].Words()[CellGauge] = math.Float64bits(-1)
			x["c"].SetExemplar(0, metric.Labels{{Name: "a", Value: "9"}}, 1, 2)
		}, ""},
		"a series more": {func(s *Store, x map[string]*Series) {
			_, err := s.AddSeries(x["c"].ref, []string{"new"}, nil)
			require.NoError(t, err)
		}, ""},
		"a series less":       {func(_ *Store, x map[string]*Series) { x["h"].Remove() }, ""},
		"a reset":             {func(s *Store, x map[string]*Series) { x["c"].Restart(s.opts.Now(), func(w []uint64) { clear(w) }) }, ""},
		"a counter falls":     {func(_ *Store, x map[string]*Series) { x["c"].Words()[CellCounterInts] = 4 }, "c: word 0 fell from 5 to 4"},
		"a bucket falls":      {func(_ *Store, x map[string]*Series) { x["h"].Words()[CellHistogramBuckets] = 4 }, "h: word 1 fell from 5 to 4"},
		"a count falls":       {func(_ *Store, x map[string]*Series) { x["s"].Words()[CellSummaryCount] = 4 }, "s: word 0 fell from 5 to 4"},
		"a zero bucket falls": {func(_ *Store, x map[string]*Series) { x["n"].Words()[histogram.CellZero] = 4 }, "n: word 1 fell from 5 to 4"},
		"a native sum falls":  {func(_ *Store, x map[string]*Series) { x["n"].Words()[histogram.CellSum] = math.Float64bits(-1) }, ""},
		"a region more":       {func(_ *Store, x map[string]*Series) { x["n"].AddRegion(histogram.Region{Schema: 3, Number: 1})[0] = 1 }, ""},
		"a region falls": {func(_ *Store, x map[string]*Series) {
			for w := range x["n"].regionList().words() {
				w[2] = 4
			}
		}, "count 2 of a region fell from 5 to 4"},
		"generation falls": {func(s *Store, _ map[string]*Series) { storeWord(s.first, offGeneration, 0) }, "it fell from"},
		"identity":         {func(s *Store, _ map[string]*Series) { s.first[offHeaderCRC-1] = 1 }, "the first 256 bytes have changed"},
		"a silent removal": {func(s *Store, x map[string]*Series) { storeState(s.record(x["c"].at), offRecState, stateRemoved) }, "gen of its block has not"},
		"created, silently": {func(s *Store, x map[string]*Series) {
			storeWord(s.record(x["g"].at), offSerCreated, uint64(s.newCreated(s.opts.Now())))
		}, "gen of its block has not"},
	} {
		t.Run(name, func(t *testing.T) {
			s, series := checkedStore(t)
			before, err := copyFile(s.Path(), ReadOptions{})
			require.NoError(t, err)
			tc.change(s, series)
			after, err := copyFile(s.Path(), ReadOptions{})
			if name == "identity" { // no reader opens it
				require.Error(t, err)
				after = &fileCopy{header: before.header}
				require.NoError(t, after.read(s.Path()))
			} else {
				require.NoError(t, err)
			}
			var got []string
			for _, p := range after.since(before) {
				got = append(got, p.Reason)
			}
			if tc.want == "" {
				require.Empty(t, got)
			} else {
				require.Contains(t, strings.Join(got, "\n"), tc.want)
			}
		})
	}
}
