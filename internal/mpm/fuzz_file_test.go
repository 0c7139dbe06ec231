package mpm

import (
	"bytes"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/multiprom/multiprom/internal/histogram"
	"github.com/multiprom/multiprom/metric"
)

// sound is an undamaged file and what a reader must find in it. It is the oracle of
// FuzzReader, derived from docs/format.md alone as far as possible.
type sound struct {
	name    string
	content []byte
	records []soundRecord
	series  []soundSeries
	byKey   map[string]soundSeries
	regions map[int]soundRegion // by offset of the words
}

type soundRegion struct {
	series string // its key
	Region
}

type soundRecord struct{ off, size int }

type soundSeries struct {
	record, family int // indices in records
	key            string
	words, n       int // offset in the file, number
}

// seriesKey identifies a series of a sound file.
func seriesKey(s *SeriesInfo) string { return s.Schema.Name + s.Labels().String() }

// soundFile creates a file with series of every type in several blocks of both kinds, a
// family that is not in block 0, removed series, and free space. Its bytes are the same in
// every run.
func soundFile(f testing.TB) *sound {
	s, err := Create(f.TempDir(), Options{
		Label: "sound", Now: func() time.Time { return time.Unix(100, 0) },
		Identity: func() Identity { return Identity{PID: 42} },
	})
	require.NoError(f, err)
	schemas := append(everyType(), nativeSchema("native"))
	bounds := make([]float64, 700)
	for i := range bounds {
		bounds[i] = float64(i)
	}
	schemas = append(schemas, &metric.Schema{Name: "wide", Help: "W.", Type: metric.Histogram, Bounds: bounds})
	var families []*SchemaRef
	var removed []*Series
	next := uint64(0)
	for i := range 260 {
		if len(families) < len(schemas) && (i < len(schemas)-1 || i == 200) {
			schema := schemas[len(families)]
			schema.Labels = append(schema.Labels, "n")
			family, err := s.AddSchema(schema)
			require.NoError(f, err)
			families = append(families, family)
		}
		family := families[i%len(families)]
		if i > 247 {
			family = families[len(families)-1] // fills a CELLS block with a dozen
		}
		values := make([]string, len(family.schema.Labels))
		values[len(values)-1] = strconv.Itoa(i)
		if i%3 == 0 {
			values[len(values)-1] += strings.Repeat("v", 1500)
		}
		var extra metric.Labels
		if family.schema.Type == metric.Info {
			extra = metric.MakeLabels("version", "1")
		}
		one, err := s.AddSeries(family, values, extra)
		require.NoError(f, err)
		for j := range one.Words() {
			next++
			one.Words()[j] = next
		}
		if family.schema.Native != nil {
			for k := range 3 {
				counts := one.AddRegion(histogram.Region{Schema: 3 - k, Negative: k == 1, Number: int32(i % 7)})
				for j := range counts {
					next++
					counts[j] = next
				}
			}
		}
		if i%5 == 0 {
			one.SetExemplar(0, metric.MakeLabels("n", strconv.Itoa(i)), float64(i), 1+int64(i))
		}
		if i%7 == 0 {
			removed = append(removed, one)
		}
	}
	out := &sound{byKey: map[string]soundSeries{}, regions: map[int]soundRegion{}}
	r := s.Reader(nil)
	require.NoError(f, r.Refresh())
	all := r.Series()
	regions := r.Regions()
	require.Greater(f, len(regions), 50)
	for i, one := range removed {
		rest, _ := one.remove()
		if i%4 == 0 {
			s.makeFree(rest)
		}
	}
	out.content, err = os.ReadFile(s.Path())
	require.NoError(f, err)
	for _, one := range regions {
		out.regions[8*int(le.Uint32(out.content[one.Offset+offRegCells:]))] = soundRegion{seriesKey(&all[one.Series]), one}
	}
	h := s.Header()
	h.Incarnation, h.Liveness = Incarnation{1}, LivenessNone
	h.encode(out.content)
	out.name = h.FileName()
	out.index(f, all)
	return out
}

