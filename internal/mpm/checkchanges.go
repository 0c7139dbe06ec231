package mpm

import (
	"bytes"
	"fmt"
	"math"
	"time"

	"github.com/multiprom/multiprom/internal/histogram"
	"github.com/multiprom/multiprom/metric"
)

// since returns what the writer has changed against the rules since an earlier copy.
func (s *fileCopy) since(old *fileCopy) (problems []CorruptionError) {
	fail := func(off int, format string, args ...any) {
		problems = append(problems, CorruptionError{Offset: int64(off), Reason: fmt.Sprintf(format, args...)})
	}
	if old.unlocked() && s.unlocked() {
		fail(offLiveness, "the process lives, but does not hold its lock: readers take it for dead (right only after exec)")
	}
	if !bytes.Equal(s.b[:256], old.b[:256]) {
		fail(0, "the first 256 bytes have changed")
	}
	for _, off := range []int{offBlocks, offGeneration, offInvalid, offOverflow, offFallback, offDiscarded, offResets} {
		if s.word(off) < old.word(off) {
			fail(off, "it fell from %d to %d", old.word(off), s.word(off))
		}
	}
	for n := range min(int(old.word(offBlocks)), len(s.b)>>blockShift) {
		header, _ := blockStart(n)
		at := n<<blockShift + int(header)
		before, now := old.b[n<<blockShift:][:BlockSize], s.b[n<<blockShift:][:BlockSize]
		word := func(b []byte, off uint64) uint64 { return le.Uint64(b[header+off:]) }
		if le.Uint64(now[header:]) != le.Uint64(before[header:]) {
			fail(at, "kind or number of a block has changed")
		}
		for _, off := range []uint64{offBlockUsed, offBlockGen, offBlockShape} {
			if word(now, off) < word(before, off) {
				fail(at+int(off), "it fell from %d to %d", word(before, off), word(now, off))
			}
		}
		quiet := word(now, offBlockGen) == word(before, offBlockGen) && word(now, offBlockShape) == word(before, offBlockShape)
		if quiet && le.Uint32(before[header+offBlockKind:]) == blockMeta {
			old.records(n, func(at int, rec []byte) {
				if !bytes.Equal(still(rec), still(s.b[at:at+len(rec)])) {
					fail(at, "a published record has changed, but gen of its block has not")
				}
			})
		}
	}
	s.checkCreated(old, fail)
	s.checkLease(old, fail)
	if s.word(offResets) != old.word(offResets) {
		return problems
	}
	regions := map[[2]int64]*copiedRegion{}
	for i := range old.regions {
		x := &old.regions[i]
		regions[[2]int64{x.offset, x.created}] = x
	}
	for _, x := range s.regions {
		was := regions[[2]int64{x.offset, x.created}]
		for i := range x.counts {
			if was != nil && x.counts[i] < was.counts[i] {
				fail(int(x.offset), "count %d of a region fell from %d to %d", i, was.counts[i], x.counts[i])
			}
		}
	}
	known := map[[2]int64]copiedSeries{}
	for _, x := range old.series {
		known[[2]int64{x.offset, x.created}] = x
	}
	for _, x := range s.series {
		was, ok := known[[2]int64{x.offset, x.created}]
		for i := range was.words {
			if ok && falls(x.schema, i, was.words[i], x.words[i]) {
				fail(int(x.offset), "%s: word %d fell from %d to %d", x.schema.Name, i, was.words[i], x.words[i])
			}
		}
	}
	return problems
}

// eachSeries calls visit with each series record, live or removed.
func (s *fileCopy) eachSeries(visit func(at int, rec []byte)) {
	for n := range min(int(s.word(offBlocks)), len(s.b)>>blockShift) {
		header, _ := blockStart(n)
		if le.Uint32(s.b[n<<blockShift+int(header)+offBlockKind:]) != blockMeta {
			continue
		}
		s.records(n, func(at int, rec []byte) {
			state := le.Uint32(rec[offRecState:])
			if isSeries(le.Uint16(rec[offRecKind:])) && len(rec) >= offSerBody && (state == stateLive || state == stateRemoved) {
				visit(at, rec)
			}
		})
	}
}

// checkCreated finds series that have come since and were not created after all others. The
// list of an earlier copy was read before its bytes, so it has no series that is newer than
// one that the bytes do not have.
func (s *fileCopy) checkCreated(old *fileCopy, fail func(int, string, ...any)) {
	newest, known := int64(0), map[[2]int64]bool{}
	for _, x := range old.series {
		newest = max(newest, x.created)
	}
	id := func(at int, rec []byte) [2]int64 { return [2]int64{int64(at), int64(le.Uint64(rec[offSerCreated:]))} }
	old.eachSeries(func(at int, rec []byte) { known[id(at, rec)] = true })
	s.eachSeries(func(at int, rec []byte) {
		if x := id(at, rec); !known[x] && x[1] <= newest {
			fail(at+offSerCreated, "the created time of a new series is not after those of all others")
		}
	})
}

// checkLease finds space of series that were live, which was given away too early.
func (s *fileCopy) checkLease(old *fileCopy, fail func(int, string, ...any)) {
	lease := time.Duration(min(s.word(offLease), math.MaxInt64))
	if s.ended.Sub(old.began) >= lease {
		return
	}
	old.eachSeries(func(at int, rec []byte) {
		now := s.b[at:][:len(rec)]
		state := le.Uint32(now[offRecState:])
		same := bytes.Equal(now[:offRecCRC], rec[:offRecCRC]) && bytes.Equal(now[offSerFamily:], rec[offSerFamily:])
		if le.Uint32(rec[offRecState:]) == stateLive && !(same && (state == stateLive || state == stateRemoved)) {
			fail(at, "the space of a removed series was used again before lease (%v) was over", lease)
		}
	})
}

// still returns a copy of a record in which words that change without gen are zero.
func still(rec []byte) []byte {
	rec = bytes.Clone(rec)
	switch le.Uint16(rec[offRecKind:]) {
	case kindSeries, kindNativeSeries:
		if len(rec) >= offSerFamily {
			clear(rec[offSerActive:offSerFamily])
		}
	case kindExemplar:
		clear(rec[min(offExeSequence, len(rec)):])
	}
	return rec
}

// falls reports whether a word that only grows has fallen.
func falls(schema *metric.Schema, i int, before, now uint64) bool {
	switch schema.Type {
	case metric.Counter:
		if i == CellCounterFloat {
			return math.Float64frombits(now) < math.Float64frombits(before)
		}
		return i == CellCounterInts && now < before
	case metric.Histogram:
		if schema.Native != nil {
			return i != histogram.CellSum && now < before
		}
		return i >= CellHistogramBuckets && i < CellHistogramBuckets+len(schema.Bounds)+1 && now < before
	case metric.Summary:
		return i == CellSummaryCount && now < before
	}
	return false
}
