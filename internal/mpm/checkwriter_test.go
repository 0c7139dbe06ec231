package mpm

import (
	"hash/crc32"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

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
	series["removed"] = addTo(t, series["c"].ref, "removed")
	series["removed"].Remove()
	series["c"].Words()[CellCounterInts] = 5
	series["h"].Words()[CellHistogramBuckets] = 5
	series["s"].Words()[CellSummaryCount] = 5
	series["n"].Words()[histogram.CellZero] = 5
	series["n"].AddRegion(histogram.Region{Schema: 3})[2] = 5
	StoreRecent(series["m"].Words(), math.Float64bits(1), s.header.Created.UnixNano())
	series["c"].SetExemplar(0, metric.Labels{{Name: "a", Value: "1"}, {Name: "b", Value: "2"}}, 1, 1)
	return s, series
}

func addTo(t *testing.T, f *SchemaRef, values ...string) *Series {
	t.Helper()
	x, err := f.store.AddSeries(f, values, nil)
	require.NoError(t, err)
	return x
}

func addSchema(t *testing.T, s *Store, schema metric.Schema) *SchemaRef {
	t.Helper()
	f, err := s.AddSchema(&schema)
	require.NoError(t, err)
	return f
}

// brokenRule is a writer that breaks one rule and no other.
type brokenRule struct {
	writer func(t *testing.T, s *Store, x map[string]*Series)
	copied func(c *fileCopy) // what the system says of the file, if it would take another system
	want   string            // the reason, or none if the rule is kept
	in     string            // the series whose record the offset is in, with at bytes more; empty: of the file
	at     int
}

// anywhere is at if the offset depends on what else the file has.
const anywhere = -1

// word stores a word of the file without a change of anything else.
func word(off int, v uint64) func(*testing.T, *Store, map[string]*Series) {
	return func(_ *testing.T, s *Store, _ map[string]*Series) { storeWord(s.first, uint64(off), v) }
}

// cell stores a word of a series.
func cell(name string, i int, v uint64) func(*testing.T, *Store, map[string]*Series) {
	return func(_ *testing.T, _ *Store, x map[string]*Series) { x[name].Words()[i] = v }
}

// recordWord stores a word of a series' record.
func recordWord(name string, off uint64, v uint64) func(*testing.T, *Store, map[string]*Series) {
	return func(_ *testing.T, s *Store, x map[string]*Series) { storeWord(s.record(x[name].at), off, v) }
}

// headed writes another header.
func headed(change func(h *Header)) func(*testing.T, *Store, map[string]*Series) {
	return func(_ *testing.T, s *Store, _ map[string]*Series) {
		h := s.header
		change(&h)
		h.encode(s.first[:headerSize])
	}
}

// familyRecord returns where the record of the family of a series is, and its bytes.
func familyRecord(s *Store, x *Series) (at int, rec []byte) {
	c := fileCopy{b: slices.Concat(s.blocks...)}
	c.records(0, func(off int, rec []byte) {
		if isFamily(le.Uint16(rec[offRecKind:])) && le.Uint32(rec[offFamID:]) == x.ref.id {
			at = off
		}
	})
	return at, s.first[at:][:le.Uint32(s.first[at:])]
}

