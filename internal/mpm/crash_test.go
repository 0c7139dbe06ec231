package mpm

import (
	"bytes"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/multiprom/multiprom/internal/histogram"
	"github.com/multiprom/multiprom/metric"
)

// frozen is the source of a reader of a store's blocks, or of copies of them, without a lock.
type frozen struct{ all func() [][]byte }

func (f frozen) blocks(int) ([][]byte, error)  { return f.all(), nil }
func (f frozen) locked(Liveness) (bool, error) { return false, nil }
func (f frozen) close() error                  { return nil }

// crashing is a store, and what a reader must find in its file after each store.
type crashing struct {
	t       *testing.T
	r       *rand.Rand
	s       *Store
	now     time.Duration
	schemas []*SchemaRef
	series  map[string]*crashingSeries // by label value
	atWork  map[string]bool            // series that may be there or not
	warm    *follower                  // a reader that looks after every store
	path    string                     // for copies of the file
	stores  int
	steps   map[string]int        // stores, by the functions that made them
	lines   map[*regionWords]bool // of regions
	again   int                   // how often one was used again
	next    int
}

type crashingSeries struct {
	*Series
	id       uint64 // what its words hold
	gone     bool   // removed, or expired
	expired  bool
	rest     removedSeries
	released bool // and its handle is gone
	regions  int
}

func newCrashing(t *testing.T, seed uint64) *crashing {
	c := &crashing{t: t, r: rand.New(rand.NewPCG(seed, 1)), series: map[string]*crashingSeries{}, atWork: map[string]bool{}, lines: map[*regionWords]bool{}, steps: map[string]int{}}
	c.s = NewHeap(Options{KeepRemoved: 10, Elapsed: func() time.Duration { return c.now }})
	for _, schema := range append(everyType(), nativeSchemas()...) {
		schema.Const, schema.Labels = nil, []string{"l"}
		if seed%2 == 0 && schema.Type != metric.Info {
			schema.TTL = time.Minute
		}
		if schema.Name == "s" || schema.Name == "c" {
			schema.Labels = []string{"l", "m"}
		}
		f, err := c.s.AddSchema(schema)
		require.NoError(t, err)
		c.schemas = append(c.schemas, f)
	}
	r := newReader(c.s.header, "", frozen{func() [][]byte { return c.s.blocks }}, nil)
	r.elapsed = func() time.Duration { return 0 }
	r.parser.gaps, r.parser.pause = int(seed%2)*mostGaps, func(time.Duration) { t.Error("there is nobody to wait for") }
	c.warm = follow(t, r)
	c.path = filepath.Join(t.TempDir(), c.s.header.FileName())
	c.s.stored = c.check
	return c
}

// found is what a reader has: the words of each series, by label value.
func found(list SeriesList, values []uint64) map[string][]uint64 {
	out := map[string][]uint64{}
	for i := range list.Len() {
		if !list.Has(i) {
			continue
		}
		s := list.At(i)
		out[s.Values()[0]] = values[list.Position(i):][:list.ValuesOf(i)]
	}
	return out
}

// check looks at the file as if the writer had been killed after the last store.
func (c *crashing) check() {
	c.stores++
	c.steps[callers()]++
	var copied [][]byte
	for _, b := range c.s.blocks {
		block := wordBytes(make([]uint64, BlockSize/8))
		copy(block, b)
		copied = append(copied, block)
	}
	copied = copied[:loadWord(copied[0], offBlocks)]
	r := newReader(c.s.header, "", frozen{func() [][]byte { return copied }}, nil)
	r.elapsed = c.warm.r.elapsed
	r.parser.pause = func(time.Duration) { c.t.Fatal("a file that does not change settles at once") }
	cold := follow(c.t, r)
	for _, f := range []*follower{cold, c.warm} {
		f.read()
		damage, n := f.r.Damaged()
		require.Zero(c.t, n, damage)
		require.Zero(c.t, f.r.Unknown())
		require.Zero(c.t, f.r.Unsettled())
		c.compare(f)
	}
	if c.stores%64 == 0 {
		c.verify(copied)
	}
}

