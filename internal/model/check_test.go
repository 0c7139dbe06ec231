//go:build !race

package model

import (
	"fmt"
	"hash/maphash"
	"maps"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// mostStates bounds the memory of an exploration, to a few gigabytes.
const mostStates = 12_000_000

// system is what the checker explores. Its states are values without pointers.
type system[S comparable] interface {
	// starts returns the states in which the system may begin.
	starts() []S
	// steps calls step with each thing that may happen in a state: who does it, what it is,
	// and the state after it.
	steps(s S, step func(who, what string, next S))
	// broken names the invariant that a state breaks, "" if none.
	broken(s S) string
}

// result is what an exploration has found.
type result struct {
	states int
	broken string         // the first invariant that does not hold, "" if all do
	trace  []string       // the shortest way there
	taken  map[string]int // how often each step was taken
}

func (r result) String() string {
	return strings.Join(append(slices.Clone(r.trace), "broken: "+r.broken), "\n")
}

// explore visits the states of a system, the nearest first, until one breaks an invariant or
// none is left. It is exact: states are compared, and not only their hashes.
func explore[S comparable](sys system[S]) result {
	e := explorer[S]{sys: sys, seed: maphash.MakeSeed(), slots: make([]uint32, 1<<12)}
	for _, s := range sys.starts() {
		e.visit(s, -1)
	}
	taken := map[string]int{}
	for at := 0; at < len(e.states); at++ {
		if len(e.states) > mostStates {
			return result{len(e.states), "there are too many states: make the system smaller", nil, taken}
		}
		s := e.states[at]
		if why := sys.broken(s); why != "" {
			return result{len(e.states), why, e.trace(at), taken}
		}
		sys.steps(s, func(_, what string, next S) {
			taken[what]++
			e.visit(next, at)
		})
	}
	return result{states: len(e.states), taken: taken}
}

// explorer holds the visited states, in the order in which they were met.
type explorer[S comparable] struct {
	sys    system[S]
	seed   maphash.Seed
	states []S
	from   []int32  // the state from which each was met first, -1 for a start
	slots  []uint32 // an open-addressed table of numbers of states, plus 1
}

// visit takes a state down, if it is a new one.
func (e *explorer[S]) visit(s S, from int) {
	if 2*len(e.states) >= len(e.slots) {
		e.slots = make([]uint32, 4*len(e.slots))
		for i, t := range e.states {
			*e.slot(t) = uint32(i + 1)
		}
	}
	if slot := e.slot(s); *slot == 0 {
		e.states, e.from = append(e.states, s), append(e.from, int32(from))
		*slot = uint32(len(e.states))
	}
}

// slot returns where a state is in the table, or has its place.
func (e *explorer[S]) slot(s S) *uint32 {
	mask := uint64(len(e.slots) - 1)
	for i := maphash.Comparable(e.seed, s) & mask; ; i = (i + 1) & mask {
		if n := e.slots[i]; n == 0 || e.states[n-1] == s {
			return &e.slots[i]
		}
	}
}

// trace returns the steps that lead to a state.
func (e *explorer[S]) trace(at int) (steps []string) {
	for ; e.from[at] >= 0; at = int(e.from[at]) {
		found := false
		e.sys.steps(e.states[e.from[at]], func(who, what string, next S) {
			if !found && next == e.states[at] {
				steps, found = append(steps, who+": "+what), true
			}
		})
	}
	steps = append(steps, "at first: "+plain(e.states[at]))
	slices.Reverse(steps)
	return steps
}

// plain returns a state without what is zero in it.
func plain(state any) string {
	text := fmt.Sprintf("%+v", state)
	for {
		less := zeroes.ReplaceAllString(text, "")
		if less == text {
			return text
		}
		text = less
	}
}

var zeroes = regexp.MustCompile(`\w+:(0|false|noFault|\[( |0|\{\})*\]|\{ *\}) ?| ?\w+:(0|false|\[( |0|\{\})*\]|\{ *\})\b`)

// modelSize returns MULTIPROM_MODEL_SIZE: 1 takes seconds, 2 minutes.
func modelSize(t *testing.T) int {
	t.Helper()
	text := os.Getenv("MULTIPROM_MODEL_SIZE")
	if text == "" {
		return 1
	}
	n, err := strconv.Atoi(text)
	require.NoError(t, err)
	return n
}

// holds explores a system in which no invariant may break.
func holds[S comparable](t *testing.T, sys system[S]) result {
	t.Helper()
	r := explore(sys)
	require.Empty(t, r.broken, "%d states\n%s", r.states, r)
	t.Logf("%d states", r.states)
	return r
}

// breaks explores a system with a fault, which must break an invariant.
func breaks[S comparable](t *testing.T, sys system[S]) result {
	t.Helper()
	r := explore(sys)
	require.NotEmpty(t, r.broken, "the fault was not found in %d states", r.states)
	t.Logf("%d steps, %d states\n%s", len(r.trace)-1, r.states, r)
	return r
}

// requireTaken checks that all these steps were taken in some of the explorations: a model in
// which a step cannot happen says nothing about it.
func requireTaken(t *testing.T, steps []string, results ...result) {
	t.Helper()
	taken := map[string]bool{}
	for _, r := range results {
		for what := range r.taken {
			taken[what] = true
		}
	}
	slices.Sort(steps)
	require.Equal(t, steps, slices.Sorted(maps.Keys(taken)), "the steps of the model, and those that were taken")
}

// turns is a system that the checker must judge rightly: two processes that each want to be
// alone in a room. Peterson's algorithm keeps them apart, unless one of them looks at the other
// before it has said that it comes.
type turns struct{ careless bool }

type turnsState struct {
	at   [2]uint8 // outside, said so, gave way, inside; if careless, looked and said so
	wait [2]bool
	turn uint8
}

func (turns) starts() []turnsState { return []turnsState{{}} }

func (m turns) steps(s turnsState, step func(who, what string, next turnsState)) {
	for i := range s.at {
		n, who, other := s, strconv.Itoa(i), 1-i
		n.at[i] = (n.at[i] + 1) % 4
		switch {
		case m.careless && s.at[i] == 0:
			if !s.wait[other] {
				step(who, "looks", n)
			}
		case s.at[i] == 0 || m.careless && s.at[i] == 1:
			n.wait[i] = true
			step(who, "says that it comes", n)
		case s.at[i] == 1:
			n.turn = uint8(other)
			step(who, "gives way", n)
		case s.at[i] == 2:
			if m.careless || !s.wait[other] || s.turn == uint8(i) {
				step(who, "goes in", n)
			}
		default:
			n.wait[i] = false
			step(who, "leaves", n)
		}
	}
}

func (turns) broken(s turnsState) string {
	if s.at == [2]uint8{3, 3} {
		return "both are inside"
	}
	return ""
}

// TestChecker: the checker visits all states, finds a fault, and its counterexample is one.
func TestChecker(t *testing.T) {
	r := holds(t, turns{})
	require.Greater(t, r.states, 15)
	requireTaken(t, []string{"says that it comes", "gives way", "goes in", "leaves"}, r)

	r = explore(turns{careless: true})
	require.Equal(t, "both are inside", r.broken)
	require.Len(t, r.trace, 1+6, "a start, and three steps each")
	require.Equal(t, []string{"0: looks", "1: looks"}, r.trace[1:3])
}