// brokenRules break what CheckWriter finds in a file as it is.
var brokenRules = map[string]brokenRule{
	"nothing":                {writer: word(offInvalid, 1)},
	"reserved in the header": {writer: word(offReused+8, 1), want: "reserved bytes are not zero", at: offReused + 8},
	"reserved, sealed": {writer: func(_ *testing.T, s *Store, _ map[string]*Series) {
		s.first[230] = 1
		le.PutUint32(s.first[offHeaderCRC:], crc32.Checksum(s.first[:offHeaderCRC], castagnoli))
	}, want: "reserved bytes are not zero", at: 224},
	"reserved of a block": {writer: word(headerSize+offBlockShape+8, 1), want: "reserved bytes are not zero", at: headerSize + offBlockShape + 8},
	"no lock": {
		writer: headed(func(h *Header) { h.Liveness = LivenessNone }),
		want:   "liveness is none, but this filesystem shows locks to every process: nobody notices the writer's death", at: offLiveness,
	},
	"a lock of another system": {
		writer: headed(func(h *Header) { h.Liveness = systemLiveness%3 + 1 }),
		want:   "which readers of this system never ask for: the process counts as live until it is marked", at: offLiveness,
	},
	"a lock that nobody sees": {
		copied: func(c *fileCopy) { c.locks = false },
		want:   "liveness is a lock, but locks of this filesystem cannot be trusted", at: offLiveness,
	},
	"features": {writer: word(offFeatures, featureActive), want: "bit 0 is not set: readers begin again at every change", at: offFeatures},
	"lease": {
		writer: word(offLease, 0), at: offLease,
		want: "is 0: readers begin again at every change, and other processes have no time to remove a series",
	},
	"permissions": {
		writer: func(t *testing.T, s *Store, _ map[string]*Series) { require.NoError(t, os.Chmod(s.path, 0o700)) },
		want:   "the permissions are 700: the file must not be executable, or writable for everyone",
	},
	"no start time": {
		writer: headed(func(h *Header) { h.StartTime = 0 }), at: offStartTime,
		want: "start time, boot ID or PID namespace is 0, which means unknown",
	},
	"no boot ID": {
		writer: headed(func(h *Header) { h.BootID = [16]byte{} }), at: offStartTime,
		want: "start time, boot ID or PID namespace is 0, which means unknown",
	},
	"no namespace": {
		writer: headed(func(h *Header) { h.PIDNamespace = 0 }), at: offStartTime,
		want: "start time, boot ID or PID namespace is 0, which means unknown",
	},
	"a block that is a hole": {writer: func(t *testing.T, s *Store, _ map[string]*Series) {
		blocks := loadWord(s.first, offBlocks)
		require.NoError(t, os.Truncate(s.path, int64(blocks+1)<<blockShift))
		storeWord(s.first, offBlocks, blocks+1)
	}, want: "blocks are allocated: on a full disk the writer dies of SIGBUS"},
	"flags": {
		writer: func(_ *testing.T, s *Store, x map[string]*Series) { s.record(x["removed"].at)[offRecFlags] = 1 },
		want:   "the record's flags are not 0", in: "removed", at: offRecFlags,
	},
	"a mode": {writer: func(_ *testing.T, s *Store, x map[string]*Series) {
		_, rec := familyRecord(s, x["s"])
		rec[offFamMode] = byte(metric.ModeMax)
		le.PutUint32(rec[offRecCRC:], recordCRC(rec))
	}, want: "a summary has a mode", at: anywhere},
	"a family that left": {writer: func(_ *testing.T, s *Store, x map[string]*Series) {
		_, rec := familyRecord(s, x["e"])
		storeState(rec, offRecState, stateRemoved)
	}, want: "a family is removed: families never leave a file", at: anywhere},
	"a suffix of counters": {writer: func(t *testing.T, s *Store, _ map[string]*Series) {
		addSchema(t, s, metric.Schema{Name: "x_total", Type: metric.Counter})
	}, want: "the name of x_total has a suffix that readers add: it is shown as x_total_total", at: anywhere},
	"a suffix of infos": {writer: func(t *testing.T, s *Store, _ map[string]*Series) {
		addSchema(t, s, metric.Schema{Name: "x_info", Type: metric.Info})
	}, want: "the name of x_info has a suffix that readers add: it is shown as x_info_info", at: anywhere},
	"a TTL of nobody": {writer: func(t *testing.T, s *Store, _ map[string]*Series) {
		addSchema(t, s, metric.Schema{Name: "ttl", Type: metric.Counter, Labels: []string{"l"}, TTL: time.Minute})
		storeWord(s.first, offFeatures, featureBlocks)
	}, want: "ttl has a time to live, but bit 1 of features is not set", at: anywhere},
	"a live series' removal": {
		writer: recordWord("c", offSerRemoved, 1),
		want:   "a live series has a time of removal", in: "c", at: offSerRemoved,
	},
	"removed before created": {
		writer: recordWord("removed", offSerRemoved, 1),
		want:   "the series was removed before it was created", in: "removed", at: offSerRemoved,
	},
	"the same labels": {writer: func(t *testing.T, _ *Store, x map[string]*Series) { addTo(t, x["c"].ref, "") }},
	"created in seconds": {
		writer: recordWord("c", offSerCreated, 1<<62),
		want:   "the created time is not one in nanoseconds since 1970", in: "c", at: offSerCreated,
	},
	"two of one created time": {writer: func(_ *testing.T, s *Store, x map[string]*Series) {
		storeWord(s.record(x["g"].at), offSerCreated, loadWord(s.record(x["c"].at), offSerCreated))
	}, want: "two series have the same created time", in: "g", at: offSerCreated},
	"a negative fraction": {
		writer: cell("c", CellCounterFloat, math.Float64bits(-1)),
		want:   "c: the fractions of a counter are -1", in: "c",
	},
	"infinity": {
		writer: cell("c", CellCounterFloat, math.Float64bits(math.Inf(1))),
		want:   "c: the fractions of a counter are +Inf", in: "c",
	},
	"a time in seconds": {
		writer: func(_ *testing.T, _ *Store, x map[string]*Series) { StoreRecent(x["m"].Words(), 0, 1_700_000_000) },
		want:   "m: the time of a mostrecent value is 1700000000, not nanoseconds since 1970", in: "m",
	},
	"a state that is not": {writer: cell("e", CellState, 2), want: "e: there is no state 2", in: "e"},
	"an exemplar out of order": {writer: func(_ *testing.T, _ *Store, x map[string]*Series) {
		x["c"].SetExemplar(0, metric.Labels{{Name: "b", Value: "1"}, {Name: "a", Value: "2"}}, 1, 1)
	}, want: "1 exemplars are not shown: their labels must be ascending by name, valid, and of at most 128 characters"},
	"a region among other words": {writer: func(t *testing.T, s *Store, x map[string]*Series) {
		at := s.cells.take(2 * cacheLine)
		s.publish(&s.cells)
		rec := regionRecord{series: x["n"].at.record, cells: (at + lineWords - 1) &^ (lineWords - 1), schema: 3}
		_, err := s.addRecord(rec.encode())
		require.NoError(t, err)
	}, want: "the words of a region are in a block that has words of series: those are no longer close together", at: anywhere},
}