// index finds the records of the file and matches them with what was read.
func (s *sound) index(f testing.TB, all []SeriesInfo) {
	at := map[int]int{}          // index of a record by offset
	families := map[string]int{} // index of a family's record by name
	metas := 0
	for i := range len(s.content) / BlockSize {
		b := s.content[i<<blockShift:][:BlockSize]
		header, start := blockStart(i)
		if le.Uint32(b[header+offBlockKind:]) != blockMeta {
			continue
		}
		metas++
		for off := start; off < le.Uint64(b[header+offBlockUsed:]); {
			n := le.Uint32(b[off:])
			rec := b[off : off+uint64(n)]
			at[i<<blockShift+int(off)] = len(s.records)
			if isFamily(le.Uint16(rec[offRecKind:])) {
				_, schema, err := decodeFamily(rec)
				require.NoError(f, err)
				families[schema.Name] = len(s.records)
			}
			s.records = append(s.records, soundRecord{i<<blockShift + int(off), int(n)})
			off += uint64(n)
		}
	}
	require.Greater(f, metas, 2)
	require.Greater(f, len(s.content)/BlockSize-metas, 1)
	require.Greater(f, s.records[families["wide"]].off, BlockSize, "a family outside of block 0")
	for i := range all {
		one := soundSeries{
			record: at[int(all[i].Offset())], family: families[all[i].Schema.Name], key: seriesKey(&all[i]),
			words: int(le.Uint32(s.content[all[i].Offset()+offSerCells:])) * 8, n: WordsPerSeries(all[i].Schema),
		}
		s.series = append(s.series, one)
		s.byKey[one.key] = one
	}
	require.Len(f, s.byKey, len(all))
}

// same reports whether n bytes at off are as in the sound file.
func (s *sound) same(bad []byte, off, n int) bool {
	return bytes.Equal(s.content[off:off+n], bad[off:off+n])
}

// readable reports whether a block's header has the right kind and number, and covers
// everything that was published in the block. Covering more does no harm.
func (s *sound) readable(bad []byte, block int) bool {
	header, _ := blockStart(block)
	at := block<<blockShift + int(header)
	return s.same(bad, at, offBlockUsed) && le.Uint64(bad[at+offBlockUsed:]) >= le.Uint64(s.content[at+offBlockUsed:])
}

// found reports whether a reader must find that record in bad. It must be whole and live, its
// block's header must be readable, and the lengths of the records before it must be right;
// the rest of those may be damaged.
func (s *sound) found(bad []byte, record int) bool {
	rec := s.records[record]
	block := rec.off >> blockShift
	if !s.readable(bad, block) {
		return false
	}
	for i := record - 1; i >= 0 && s.records[i].off>>blockShift == block; i-- {
		if !s.same(bad, s.records[i].off+offRecLen, 4) {
			return false
		}
	}
	immutable := offFamID
	if isSeries(le.Uint16(s.content[rec.off+offRecKind:])) {
		immutable = offSerFamily
	}
	return le.Uint32(bad[rec.off+offRecState:]) == stateLive &&
		s.same(bad, rec.off, offRecState) && s.same(bad, rec.off+immutable, rec.size-immutable)
}

// forgedFamily reports whether a record before that family claims its number. Then that
// record counts.
func (s *sound) forgedFamily(bad []byte, family int) bool {
	id := le.Uint32(s.content[s.records[family].off+offFamID:])
	for _, rec := range s.records[:family] {
		if isFamily(le.Uint16(bad[rec.off+offRecKind:])) && le.Uint32(bad[rec.off+offFamID:]) == id {
			return true
		}
	}
	return false
}

// survives reports whether a reader of bad must return that series.
func (s *sound) survives(bad []byte, one soundSeries) bool {
	return len(bad) >= len(s.content) && s.same(bad, 0, offGeneration) &&
		s.found(bad, one.family) && s.found(bad, one.record) && !s.forgedFamily(bad, one.family) &&
		(one.n == 0 || s.readable(bad, one.words>>blockShift))
}

const (
	editByte       = iota // byte b of the file is v
	editHeader            // byte a of the file header is v
	editBlock             // byte a of the header of block b is v
	editRecord            // byte b of record a is v
	editLength            // record a has the length b
	editMend              // record a gets a matching checksum
	editMendHeader        // so does the file header
	editCopy              // record a overwrites record b
	editSwap              // blocks a and b change places
	editCut               // b bytes are left
	editGrow              // v blocks are added
	editShorten           // b bytes are left while a reader has the file mapped
	numEdits
)

// FuzzReader damages a file. Whatever the damage, reading ends and stays within the file. Each
// series that is returned was written (unless a checksum was forged), and every undamaged
// series is returned.
func FuzzReader(f *testing.F) {
	s := soundFile(f)
	path := filepath.Join(f.TempDir(), s.name)
	for _, seed := range readerSeeds(s) {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, data []byte) { checkDamage(t, s, s.damage(data), path) })
}