// compare compares what a reader has with what it must have.
func (c *crashing) compare(f *follower) {
	live, removed := found(f.r.List(), f.live), found(f.r.RemovedList(), f.removed)
	regions := regionsByLabel(f)
	for label, s := range c.series {
		in := live
		if s.gone {
			in = removed
		}
		words, ok := in[label]
		if c.atWork[label] || s.released && c.now-s.rest.removed >= c.s.opts.KeepRemoved {
			delete(live, label)
			delete(removed, label)
			delete(regions, label)
			continue
		}
		require.Len(c.t, regions[label], s.regions, "regions of series %.20q", label)
		for _, region := range regions[label] {
			for _, w := range region {
				require.True(c.t, w == s.id, "a region of series %.20q has the word %x, not %x", label, w, s.id)
			}
		}
		delete(regions, label)
		delete(in, label)
		require.True(c.t, ok, "series %.20q is missing: %+v, warm %t, after store %d", label, s, f == c.warm, c.stores)
		for _, w := range words {
			require.True(c.t, w == s.id, "series %.20q has the word %x, not %x", label, w, s.id)
		}
	}
	for label := range c.atWork {
		delete(live, label)
		delete(removed, label)
		delete(regions, label)
	}
	require.Empty(c.t, regions, "regions of unknown series")
	require.Empty(c.t, live, "unknown series")
	require.Empty(c.t, removed, "unknown removed series")
	for label, id := range exemplarsByLabel(f) {
		require.True(c.t, strings.HasPrefix(label, id+"-"), "%q has the exemplar %s", label, id)
	}
}

// verify checks a copy as a file.
func (c *crashing) verify(copied [][]byte) {
	h := c.s.header
	h.Liveness = LivenessNone
	copied[0] = bytes.Clone(copied[0])
	h.encode(copied[0])
	require.NoError(c.t, os.WriteFile(c.path, bytes.Join(copied, nil), 0o600))
	problems, err := Verify(c.path, ReadOptions{})
	require.NoError(c.t, err)
	require.Empty(c.t, problems)
}

// regionsByLabel returns the counts of the regions of each series.
func regionsByLabel(f *follower) map[string][][]uint64 {
	out, list := map[string][][]uint64{}, f.r.RegionList()
	live, removed := f.r.List(), f.r.RemovedList()
	for i := range list.Len() {
		if !list.Has(i) {
			continue
		}
		of, n := &live, int(f.owners[i])
		if n < 0 {
			of, n = &removed, ^n
		}
		owner := of.At(n)
		label := owner.Values()[0]
		out[label] = append(out[label], f.regions[8*i:][:8])
	}
	return out
}

// exemplarsByLabel returns the id of the exemplar of each series.
func exemplarsByLabel(f *follower) map[string]string {
	out, list := map[string]string{}, f.r.List()
	for _, e := range f.last.Exemplars {
		if e.Exemplar != nil {
			s := list.At(e.Series)
			out[s.Values()[0]] = e.Exemplar.Labels[0].Value
		}
	}
	return out
}

// step does something that changes the file.
func (c *crashing) step() {
	label := ""
	if all := slices.Sorted(maps.Keys(c.series)); len(all) > 0 {
		label = all[c.r.IntN(len(all))]
	}
	s := c.series[label]
	switch op := c.r.IntN(14); {
	case s == nil || op < 4:
		c.add()
	case op < 6 && !s.gone:
		c.atWork[label] = true
		s.rest, s.gone = s.remove()
	case op < 8 && s.gone && !s.released:
		s.released = true
		c.s.release(s.rest) // as the garbage collector does
	case op == 8 && !s.gone:
		id, _, _ := strings.Cut(label, "-")
		s.SetExemplar(c.r.IntN(2), metric.MakeLabels("id", id, "more", strings.Repeat("x", c.r.IntN(100))), 1, 1)
	case op == 9 && !s.gone:
		c.atWork[label] = true
		s.Restart(time.Now(), func(w []uint64) { c.set(s) })
		c.setRegions(s)
	case op == 10 && !s.gone:
		c.atWork[label] = true
		s.rest, s.gone, s.expired = s.Expire(time.Now().UnixNano()).removedSeries, true, true
	case op == 11 && s.expired && !s.released:
		c.atWork[label] = true
		words := s.Words()
		old := make([]uint64, len(s.AllWords().AppendTo(nil)))
		if cell := floatCell(s.ref.schema); cell >= 0 {
			// So that all is as it was after old was subtracted: from the float nothing, as it is 0.
			for i := range old {
				if i != cell {
					old[i] = 7
				}
			}
			for i := range words {
				atomic.AddUint64(&words[i], old[i])
			}
			for region := range s.regionList().words() {
				for i := range region {
					atomic.AddUint64(&region[i], 7)
				}
			}
		}
		s.Renew(c.s.Moment(), old)
		s.gone, s.expired = false, false
	case op > 11 && !s.released && s.ref.schema.Native != nil: // a removed one may get regions too
		c.atWork[label] = true
		line := s.AddRegion(histogram.Region{Schema: -4, Negative: s.regions%2 == 1, Number: int32(c.r.IntN(16) - 8)})
		if s.regions++; c.lines[line] {
			c.again++
		}
		c.lines[line] = true
		c.setRegions(s)
	default:
		c.now += time.Duration(c.r.IntN(8))
	}
	clear(c.atWork)
	queued := map[wordOffset]bool{}
	for _, r := range c.s.queue.all[c.s.queue.next:] {
		queued[r.record] = true
	}
	for label, s := range c.series { // those that were reclaimed
		if s.released && !queued[s.at.record] {
			delete(c.series, label)
		}
	}
}

