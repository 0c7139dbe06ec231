//go:build !race

package model

import (
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/multiprom/multiprom/internal/lifetime"
)

// modelRule is the rule of package lifetime in the units of the model.
var modelRule = lifetime.Rule{TTL: hiddenAfter, Guard: guard}

// partsOf returns the parts of a state in the terms of package lifetime.
func partsOf(all []part) (out []lifetime.Part, which []int) {
	for i := range all {
		p := &all[i]
		if p.used && p.state != stateFree {
			out = append(out, lifetime.Part{
				Created: int64(p.created), Active: int64(p.active), Removed: int64(p.removed), Gone: p.state == stateRemoved, Dead: p.dead,
			})
			which = append(which, i)
		}
	}
	return out, which
}

// requireSameView compares what package lifetime says of a state with what the model says.
func requireSameView(t *testing.T, lives *lifetime.Lives, now uint8, all *[parts + 1]part) {
	t.Helper()
	parts, which := partsOf(all[:])
	lives.Divide(modelRule, parts)
	got := lives.Look(int64(now), int64(now))
	v := ttl{}.look(now, all)
	require.Equal(t, v.shown, got.Shown, "at %d: %+v", now, all)
	if v.in == 0 {
		return
	}
	in := uint8(0)
	for i := range parts {
		if got.Has(modelRule, &parts[i]) {
			in |= 1 << which[i]
		}
	}
	require.Equal(t, v.in, in, "at %d: %+v", now, all)
	require.Equal(t, []int64{int64(v.created), int64(v.end)}, []int64{got.Created, got.End}, "at %d: %+v", now, all)
	require.False(t, got.Doubt, "a reader that needs no time")
	for i := range parts {
		spans := [len(all) + 1]span{}
		for j := range all {
			if all[j].used {
				spans[j] = ttl{}.span(&all[j])
			}
		}
		if of := spans[which[i]]; of.from < of.to {
			life, _ := ttl{}.life(spans[:], of)
			got := lives.Of(&parts[i])
			require.Equal(t, []int64{int64(life.from), int64(life.to)}, []int64{got.Created, got.End}, "part %d: %+v", i, all)
		}
	}
}

// TestRule: package lifetime decides as the model does, for random parts.
func TestRule(t *testing.T) {
	var lives lifetime.Lives
	r := rand.New(rand.NewPCG(1, 1))
	shown := 0
	for range 100_000 {
		now := uint8(6 + r.IntN(14))
		var all [parts + 1]part
		for i := range all {
			if r.IntN(4) == 0 {
				continue
			}
			p := &all[i]
			*p = part{used: true, dead: r.IntN(3) == 0, state: stateLive, created: uint8(1 + r.IntN(int(now)))}
			p.active = p.created + uint8(r.IntN(int(now-p.created)+1))
			switch {
			case i < parts && r.IntN(3) == 0:
				p.state, p.removed = stateRemoved, p.active+uint8(r.IntN(int(now-p.active)+1))+1
			case i < parts && r.IntN(12) == 0:
				p.state = stateRemoved // it is being renewed
			}
			p.dead = p.dead || i == parts
		}
		requireSameView(t, &lives, now, &all)
		if v := (ttl{}).look(now, &all); v.shown {
			shown++
		}
	}
	require.Greater(t, shown, 10_000)
}
