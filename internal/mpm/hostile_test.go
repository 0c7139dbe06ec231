package mpm

import (
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/multiprom/multiprom/internal/histogram"
	"github.com/multiprom/multiprom/metric"
)

// TestHostileChanges: a file that says of its changes and its free space what no writer would
// costs the series concerned, and the rest is read.
func TestHostileChanges(t *testing.T) {
	const n = 3000
	name, good := sampleFile(t, n)
	_, start := blockStart(0)
	first := int(start) + int(le.Uint32(good[start:])) // the record of the first series
	second := first + int(le.Uint32(good[first:]))
	put64 := func(off int, v uint64) func([]byte) []byte {
		return func(b []byte) []byte { le.PutUint64(b[off:], v); return b }
	}
	mend := func(b []byte, off int) []byte {
		rec := b[off : off+int(le.Uint32(b[off:]))]
		le.PutUint32(rec[offRecCRC:], recordCRC(rec))
		return b
	}
	for _, tc := range []struct {
		what    string
		corrupt func(b []byte) []byte
		series  int // that are read
		damaged int
	}{
		{"nothing", func(b []byte) []byte { return b }, n, 0},
		{"an odd shape", put64(headerSize+offBlockShape, 7), n, 0},
		{"the largest shape", put64(headerSize+offBlockShape, math.MaxUint64), n, 0},
		{"the largest gen", put64(headerSize+offBlockGen, math.MaxUint64), n, 0},
		{"the largest generation", put64(offGeneration, math.MaxUint64), n, 0},
		{"no lease", put64(offLease, 0), n, 0},
		{"a lease of a nanosecond", put64(offLease, 1), n, 0},
		{"the longest lease", put64(offLease, math.MaxUint64), n, 0},
		{"a reset that never ends", put64(offResets, 1), n, 0},
		{"no features", put64(offFeatures, 0), n, 0},
		{"unknown features", put64(offFeatures, math.MaxUint64), n, 0},
		{"a free record", put32(first+offRecState, stateFree), n - 1, 0},
		{"a free record of another kind", func(b []byte) []byte {
			le.PutUint16(b[first+offRecKind:], kindExemplar)
			return put32(first+offRecState, stateFree)(b)
		}, n - 1, 0},
		{"a free record over the next one", func(b []byte) []byte {
			le.PutUint32(b[first:], uint32(second-first)+le.Uint32(b[second:]))
			return put32(first+offRecState, stateFree)(b)
		}, n - 2, 0},
		{"a free record of no length", func(b []byte) []byte {
			le.PutUint32(b[first:], 0)
			return put32(first+offRecState, stateFree)(b)
		}, n - BlockSize/48, 1},
		{"a free record past the block", func(b []byte) []byte {
			le.PutUint32(b[first:], BlockSize)
			return put32(first+offRecState, stateFree)(b)
		}, n - BlockSize/48, 1},
		{"a free family", put32(int(start)+offRecState, stateFree), 0, n},
		{"words of another series", func(b []byte) []byte {
			copy(b[second+offSerCells:], b[first+offSerCells:first+offSerCells+4])
			return mend(b, second)
		}, n - 1, 1},
		{"words that overlap those of another series", func(b []byte) []byte {
			le.PutUint32(b[second+offSerCells:], le.Uint32(b[first+offSerCells:])+1)
			return mend(b, second)
		}, n - 1, 1},
		{"a removed series with the words of a live one, and no time", func(b []byte) []byte {
			le.PutUint32(b[second+offRecState:], stateRemoved)
			copy(b[second+offSerCells:], b[first+offSerCells:first+offSerCells+4])
			return mend(b, second)
		}, n - 1, 1},
		{"an exemplar of itself", func(b []byte) []byte {
			clear(b[second+minRecord : second+int(le.Uint32(b[second:]))])
			le.PutUint16(b[second+offRecKind:], kindExemplar)
			le.PutUint32(b[second+offExeSeries:], uint32(second/8))
			return mend(b, second)
		}, n - 1, 1}, // it is too short
	} {
		t.Run(tc.what, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), name)
			require.NoError(t, os.WriteFile(path, tc.corrupt(append([]byte(nil), good...)), 0o600))
			problems, err := Verify(path, ReadOptions{})
			require.NoError(t, err)
			require.Equal(t, tc.damaged > 0, len(problems) > 0, "%v", problems)
			for _, gaps := range []int{0, mostGaps} {
				r, err := Open(path, ReadOptions{})
				require.NoError(t, err)
				defer r.Close()
				r.parser.gaps, r.parser.pause = gaps, func(time.Duration) { t.Error("nothing changes") }
				f := follow(t, r)
				for range 3 {
					f.read()
					_, damaged := r.Damaged()
					require.GreaterOrEqual(t, damaged, tc.damaged)
					if tc.damaged == 0 {
						require.Zero(t, damaged)
					}
					list := r.List()
					require.GreaterOrEqual(t, list.Len(), tc.series)
					for i := range list.Len() {
						s := list.At(i)
						require.Equal(t, s.Values()[0], strconv.FormatUint(f.live[list.Position(i)], 10))
					}
				}
			}
		})
	}
}