// brokenChanges break what CheckWriter finds when it compares two copies.
var brokenChanges = map[string]brokenRule{
	"updates": {writer: func(_ *testing.T, _ *Store, x map[string]*Series) {
		x["c"].Words()[CellCounterInts] = 6
		x["g"].Words()[CellGauge] = math.Float64bits(-1)
		x["n"].Words()[histogram.CellSum] = math.Float64bits(-1)
		x["n"].AddRegion(histogram.Region{Schema: 3, Number: 1})[0] = 1
		x["c"].SetExemplar(0, metric.Labels{{Name: "a", Value: "9"}}, 1, 2)
	}},
	"a series more": {writer: func(t *testing.T, _ *Store, x map[string]*Series) { addTo(t, x["c"].ref, "new") }},
	"a series less": {writer: func(_ *testing.T, _ *Store, x map[string]*Series) { x["h"].Remove() }},
	"a reset": {writer: func(_ *testing.T, s *Store, x map[string]*Series) {
		x["c"].Restart(s.opts.Now(), func(w []uint64) { clear(w) })
	}},
	"a counter falls":     {writer: cell("c", CellCounterInts, 4), want: "c: word 0 fell from 5 to 4", in: "c"},
	"a bucket falls":      {writer: cell("h", CellHistogramBuckets, 4), want: "h: word 1 fell from 5 to 4", in: "h"},
	"a count falls":       {writer: cell("s", CellSummaryCount, 4), want: "s: word 0 fell from 5 to 4", in: "s"},
	"a zero bucket falls": {writer: cell("n", histogram.CellZero, 4), want: "n: word 1 fell from 5 to 4", in: "n"},
	"a region falls": {writer: func(_ *testing.T, _ *Store, x map[string]*Series) {
		for w := range x["n"].regionList().words() {
			w[2] = 4
		}
	}, want: "count 2 of a region fell from 5 to 4", at: anywhere},
	"generation falls": {writer: word(offGeneration, 0), want: "it fell from 1 to 0", at: offGeneration},
	"used falls":       {writer: word(headerSize+offBlockUsed, 576), want: "it fell from", at: headerSize + offBlockUsed},
	"gen falls":        {writer: word(headerSize+offBlockGen, 0), want: "it fell from 1 to 0", at: headerSize + offBlockGen},
	"identity": {
		writer: func(_ *testing.T, s *Store, _ map[string]*Series) { s.first[offHeaderCRC-1] = 1 },
		want:   "the first 256 bytes have changed",
	},
	"another kind of block": {
		writer: func(_ *testing.T, s *Store, _ map[string]*Series) { le.PutUint32(s.blocks[1], 9) },
		want:   "kind or number of a block has changed", at: BlockSize,
	},
	"a silent removal": {
		writer: func(_ *testing.T, s *Store, x map[string]*Series) {
			storeState(s.record(x["c"].at), offRecState, stateRemoved)
		},
		want: "a published record has changed, but gen of its block has not", in: "c",
	},
	"created, silently": {writer: func(_ *testing.T, s *Store, x map[string]*Series) {
		storeWord(s.record(x["g"].at), offSerCreated, uint64(s.newCreated(s.opts.Now())))
	}, want: "a published record has changed, but gen of its block has not", in: "g"},
	"created goes back": {writer: func(t *testing.T, s *Store, x map[string]*Series) {
		s.opts.Now = func() time.Time { return time.Unix(1, 0) }
		s.newest = 0
		x["new"] = addTo(t, x["c"].ref, "new")
	}, want: "the created time of a new series is not after those of all others", in: "new", at: offSerCreated},
	"space that is used too early": {writer: func(t *testing.T, s *Store, x map[string]*Series) {
		rest, _ := x["c"].remove()
		s.makeFree(rest)
	}, want: "the space of a removed series was used again before lease (2m0s) was over", in: "c"},
	"space that is another's too early": {writer: func(t *testing.T, s *Store, x map[string]*Series) {
		rest, _ := x["c"].remove()
		s.makeFree(rest)
		addTo(t, x["c"].ref, "x")
	}, want: "the space of a removed series was used again before lease (2m0s) was over", in: "c"},
	"space that is used in time": {writer: func(t *testing.T, s *Store, x map[string]*Series) {
		rest, _ := x["c"].remove()
		s.makeFree(rest)
	}, copied: func(c *fileCopy) { c.ended = c.ended.Add(DefaultKeepRemoved) }},
}

