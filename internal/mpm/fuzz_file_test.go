package mpm

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"
	"unsafe"

	"github.com/stretchr/testify/require"

	"github.com/multiprom/multiprom/metric"
)

// sound is an undamaged file and what a reader must find in it: the oracle of
// FuzzReader, worked out from docs/format.md alone where that is possible.
type sound struct {
	name    string
	content []byte
	records []soundRecord
	series  []soundSeries
	byKey   map[string]soundSeries
}

type soundRecord struct{ off, size int }

type soundSeries struct {
	record, family int // positions in records
	key            string
	words, n       int // offset in the file, number
}

// seriesKey tells the series of a sound file apart.
func seriesKey(s *SeriesInfo) string { return s.Schema.Name + s.Labels().String() }

// soundFile makes a file with series of every type in several blocks of both
// kinds, a family that is not in block 0, and removed series. Its bytes are
// the same in every run.
func soundFile(f testing.TB) *sound {
	s, err := Create(f.TempDir(), Options{
		Label: "sound", Now: func() time.Time { return time.Unix(100, 0) },
		Identity: func() Identity { return Identity{PID: 42} },
	})
	require.NoError(f, err)
	schemas := everyType()
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
		if i%5 == 0 {
			one.SetExemplar(0, metric.MakeLabels("n", strconv.Itoa(i)), float64(i), 1+int64(i))
		}
		if i%7 == 0 {
			removed = append(removed, one)
		}
	}
	out := &sound{byKey: map[string]soundSeries{}}
	r := s.Reader(nil)
	require.NoError(f, r.Refresh())
	all := r.Series()
	for _, one := range removed {
		one.Remove()
	}
	out.content, err = os.ReadFile(s.Path())
	require.NoError(f, err)
	h := s.Header()
	h.Incarnation, h.Liveness = Incarnation{1}, LivenessNone
	h.encode(out.content)
	out.name = h.FileName()
	out.index(f, all)
	return out
}

