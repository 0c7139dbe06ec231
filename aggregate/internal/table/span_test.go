package table

import (
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestSpansLeadAsTheyWereTold: each series leads to its own row, and its values are where they
// are in the file, in whatever order the series get their rows.
func TestSpansLeadAsTheyWereTold(t *testing.T) {
	type place struct {
		to     *target // nil if the series was left out
		number int32
	}
	for seed := range uint64(300) {
		r := rand.New(rand.NewPCG(seed, 1))
		var targets []*target
		for _, size := range []int{2, 1, 5} {
			targets = append(targets, &target{family: &family{}, size: size})
		}
		var p spans
		var want []place
		to, next := targets[0], int32(0)
		for range 1 + r.IntN(300) {
			switch r.IntN(12 + r.IntN(60)) {
			case 0:
				to = targets[r.IntN(len(targets))]
			case 1:
				next = int32(r.IntN(900))
			case 2:
				want = append(want, place{})
				p.next(to)
				continue
			case 3, 4:
				want = append(want, place{to, nowhere})
				p.place(to, row{})
				continue
			}
			p.lead(to, next)
			p.next(to)
			want = append(want, place{to, next})
			next = (next + 1) % 1000
		}
		p.trim()
		for range r.IntN(2) * r.IntN(100) { // some go, and others take their numbers
			i := r.IntN(len(want) + 1)
			switch {
			case i == len(want):
				p.lead(to, next)
				p.next(to)
				want = append(want, place{to, next})
				next++
			case want[i].to != nil && want[i].number != nowhere:
				require.Equal(t, row{want[i].to.family, want[i].number}, p.vacate(i))
				want[i].number = nowhere
			case want[i].to != nil:
				next++
				p.fill(i, next)
				want[i].number = next
			}
		}
		series, at := 0, 0
		for k := range p.all {
			s := &p.all[k]
			for ; series < int(s.series); series++ {
				require.Nil(t, want[series].to, "seed %d, series %d", seed, series)
			}
			require.Positive(t, s.n)
			for i := range int(s.n) {
				require.Equal(t, want[series], place{s.to, p.row(s, i)}, "seed %d, series %d", seed, series)
				series++
			}
			require.GreaterOrEqual(t, int(s.at), at)
			at = s.end()
		}
		require.Equal(t, len(want), p.planned)
		for i, w := range want {
			if w.to == nil || w.number == nowhere {
				require.Equal(t, row{}, p.placeOf(i))
			} else {
				require.Equal(t, row{w.to.family, w.number}, p.placeOf(i))
			}
		}
		var met []int
		p.each(func(s row, series int) {
			require.Equal(t, s, row{want[series].to.family, want[series].number})
			met = append(met, series)
		})
		require.True(t, slices.IsSorted(met), "in the order of the file")
		placed := slices.DeleteFunc(want, func(w place) bool { return w.to == nil || w.number == nowhere })
		require.Len(t, slices.Compact(met), len(placed), "each once")
	}
}

// TestOrderAfterDisorder: after some series out of order, series in order are one span again,
// which needs no memory for each of them.
func TestOrderAfterDisorder(t *testing.T) {
	const series = 10_000
	to := &target{family: &family{refs: make([]int32, series)}, size: 2}
	var p spans
	for _, n := range []int32{7, 3, 5} {
		p.lead(to, n)
		p.next(to)
	}
	for n := int32(10); n < series; n++ {
		p.lead(to, n)
		p.next(to)
	}
	p.trim()
	require.LessOrEqual(t, len(p.rows), shortSpan)
	require.LessOrEqual(t, len(p.all), 3)
	for i := 3; i < p.planned; i++ {
		require.Equal(t, int32(i+7), p.placeOf(i).number)
	}
}