func (c *crashing) add() {
	f := c.schemas[c.r.IntN(len(c.schemas))]
	c.next++
	n := []int{0, 8, 16, 24, c.r.IntN(200), c.r.IntN(4000)}[c.r.IntN(6)]
	label := fmt.Sprint(c.next, "-", strings.Repeat("x", n))
	values := make([]string, len(f.schema.Labels))
	values[0] = label
	c.atWork[label] = true
	s, err := c.s.AddSeries(f, values, nil)
	require.NoError(c.t, err)
	one := &crashingSeries{Series: s, id: uint64(c.next)}
	c.set(one)
	c.series[label] = one
}

// set gives all words of a series its id.
func (c *crashing) set(s *crashingSeries) {
	w := s.Words()
	if s.ref.schema.Timed() {
		StoreRecent(w, s.id, int64(s.id))
		return
	}
	for i := range w {
		atomic.StoreUint64(&w[i], s.id)
	}
}

// setRegions gives all words of the regions of a series its id.
func (c *crashing) setRegions(s *crashingSeries) {
	for region := range s.regionList().words() {
		for i := range region {
			atomic.StoreUint64(&region[i], s.id)
		}
	}
}

// TestKilledAfterEveryStore copies the file after every store of a writer that adds and
// removes series, and has them expire and come back, as a SIGKILL would leave it. No copy is damaged, and only the series that
// the writer was at may be missing. A reader that follows store by store sees the same.
func TestKilledAfterEveryStore(t *testing.T) {
	schedules := 2
	if n, err := strconv.Atoi(os.Getenv("MULTIPROM_SCHEDULES")); err == nil {
		schedules = n
	}
	total, moves, again, steps := 0, uint64(0), 0, []string(nil)
	for seed := range schedules {
		c := newCrashing(t, uint64(seed))
		for range 400 {
			c.step()
		}
		total += c.stores
		again += c.again
		steps = slices.AppendSeq(steps, maps.Keys(c.steps))
		for i, b := range c.s.blocks {
			header, _ := blockStart(i)
			moves += loadWord(b, header+offBlockShape) / 2
		}
	}
	t.Logf("%d copies, records moved their beginnings %d times, %d lines of regions were used again", total, moves, again)
	require.Greater(t, total, 500*schedules)
	require.Greater(t, moves, uint64(10*schedules))
	require.Positive(t, again)
	for what, by := range regionSteps {
		require.True(t, slices.ContainsFunc(steps, regexp.MustCompile(by).MatchString), "no store %s was followed by a kill", what)
	}
}

// regionSteps are the stores of the life of a region (docs/format.md, "Native histograms"), and
// which functions make them, the innermost last.
var regionSteps = map[string]string{
	"that publishes new words":                 "AddRegion allocLine publish",
	"that sets words to 0 that are used again": "AddRegion allocLine hook",
	"that publishes a record after the others": "AddRegion addRecord publish",
	"that publishes a record in free space":    "AddRegion addRecord fill put",
	"that makes a record free":                 "makeFree freeRegions freeRecord",
	"that a reset makes to a word":             "Restart zero",
}

// callers returns the names of the functions that have made a store, the innermost last.
func callers() string {
	var pcs [32]uintptr
	frames := runtime.CallersFrames(pcs[:runtime.Callers(3, pcs[:])])
	var names []string
	for {
		f, more := frames.Next()
		name := f.Function[strings.LastIndexByte(f.Function, '.')+1:]
		if name == "step" || !more {
			break
		}
		names = append(names, name)
	}
	slices.Reverse(names)
	return strings.Join(names, " ")
}