// index finds the records of the file and joins them with what was read.
func (s *sound) index(f testing.TB, all []SeriesInfo) {
	at := map[int]int{}          // offset of a record: its position
	families := map[string]int{} // name of a family: position of its record
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
			if le.Uint16(rec[offRecKind:]) == kindFamily {
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

// readable reports whether a block's header says what it is and that all that
// was published in it is: too much does not harm.
func (s *sound) readable(bad []byte, block int) bool {
	header, _ := blockStart(block)
	at := block<<blockShift + int(header)
	return s.same(bad, at, offBlockUsed) && le.Uint64(bad[at+offBlockUsed:]) >= le.Uint64(s.content[at+offBlockUsed:])
}

// found reports whether a reader must find that record in bad: it is whole
// and live, its block's header is, and so are the lengths of the records
// before it, which need not be sound otherwise.
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
	if le.Uint16(s.content[rec.off+offRecKind:]) == kindSeries {
		immutable = offSerFamily
	}
	return le.Uint32(bad[rec.off+offRecState:]) == stateLive &&
		s.same(bad, rec.off, offRecState) && s.same(bad, rec.off+immutable, rec.size-immutable)
}

// forgedFamily reports whether a record before that family's claims its
// number: then that one counts.
func (s *sound) forgedFamily(bad []byte, family int) bool {
	id := le.Uint32(s.content[s.records[family].off+offFamID:])
	for _, rec := range s.records[:family] {
		if le.Uint16(bad[rec.off+offRecKind:]) == kindFamily && le.Uint32(bad[rec.off+offFamID:]) == id {
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

// An edit is 8 bytes of what is fuzzed. Numbers are taken modulo what there is.
type edit struct {
	op, v byte
	a     uint16
	b     uint32
}

const (
	editByte       = iota // byte b of the file is v
	editHeader            // byte a of the file header is v
	editBlock             // byte a of the header of block b is v
	editRecord            // byte b of record a is v
	editLength            // record a has the length b
	editMend              // record a gets a checksum that matches
	editMendHeader        // so does the file header
	editCopy              // record a overwrites record b
	editSwap              // blocks a and b change places
	editCut               // b bytes are left
	editGrow              // v blocks are added
	editShorten           // b bytes are left while a reader has the file mapped
	numEdits
)

// program returns the edits as bytes.
func program(edits ...edit) (out []byte) {
	for _, e := range edits {
		out = le.AppendUint32(le.AppendUint16(append(out, e.op, e.v), e.a), e.b)
	}
	return out
}

// damage is a sound file after some edits.
type damage struct {
	bad     []byte
	forged  bool // a checksum was mended: records may say what no writer said
	shorten int  // size while it is mapped, -1 for none
}

func (s *sound) damage(data []byte) *damage {
	d := &damage{bad: bytes.Clone(s.content), shorten: -1}
	for i := 0; i+8 <= len(data) && i < 64*8; i += 8 {
		d.apply(s, edit{data[i], data[i+1], le.Uint16(data[i+2:]), le.Uint32(data[i+4:])})
	}
	return d
}

func (d *damage) apply(s *sound, e edit) {
	rec := s.records[int(e.a)%len(s.records)]
	blocks := uint32(len(d.bad) / BlockSize)
	switch e.op % numEdits {
	case editCut:
		d.bad = d.bad[:int(e.b%uint32(len(d.bad)+1))]
		return
	case editGrow:
		d.bad = append(d.bad, make([]byte, int(e.v%4)*BlockSize)...)
		return
	case editShorten:
		d.shorten = int(e.b % uint32(len(s.content)))
		return
	}
	if len(d.bad) < len(s.content) {
		return // what follows may lie behind the end
	}
	switch e.op % numEdits {
	case editByte:
		d.bad[e.b%uint32(len(d.bad))] = e.v
	case editHeader:
		d.bad[e.a%headerSize] = e.v
	case editBlock:
		i := int(e.b % blocks)
		header, _ := blockStart(i)
		d.bad[i<<blockShift+int(header)+int(e.a%blockHeaderSize)] = e.v
	case editRecord:
		d.bad[rec.off+int(e.b%uint32(rec.size))] = e.v
	case editLength:
		le.PutUint32(d.bad[rec.off+offRecLen:], e.b)
	case editMend:
		end := uint32(BlockSize - rec.off&(BlockSize-1))
		n := le.Uint32(d.bad[rec.off+offRecLen:])
		n = min(max(n, offFamID), end)
		le.PutUint32(d.bad[rec.off+offRecCRC:], recordCRC(d.bad[rec.off:rec.off+int(n)]))
		d.forged = true
	case editMendHeader:
		sealHeader(d.bad)
	case editCopy:
		from := s.content[rec.off : rec.off+rec.size]
		to := s.records[int(e.b)%len(s.records)].off
		copy(d.bad[to:(to|(BlockSize-1))+1], from)
	case editSwap:
		a, b := d.bad[uint32(e.a)%blocks<<blockShift:][:BlockSize], d.bad[e.b%blocks<<blockShift:][:BlockSize]
		saved := bytes.Clone(a)
		copy(a, b)
		copy(b, saved)
	}
}

// FuzzReader damages a file. Whatever the damage is, reading ends and stays
// within the file, a series that is returned is one that was written (unless
// a checksum was forged), and every undamaged one is returned.
func FuzzReader(f *testing.F) {
	s := soundFile(f)
	path := filepath.Join(f.TempDir(), s.name)
	for _, seed := range readerSeeds(s) {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, data []byte) { checkDamage(t, s, s.damage(data), path) })
}

// checkDamage writes the damaged file to path and reads it in every way.
func checkDamage(t *testing.T, s *sound, d *damage, path string) {
	t.Helper()
	require.NoError(t, os.WriteFile(path, d.bad, 0o600))
	problems := checkVerify(t, s, d, path)
	r, err := Open(path, ReadOptions{})
	if err != nil {
		require.False(t, len(d.bad) >= BlockSize && s.same(d.bad, 0, offHeaderCRC+4), "%v", err)
		return
	}
	defer r.Close()
	if err := r.Refresh(); err != nil {
		require.ErrorIs(t, err, ErrCorrupt)
		require.False(t, len(d.bad) >= len(s.content) && s.same(d.bad, 0, offGeneration), "%v", err)
		return
	}
	blocks := le.Uint64(d.bad[offBlocks:])
	require.True(t, blocks > 0 && blocks <= uint64(len(d.bad)/BlockSize), "%d blocks", blocks)
	returned, taken := checkSeries(t, s, d, r)
	require.NoError(t, Guard(path, func() error {
		for _, e := range r.Exemplars() {
			if x, _ := e.Load(); x != nil && metric.CheckExemplar(x.Labels) != nil {
				return fmt.Errorf("an exemplar %v of %s", x, r.Series()[e.Series].Schema.Name)
			}
		}
		return nil
	}))
	_, damaged := r.Damaged()
	require.Equal(t, damaged > 0, len(problems) > 0, "%v", problems)
	for _, one := range s.series {
		if !returned[one.key] && s.survives(d.bad, one) && !slices.Contains(taken[one.words/8:][:one.n], true) {
			t.Fatalf("%.80s is undamaged and was not returned", one.key)
		}
	}
	before := len(r.Series())
	require.NoError(t, r.Refresh())
	require.Len(t, r.Series(), before, "nothing was published")
	require.Equal(t, 1, r.Epoch())
	require.True(t, r.Unchanged())
	checkLive(t, s, d, r)
}

// checkSeries holds what r returns against the damaged file. It returns the
// keys, and which words of the file have a series.
func checkSeries(t *testing.T, s *sound, d *damage, r *Reader) (returned map[string]bool, taken []bool) {
	t.Helper()
	returned, taken = map[string]bool{}, make([]bool, len(d.bad)/8)
	take := func(words, n int) {
		for i := range n {
			require.False(t, taken[words/8+i], "two series have word %d", words/8+i)
			taken[words/8+i] = true
		}
	}
	for _, one := range r.Removed() {
		take(wordsOffset(t, r, one.Words()), len(one.Words()))
	}
	last := int64(-1)
	for _, one := range r.Series() {
		require.Greater(t, one.Offset(), last)
		last = one.Offset()
		require.Len(t, one.Values(), len(one.Schema.Labels))
		require.Len(t, one.Words(), WordsPerSeries(one.Schema))
		require.NoError(t, one.Schema.Check())
		words := wordsOffset(t, r, one.Words())
		if len(one.Words()) > 0 {
			b := d.checkBlock(t, words>>blockShift, blockCells)
			end := uint64(words&(BlockSize-1) + 8*len(one.Words()))
			require.LessOrEqual(t, end, le.Uint64(b[offBlockUsed:]), "words that were not published")
		}
		for i := range one.Words() {
			if want, got := le.Uint64(d.bad[words+8*i:]), atomic.LoadUint64(&one.Words()[i]); want != got {
				t.Fatalf("word %d of %.80s is %d, not %d", i, seriesKey(&one), got, want)
			}
		}
		take(words, len(one.Words()))
		d.checkBlock(t, int(one.Offset()>>blockShift), blockMeta)
		require.Zero(t, one.Offset()%8)
		rec := d.bad[one.Offset():][:le.Uint32(d.bad[one.Offset():])]
		require.Equal(t, le.Uint32(rec[offRecCRC:]), recordCRC(rec))
		require.EqualValues(t, stateLive, le.Uint32(rec[offRecState:]))
		key := seriesKey(&one)
		returned[key] = true
		if d.forged {
			continue
		}
		want, known := s.byKey[key]
		require.True(t, known, "%.80s was never written", key)
		require.Equal(t, want.n, len(one.Words()))
		if want.n > 0 {
			require.Equal(t, want.words, words)
		}
	}
	return returned, taken
}

// checkBlock returns the block's header, which must be of that kind and carry
// the block's number.
func (d *damage) checkBlock(t *testing.T, block int, kind uint32) []byte {
	header, _ := blockStart(block)
	b := d.bad[block<<blockShift+int(header):]
	require.Equal(t, kind, le.Uint32(b[offBlockKind:]))
	require.EqualValues(t, block, le.Uint32(b[offBlockIndex:]), "a block of another number")
	return b
}

// wordsOffset returns where in the file the words lie, and fails where they
// are not within one of its blocks.
func wordsOffset(t *testing.T, r *Reader, words []uint64) int {
	if len(words) == 0 {
		return 0
	}
	p := uintptr(unsafe.Pointer(&words[0]))
	for i, b := range r.blocks {
		start := uintptr(unsafe.Pointer(&b[0]))
		if p >= start && p < start+BlockSize {
			off := int(p - start)
			require.GreaterOrEqual(t, off, blockHeaderSize)
			require.LessOrEqual(t, off+8*len(words), BlockSize)
			return i<<blockShift + off
		}
	}
	require.Fail(t, "words outside of the file")
	return 0
}

// checkVerify wants of Verify an answer, and the right one where it is known.
func checkVerify(t *testing.T, s *sound, d *damage, path string) []CorruptionError {
	t.Helper()
	problems, err := Verify(path, ReadOptions{})
	if err != nil {
		require.True(t, len(d.bad) < BlockSize || !s.same(d.bad, 0, offHeaderCRC+4), "only Open may fail: %v", err)
		return nil
	}
	if bytes.Equal(d.bad, s.content) {
		require.Empty(t, problems)
	}
	if len(d.bad) < len(s.content) {
		require.NotEmpty(t, problems)
	}
	return problems
}

// checkLive changes the file under its reader: the damage is undone, then the
// file is shortened. No value is known any more, but nothing may break.
func checkLive(t *testing.T, s *sound, d *damage, r *Reader) {
	t.Helper()
	f, err := os.OpenFile(r.Path(), os.O_RDWR, 0)
	require.NoError(t, err)
	defer f.Close()
	_, err = f.WriteAt(s.content, 0)
	require.NoError(t, err)
	read := func() error {
		return Guard(r.Path(), func() error {
			for _, one := range r.Series() {
				wordsOffset(t, r, one.Words())
				for i := range one.Words() {
					atomic.LoadUint64(&one.Words()[i])
				}
			}
			return nil
		})
	}
	require.NoError(t, r.Refresh())
	require.NoError(t, read())
	if d.shorten < 0 || runtime.GOOS == "windows" {
		return // Windows does not shorten a file that is mapped
	}
	require.NoError(t, f.Truncate(int64(d.shorten)))
	for _, err := range []error{read(), r.Refresh(), read()} {
		if err != nil {
			require.ErrorIs(t, err, ErrCorrupt)
		}
	}
}

// readerSeeds are programs that reach each branch of the parser.
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
		for _, off := range []uint16{offBlockKind, offBlockIndex, offBlockUsed, offBlockUsed + 1, offBlockUsed + 2, offBlockUsed + 7} {
			seed(edit{op: editBlock, b: block, a: off, v: 3})
		}
		seed(edit{op: editBlock, b: block, a: offBlockKind, v: blockMeta})
		seed(edit{op: editBlock, b: block, a: offBlockKind, v: blockCells})
		seed(edit{op: editSwap, a: uint16(block), b: block + 1})
		seed(edit{op: editSwap, a: uint16(block), b: cells})
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
	// Words in a block's header, at its end, behind it.
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
