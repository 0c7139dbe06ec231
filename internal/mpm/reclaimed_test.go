package mpm

import (
	"math/rand/v2"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// TestReclaimedWhileItIsRead: what becomes free after its values were read, and before its
// state was looked at again, is not in the reading; all other removed series are, with their
// own words. No value is read again: beside a fast writer that would have no end.
func TestReclaimedWhileItIsRead(t *testing.T) {
	for seed := range uint64(100) {
		random := rand.New(rand.NewPCG(seed, 3))
		now := time.Duration(0)
		s := NewHeap(Options{Elapsed: func() time.Duration { return now }})
		var families []*SchemaRef
		for _, schema := range churnSchemas() {
			f, err := s.AddSchema(schema)
			require.NoError(t, err)
			families = append(families, f)
		}
		words := map[string]uint64{} // of each series
		var all []*Series
		set := func(one *Series, label string, word uint64) {
			words[label] = word
			if one.ref.schema.Timed() {
				StoreRecent(one.Words(), word, int64(word))
				return
			}
			for i := range one.Words() {
				storeWord(wordBytes(one.Words()), uint64(8*i), word)
			}
		}
		remove := func(n int) {
			for range n {
				label := strconv.Itoa(len(all))
				one, err := s.AddSeries(families[random.IntN(len(families))], []string{label}, nil)
				require.NoError(t, err)
				set(one, label, uint64(1000+len(all)))
				rest, _ := one.remove()
				s.release(rest)
				all = append(all, one)
			}
		}
		r := s.Reader(nil)
		reads := follow(t, r)
		remove(random.IntN(60))
		reads.read()
		for i, one := range all { // by who holds it
			if random.IntN(3) == 0 {
				set(one, strconv.Itoa(i), uint64(500_000+i))
			}
		}
		remove(random.IntN(60))

		var reading Reading
		require.NoError(t, r.walk())
		p := &r.parser
		p.live.plan()
		p.removed.plan()
		reading.Removed.Changes, reading.Removed.Values = r.changes(nil, reads.removed, p.removed.spans), r.appendValues(nil, p.removed.fresh)
		now += time.Hour
		remove(random.IntN(40)) // in the places of the first ones
		reading.Removed.Changes, reading.Removed.Values = p.removed.without(p.recheck(), reading.Removed.Changes, reading.Removed.Values)
		r.commit(&reading)

		list := r.RemovedList()
		values := reading.Removed.Apply(reads.removed, &list)
		for i := range list.Len() {
			if !list.Has(i) {
				continue
			}
			one := list.At(i)
			for _, w := range values[list.Position(i):][:list.ValuesOf(i)] {
				require.Equal(t, words[one.Values()[0]], w, "seed %d, series %s", seed, one.Values()[0])
			}
		}
	}
}

// TestReplacedAtOnce: series that take the places of as many others fill their gaps. The
// numbers do not begin again, which would have everything of the file placed again.
func TestReplacedAtOnce(t *testing.T) {
	const series = 5000
	now := time.Duration(0)
	s := NewHeap(Options{Elapsed: func() time.Duration { return now }})
	f, err := s.AddSchema(churnSchemas()[0])
	require.NoError(t, err)
	reads := follow(t, s.Reader(nil))
	for round := range 4 {
		for i := range series {
			one, err := s.AddSeries(f, []string{strconv.Itoa(round) + "-" + strconv.Itoa(i)}, nil)
			require.NoError(t, err)
			rest, _ := one.remove()
			s.release(rest)
		}
		reading := reads.read()
		require.Equal(t, round == 0, reading.Removed.Reset)
		list := reads.r.RemovedList()
		require.Equal(t, series, list.Len())
		now += time.Hour
	}
}
