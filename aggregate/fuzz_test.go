package aggregate

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/multiprom/multiprom/internal/mpm"
	"github.com/multiprom/multiprom/metric"
)

// choices makes a fuzzer's bytes a source of random numbers, one byte for
// each, so that changing one changes one decision.
type choices struct {
	bytes []byte
	rest  rand.PCG
}

func (c *choices) Uint64() uint64 {
	if len(c.bytes) == 0 {
		return c.rest.Uint64()
	}
	b := uint64(c.bytes[0])
	c.bytes = c.bytes[1:]
	return b * 0x0101010101010101
}

// FuzzMerge lets the fuzzer choose processes, what they define and count, who of
// them is dead and which of the dead are compacted, and when: the view is that of
// the reference merge.
func FuzzMerge(f *testing.F) {
	for seed := range uint64(30) {
		r := rand.New(rand.NewPCG(seed, 3))
		data := make([]byte, 400)
		for i := range data {
			data[i] = byte(r.Uint64())
		}
		f.Add(data)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		r := rand.New(&choices{bytes: data, rest: *rand.NewPCG(1, 1)})
		var all []given
		var files []*file
		arc := emptyArchive()
		var view table
		view.init("pid", &mpm.SymbolTable{})
		check := func() {
			view.plan(files, arc, math.MaxInt64)
			view.merge(files, math.MaxInt64)
			require.Equal(t, reference(all), flatten(view.families(false)))
		}
		for p := range 1 + r.IntN(5) {
			live, name := r.IntN(3) > 0, fmt.Sprintf("p%d", p)
			store := mpm.NewHeap(mpm.Options{Label: name, Now: func() time.Time { return time.Unix(int64(p), 0) }})
			all = append(all, randomProcess(t, r, &process{store, t}, name, live)...)
			h := store.Header()
			one := newFile(h.FileName(), store.Reader(view.symbols))
			require.NoError(t, one.read())
			one.live, one.dead = live, !live
			files = append(files, one)
			if r.IntN(2) == 0 {
				check()
			}
			if r.IntN(2) == 0 {
				files, arc = compactInMemory(t, &view, files, arc)
			}
		}
		check()
	})
}

func emptyArchive() *archived { return &archived{Archive: &mpm.Archive{}} }

// compactInMemory compacts the dead as a pass does, without a directory.
func compactInMemory(t *testing.T, view *table, files []*file, arc *archived) (rest []*file, _ *archived) {
	sum, err := newArchiver(arc.Archive, nil, 0)
	require.NoError(t, err)
	for _, f := range files {
		if !f.dead {
			rest = append(rest, f)
			continue
		}
		require.NoError(t, sum.add(f, time.Unix(9, 0)))
		view.forget(f)
	}
	a := sum.archive(time.Unix(9, 0), sum.prune(time.Unix(9, 0), NoLimit, NoLimit))
	a.Generation = arc.Generation + 1
	arc, err = newArchived(a)
	require.NoError(t, err)
	return rest, arc
}

// FuzzUnpack: whatever an archive's words are, unpacking ends, and what it
// takes packs to something of the same value.
func FuzzUnpack(f *testing.F) {
	for i := range 12 {
		f.Add(byte(i), []byte("0123456789abcdef0123456789abcdef"))
	}
	f.Fuzz(func(t *testing.T, which byte, data []byte) {
		schemas := packedSchemas()
		s := schemas[int(which)%len(schemas)]
		var words []uint64
		for ; len(data) >= 8; data = data[8:] {
			w := uint64(0)
			for _, b := range data[:8] {
				w = w<<8 | uint64(b)
			}
			words = append(words, w)
		}
		a, err := unpack(s, words, nil)
		if err != nil {
			return
		}
		b, err := unpack(s, a.pack(s), nil)
		require.NoError(t, err)
		same := func(x, y float64) {
			require.Equal(t, math.Float64bits(x), math.Float64bits(y))
		}
		if !a.sum.odd {
			same(a.sum.round(), b.sum.round())
			same(a.counter(), b.counter())
		}
		require.Equal(t, a.counts, b.counts)
		require.Equal(t, a.set, b.set)
		require.Equal(t, a.stateOf(s), b.stateOf(s))
	})
}

// packedSchemas has a schema of every layout in the archive.
func packedSchemas() []*metric.Schema {
	out := []*metric.Schema{
		counter("c"), histogram("h", 1, 2), {Name: "s", Type: metric.Summary}, {Name: "i", Type: metric.Info},
		{Name: "e", Type: metric.StateSet, States: []string{"a", "b"}},
		{Name: "e", Type: metric.StateSet, Mode: metric.ModeMostRecent, States: []string{"a", "b"}},
	}
	for m := metric.ModeAll; m.Valid(); m++ {
		if !m.Live() {
			out = append(out, gauge("g", m))
		}
	}
	return out
}