// readerSeeds are inputs that reach each branch of the parser.
func readerSeeds(s *sound) (seeds [][]byte) {
	seed := func(edits ...edit) { seeds = append(seeds, program(edits...)) }
	family, series, last := uint16(0), uint16(3), uint16(len(s.records)-1)
	cells := uint32(0)
	for i := range len(s.content) / BlockSize {
		if i > 0 && le.Uint32(s.content[i<<blockShift:]) == blockCells {
			cells = uint32(i)
		}
	}
	seed()
	// The file header: magic, version, label, blocks, generation, marks.
	for _, off := range []uint16{offMagic, offVersion, offLabel, offPID, offLabelLen, offIncarnation} {
		seed(edit{op: editHeader, a: off, v: 0xfe})
		seed(edit{op: editHeader, a: off, v: 0xfe}, edit{op: editMendHeader})
	}
	for _, v := range []byte{0, 1, 2, 200} {
		seed(edit{op: editHeader, a: offBlocks, v: v})
	}
	seed(edit{op: editHeader, a: offBlocks + 7, v: 0x80}, edit{op: editHeader, a: offGeneration + 3, v: 1})
	seed(edit{op: editHeader, a: offBlocks, v: byte(len(s.content)/BlockSize + 2)}, edit{op: editGrow, v: 3})
	// Block headers: kind, index, used.
	for _, block := range []uint32{0, 1, 2, cells} {
		for _, off := range []uint16{
			offBlockKind, offBlockIndex, offBlockUsed, offBlockUsed + 1, offBlockUsed + 2, offBlockUsed + 7, offBlockGen, offBlockShape, offBlockShape + 7,
		} {
			seed(edit{op: editBlock, b: block, a: off, v: 3})
		}
		seed(edit{op: editBlock, b: block, a: offBlockKind, v: blockMeta})
		seed(edit{op: editBlock, b: block, a: offBlockKind, v: blockCells})
		seed(edit{op: editSwap, a: uint16(block), b: block + 1})
		seed(edit{op: editSwap, a: uint16(block), b: cells})
	}
	for _, off := range []uint16{offFeatures, offLease, offLease + 7, offBootTime, offResets} {
		seed(edit{op: editHeader, a: off, v: 0xff})
	}
	// States of records.
	for _, rec := range []uint16{family, series, series + 1, 40, last} {
		for _, v := range []byte{0, stateLive, stateRemoved, stateFree, stateFree + 1} {
			seed(edit{op: editRecord, a: rec, b: offRecState, v: v})
			seed(edit{op: editRecord, a: rec, b: offRecState, v: v}, edit{op: editRecord, a: rec, b: offRecKind, v: kindExemplar}, edit{op: editMend, a: rec})
		}
	}
	// Records: lengths, fields with and without a mended checksum, copies.
	for _, rec := range []uint16{family, series, 40, last} {
		for _, n := range []uint32{0, 8, 16, 24, 32, 41, 48, 4096, 1 << 31} {
			seed(edit{op: editLength, a: rec, b: n})
			seed(edit{op: editLength, a: rec, b: n}, edit{op: editMend, a: rec})
		}
		for _, off := range []uint32{
			offRecKind, offRecFlags, offRecCRC, offRecState, offFamID, offFamType, offFamMode, offFamLabels, offFamConst, offFamBounds,
			offFamStates, offFamBody, offSerFamily, offSerCells, offSerCells + 1, offSerCells + 3, offSerValues, offSerExtra, offSerBody,
		} {
			seed(edit{op: editRecord, a: rec, b: off, v: 2}, edit{op: editRecord, a: rec + 1, b: off, v: 0xff})
			seed(edit{op: editRecord, a: rec, b: off, v: byte(off)}, edit{op: editMend, a: rec})
		}
		seed(edit{op: editCopy, a: rec, b: uint32(last)})
		seed(edit{op: editCopy, a: last, b: uint32(rec)})
		seed(edit{op: editCopy, a: series, b: uint32(rec)}, edit{op: editMend, a: rec})
	}
	seed(edit{op: editRecord, a: 2, b: offFamID, v: 0}, edit{op: editMend, a: 2}) // the second family takes the first's number
	seed(edit{op: editRecord, a: series, b: offSerValues, v: 0}, edit{op: editMend, a: series})
	seed(edit{op: editBlock, b: cells, a: offBlockUsed + 1, v: 0})
	// Words in a block's header, at its end, after it.
	for _, at := range []uint32{1, 0x1fff, 0x1ff0, 0x2000} {
		index := cells<<(blockShift-3) + at
		seed(edit{op: editRecord, a: series, b: offSerCells, v: byte(index)}, edit{op: editRecord, a: series, b: offSerCells + 1, v: byte(index >> 8)},
			edit{op: editRecord, a: series, b: offSerCells + 2, v: byte(index >> 16)}, edit{op: editMend, a: series})
	}
	// The size, before and while it is mapped.
	for _, n := range []uint32{0, 1, 8, 511, 512, BlockSize - 1, BlockSize, 2*BlockSize + 100, uint32(len(s.content) - 1)} {
		seed(edit{op: editCut, b: n})
		seed(edit{op: editShorten, b: n})
	}
	seed(edit{op: editGrow, v: 1}, edit{op: editByte, b: uint32(len(s.content)), v: 1})
	return seeds
}