// require compares what was found with the one problem that the writer has.
func (b *brokenRule) require(t *testing.T, s *Store, x map[string]*Series, found []CorruptionError) {
	t.Helper()
	if b.want == "" {
		require.Empty(t, found)
		return
	}
	require.NotEmpty(t, found)
	for _, p := range found {
		require.Contains(t, p.Reason, b.want)
	}
	at := int64(b.at)
	if b.in != "" {
		at += int64(x[b.in].at.record) * 8
	}
	if b.at != anywhere {
		require.Equal(t, at, found[0].Offset)
	} else {
		require.Greater(t, found[0].Offset, int64(headerSize))
	}
}

// TestCheckWriter: our own files are as a writer must leave them, and of a writer that breaks one
// rule, the rule and the place are named.
func TestCheckWriter(t *testing.T) {
	s, _ := checkedStore(t)
	problems, err := CheckWriter(s.Path(), ReadOptions{}, 1)
	require.NoError(t, err)
	require.Empty(t, problems)
	for name, b := range brokenRules {
		t.Run(name, func(t *testing.T) {
			s, x := checkedStore(t)
			if b.writer != nil {
				b.writer(t, s, x)
			}
			c, err := copyFile(s.Path(), ReadOptions{})
			require.NoError(t, err)
			if b.copied != nil {
				b.copied(c)
			}
			b.require(t, s, x, c.check())
			if b.copied == nil {
				problems, err := CheckWriter(s.Path(), ReadOptions{}, 0)
				require.NoError(t, err)
				b.require(t, s, x, problems)
				for _, p := range problems {
					require.Contains(t, p.Error(), filepath.Base(s.Path()))
				}
			}
		})
	}
}

// wrongNames are the reasons of CheckNames.
var wrongNames = []string{
	"the directory has no native file: no metric was updated, or the writer keeps its values in memory",
	"readers do not look at it: the name must be the pid, a hyphen, the incarnation in 32 lower-case hexadecimal digits, and .mpm",
}

func TestCheckNames(t *testing.T) {
	s, _ := checkedStore(t)
	dir, name := filepath.Split(s.Path())
	found, err := CheckNames(dir)
	require.NoError(t, err)
	require.Empty(t, found)
	raw, err := os.ReadFile(s.Path())
	require.NoError(t, err)
	for wrong, content := range map[string][]byte{strings.ToUpper(name[:len(name)-4]) + ".mpm": nil, "metrics": raw, "notes": []byte("none")} {
		dir := t.TempDir()
		require.NoError(t, os.WriteFile(filepath.Join(dir, wrong), content, 0o600))
		require.NoError(t, os.Mkdir(filepath.Join(dir, "a directory"), 0o700))
		found, err := CheckNames(dir)
		require.NoError(t, err)
		require.Equal(t, wrongNames[0], found[len(found)-1].Reason)
		if wrong == "notes" {
			require.Len(t, found, 1)
			continue
		}
		require.Len(t, found, 2)
		require.Equal(t, wrongNames[1], found[0].Reason)
		require.Equal(t, filepath.Join(dir, wrong), found[0].Path)
	}
}

// TestCheckWriterOfChanges: what a living writer changes against the rules is named, and what it
// may change is not.
func TestCheckWriterOfChanges(t *testing.T) {
	for name, b := range brokenChanges {
		t.Run(name, func(t *testing.T) {
			s, x := checkedStore(t)
			before, err := copyFile(s.Path(), ReadOptions{})
			require.NoError(t, err)
			b.writer(t, s, x)
			after, err := copyFile(s.Path(), ReadOptions{})
			if name == "identity" { // no reader opens it
				require.Error(t, err)
				after = &fileCopy{header: before.header, ended: time.Now()}
				require.NoError(t, after.read(s.Path()))
			} else {
				require.NoError(t, err)
			}
			if b.copied != nil {
				b.copied(after)
			}
			b.require(t, s, x, after.since(before))
		})
	}
}
