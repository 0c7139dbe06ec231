//go:build !race

package model

import (
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
)

// ttlCases are systems of the TTL model. All things at once would be too much: each has some.
var ttlCases = []struct {
	name         string
	most         uint8 // when time ends, at most
	small, large uint8 // when it ends in tests, and in the large form
	system       ttl
}{
	{"two processes and a dead one", 12, 9, 10, ttl{most: 1, begin: together(6, 4)}},
	{"a process starts", 12, 8, 9, ttl{most: 1, begin: together(6, 1), births: 1}},
	{"series are deleted", 12, 8, 9, ttl{most: 1, begin: together(6, 1), deletes: true}},
	{"handles", 20, 13, 14, ttl{most: 3, begin: alone(7), drops: true}},
	{"handles and deletions", 20, 10, 11, ttl{most: 2, begin: alone(7), drops: true, deletes: true}},
	{"a compactor", 9, 7, 8, ttl{most: 1, begin: together(6, 3), compacts: true, whole: true}},
	{"a compactor and deletions", 9, 6, 7, ttl{most: 1, begin: together(5, 1), compacts: true, deletes: true, whole: true}},
	{"a compactor and starts", 9, 6, 7, ttl{most: 2, begin: alone(6), compacts: true, births: 2, whole: true}},
	{"a compactor, deletions and starts", 10, 7, 8, ttl{most: 2, begin: alone(5), compacts: true, births: 1, deletes: true, whole: true}},
	{"a reader", 10, 9, 10, ttl{most: 2, begin: alone(5), reads: true, whole: true}},
	{"a reader of two processes", 10, 7, 8, ttl{most: 1, begin: together(7, 1), reads: true, whole: true}},
}

// alone returns the beginning of one process that has a series, updated at 4 the last time.
func alone(now uint8) []ttlState {
	s := ttlState{now: now}
	s.all[0] = part{used: true, state: stateLive, created: 4, active: 4, count: 1, sum: 1, snapshot: 1}
	s.processes[0] = process{alive: true, owns: 1, held: 1, entry: strong}
	return []ttlState{s.shownBefore()}
}

func ttlCase(t *testing.T, name string) (m ttl) {
	t.Helper()
	for _, c := range ttlCases {
		if c.name == name {
			m = c.system
			m.until = c.most
			return m
		}
	}
	t.Fatalf("no case %q", name)
	return m
}

// TestTTL: no invariant of TTL breaks, and every step happens.
func TestTTL(t *testing.T) {
	var results []result
	for _, c := range ttlCases {
		t.Run(c.name, func(t *testing.T) {
			m := c.system
			if m.until = c.small; modelSize(t) > 1 {
				m.until = c.large
			}
			results = append(results, holds(t, m))
		})
	}
	steps := slices.Concat(janitorNames[:], passNames[:], scrapeNames[:], []string{
		"a unit of time", "an update", "is killed", "deletes the series", "starts, and looks at the clock",
		"drops a handle", "finds that a handle is gone", "cleans up after a handle",
		"looks the series up", "looks an expired series up", "looks the series up, which is a new one",
	})
	slices.Sort(steps)
	requireTaken(t, slices.Compact(steps), results...)
}

// ttlFaultsFound are faults that the TTL model can have, each with a case that shows it, and the
// invariant that breaks.
var ttlFaultsFound = []struct {
	name, where string
	breaks      fault
}{
	{"own end", "two processes and a dead one", createdEarly},
	{"own end for a change", "two processes and a dead one", createdEarly},
	{"newest end", "two processes and a dead one", createdBack},
	{"no guard", "two processes and a dead one", fell},
	{"no wait before the end", "two processes and a dead one", createdEarly},
	{"shown until the end", "two processes and a dead one", twice},
	{"spans that touch are one life", "two processes and a dead one", createdBack},
	{"clock after the parts", "two processes and a dead one", twice},
	{"created is loaded once", "two processes and a dead one", createdBack},
	{"active before created", "two processes and a dead one", twice},
	{"created and active before the words", "two processes and a dead one", twice},
	{"words are set to 0", "two processes and a dead one", lost},
	{"removed stays in a new life", "two processes and a dead one", twice},
	{"expired series are not watched", "handles", lost},
	{"any overlap counts", "a process starts", createdEarly},
	{"a life within the guard is shown at once", "a process starts", createdBack},
	{"a removed part lasts until removed", "series are deleted", twice},
	{"a removed part holds no life", "series are deleted", twice},
	{"active of a deleted part", "a compactor, deletions and starts", createdBack},
	{"an expired series is never found", "handles", twoHandles},
	{"no comparison when a handle is gone", "handles", lost},
	{"the pass goes by each part's end", "a compactor", createdEarly},
	{"the archive keeps the oldest active", "a compactor", fell},
	{"clock of the pass after it has read", "a compactor", createdEarly},
	{"the pass takes parts of several lives", "a compactor and starts", createdBack},
	{"the archive forgets removals", "a compactor, deletions and starts", createdBack},
	{"no t1", "a reader", tornRead},
	{"the reader loads created once", "a reader of two processes", tornRead},
}

// TestTTLFaults: the checker finds every fault.
func TestTTLFaults(t *testing.T) {
	for _, f := range ttlFaultsFound {
		if f.where == "a reader of two processes" && modelSize(t) == 1 {
			continue // it takes long
		}
		t.Run(f.name, func(t *testing.T) {
			m := ttlCase(t, f.where)
			m.spoiled = f.name
			r := breaks(t, m)
			require.Equal(t, ttlFaults[f.breaks], r.broken)
		})
	}
}

// TestTTLVariants: what the protocol may do in another way, or leave out, without breaking an
// invariant. A new life may begin with a new record that names the same words. Then the old one
// has to be free before they change. Created may be stored before the words, because active is
// stored last. And what comes between the comparison and state 2 is seen by the next run.
func TestTTLVariants(t *testing.T) {
	for _, variant := range []string{"a new record", "created before the words", "no second comparison"} {
		for _, c := range ttlCases {
			m := c.system
			m.until, m.spoiled = c.small, variant
			if modelSize(t) > 1 || m.reads || m.drops && !m.deletes {
				t.Run(variant+"/"+c.name, func(t *testing.T) { holds(t, m) })
			}
		}
	}
}
