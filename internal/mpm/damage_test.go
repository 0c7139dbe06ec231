package mpm

import (
	"bytes"
	"fmt"
	"os"
	"runtime"
	"slices"
	"sync/atomic"
	"testing"
	"unsafe"

	"github.com/stretchr/testify/require"

	"github.com/multiprom/multiprom/internal/openmetrics"
)

// An edit is 8 bytes of the fuzzed input. Numbers are taken modulo the valid range.
type edit struct {
	op, v byte
	a     uint16
	b     uint32
}

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
	forged  bool // a checksum was corrected, so records may say what no writer wrote
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
		return // what follows may be after the end
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
			if x, _ := e.Load(); x != nil && openmetrics.CheckExemplar(x.Labels) != nil {
				return fmt.Errorf("an exemplar %v of series %d", x, e.Series)
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
	if s.same(d.bad, offLease, 8) {
		requireValid(t, r, true)
	}
	checkLive(t, s, d, r)
}

// checkSeries compares what r returns with the damaged file. It returns the keys, and the
// words of the file that belong to a series.
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
	d.checkRegions(t, s, r, take)
	return returned, taken
}

// checkRegions compares the regions that r returns with the damaged file.
func (d *damage) checkRegions(t *testing.T, s *sound, r *Reader, take func(words, n int)) {
	t.Helper()
	live, removed := r.List(), r.RemovedList()
	for _, one := range r.Regions() {
		at := wordsOffset(t, r, one.Counts[:])
		b := d.checkBlock(t, at>>blockShift, blockCells)
		require.LessOrEqual(t, uint64(at&(BlockSize-1)+cacheLine), le.Uint64(b[offBlockUsed:]), "words that were not published")
		require.Zero(t, at%cacheLine)
		take(at, len(one.Counts))
		of := &live
		if one.Removed {
			of = &removed
		}
		owner := of.At(one.Series)
		require.NotNil(t, owner.Schema.Native)
		require.LessOrEqual(t, one.Schema, owner.Schema.Native.Schema)
		if want, known := s.regions[at]; !d.forged {
			require.True(t, known, "a region that was never written: %+v of %s", one, seriesKey(&owner))
			require.Equal(t, want.series, seriesKey(&owner))
			require.Equal(t, want.Number, one.Number)
		}
	}
}

// checkBlock returns the block's header, which must have that kind and the block's number.
func (d *damage) checkBlock(t *testing.T, block int, kind uint32) []byte {
	header, _ := blockStart(block)
	b := d.bad[block<<blockShift+int(header):]
	require.Equal(t, kind, le.Uint32(b[offBlockKind:]))
	require.EqualValues(t, block, le.Uint32(b[offBlockIndex:]), "a block of another number")
	return b
}

// wordsOffset returns the offset of the words in the file. It fails if they are not within
// one of its blocks.
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

// checkVerify checks that Verify returns, with the right result if it is known.
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

// checkLive changes the file while a reader uses it: it undoes the damage, then truncates the
// file. The values are unknown then, but nothing may break.
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
		return // Windows does not truncate a mapped file
	}
	require.NoError(t, f.Truncate(int64(d.shorten)))
	for _, err := range []error{read(), r.Refresh(), read()} {
		if err != nil {
			require.ErrorIs(t, err, ErrCorrupt)
		}
	}
}