// TestHostileWriter changes counts and records of a file at random while it is read. Whatever
// it does, each Read ends after a bounded number of walks and keeps within the file, and once
// the file is as before, so is what is read.
func TestHostileWriter(t *testing.T) {
	backings(t, Options{}, func(t *testing.T, s *Store, open func() *Reader) {
		f, err := s.AddSchema(counterSchema("c", "n"))
		require.NoError(t, err)
		const n = 2000
		for i := range n {
			one, err := s.AddSeries(f, []string{strconv.Itoa(i) + strings.Repeat("x", i%40)}, nil)
			require.NoError(t, err)
			one.SetExemplar(0, metric.MakeLabels("id", strconv.Itoa(i)), 1, 1)
		}
		f, err = s.AddSchema(nativeSchema("n", "n"))
		require.NoError(t, err)
		const natives = 200
		for i := range natives {
			one, err := s.AddSeries(f, []string{strconv.Itoa(i)}, nil)
			require.NoError(t, err)
			for k := range 2 {
				one.AddRegion(histogram.Region{Schema: 3, Number: int32(k)})
			}
		}
		before := make([][]uint64, len(s.blocks))
		for i, b := range s.blocks {
			before[i] = append([]uint64(nil), words(b, 0, BlockSize/8)...)
		}
		var stop atomic.Bool
		var wg sync.WaitGroup
		wg.Go(func() {
			r := rand.New(rand.NewPCG(1, 1))
			for !stop.Load() {
				b := s.blocks[r.IntN(len(s.blocks))]
				header := uint64(0)
				if &b[0] == &s.first[0] {
					header = headerSize
				}
				switch r.IntN(4) {
				case 0:
					storeWord(b, header+offBlockShape, r.Uint64N(3))
				case 1:
					storeWord(b, header+offBlockGen, r.Uint64())
				case 2: // a word of a record, or of the words of a series
					storeWord(b, 8*(72+r.Uint64N(blockWords-72)), r.Uint64())
				default: // a state
					storeState(b, 8*(72+r.Uint64N(blockWords-72))+4, 1+r.Uint32N(3))
				}
			}
		})
		r := open()
		pauses := 0
		r.parser.pause = func(time.Duration) { pauses++ }
		read := follow(t, r)
		for range 200 {
			pauses = 0
			now, err := r.Read(read.live, read.removed, read.regions)
			require.LessOrEqual(t, pauses, maxReads*maxPauses)
			if err != nil {
				require.ErrorIs(t, err, ErrStale)
				continue
			}
			read.apply(&now)
			list, regions := r.List(), r.RegionList()
			require.LessOrEqual(t, list.Len()+regions.Len(), len(s.blocks)*blockWords)
		}
		stop.Store(true)
		wg.Wait()
		for i, b := range s.blocks {
			for j, w := range before[i] {
				storeWord(b, uint64(8*j), w)
			}
			header, _ := blockStart(i)
			storeWord(b, header+offBlockGen, math.MaxUint64) // one that no walk has seen
		}
		now := read.read()
		require.Len(t, now.Exemplars, n)
		list := r.List()
		require.Equal(t, map[*metric.Schema]int{r.Schemas()[0]: n, r.Schemas()[1]: natives}, list.Counts())
		require.Len(t, r.Regions(), 2*natives)
		_, damaged := r.Damaged()
		require.Zero(t, damaged)
	})
}

// FuzzKilledWriter is TestKilledAfterEveryStore with other schedules.
func FuzzKilledWriter(f *testing.F) {
	f.Add(uint64(1), uint8(40))
	f.Fuzz(func(t *testing.T, seed uint64, steps uint8) {
		c := newCrashing(t, seed)
		for range steps % 48 { // an input must not take long
			c.step()
		}
	})
}
