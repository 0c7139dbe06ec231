//go:build !race

package model

import (
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
)

// reuseFaults are faults that the reuse model can have, each with the invariant that it breaks.
var reuseFaults = []struct {
	name   string
	breaks fault
}{
	// The writer's.
	{"no gen after state 2", shownRemoved},
	{"no gen after live", missingLive},
	{"state 2 before removed", falseDamage},
	{"the clock before state 2", foreignWord},
	{"the clock before gen", foreignWord},
	{"reclaim without waiting", foreignWord},
	{"reclaim while a handle is held", noFault},
	{"no state 3", foreignWord},
	{"cells freed under a removed record", foreignWord},
	{"no shape", falseDamage},
	{"no shape before", falseDamage},
	{"no shape after", falseDamage},
	{"no length of the whole stretch", falseDamage},
	{"labels before the length of the whole stretch", falseDamage},
	{"no header of the rest", falseDamage},
	{"own length before the rest's header", falseDamage},
	{"live before labels", falseDamage},
	{"live before created", foreignWord},
	{"state before checksum", falseDamage},
	{"zeroes after live", foreignWord},
	{"created before removed is 0", wrongTime},
	{"created not raised", foreignWord},
	// The reader's.
	{"gen after the walk", missingRemoved},
	{"t0 after the walk", foreignWord},
	{"no clock", foreignWord},
	{"no checksum", falseRecord},
	{"no state after the copy", falseRecord},
	{"no shape after the walk", falseDamage},
	{"one walk counts", falseDamage},
	{"no recheck", foreignWord},
	{"recheck of created only", foreignWord},
	{"recheck of the state only", foreignWord},
	{"no shape after the values", foreignWord},
	{"only the values again", foreignWord},
	{"a failed recheck walks no more", neverSettles},
	{"removed may be 0", wrongTime},
}

// afterRetry are the faults that show only if a scrape begins a second time, with what it knows.
var afterRetry = []string{
	"no gen after live", "gen after the walk", "no checksum", "no state after the copy", "only the values again",
	"a failed recheck walks no more",
}

// longFaults are left to the large form: they take a million states each.
var longFaults = []string{"no shape after", "no checksum", "no state after the copy"}

// spoil changes the stores of an operation, if the model has a fault.
func (m reuse) spoil(p []store, id uint8) []store {
	drop := func(stores ...store) []store {
		return slices.DeleteFunc(p, func(s store) bool { return slices.Contains(stores, s) })
	}
	// before moves a store before another.
	before := func(what, other store) []store {
		if i, j := slices.Index(p, what), slices.Index(p, other); i >= 0 && j >= 0 {
			return slices.Insert(slices.Delete(p, i, i+1), j, what)
		}
		return p
	}
	switch m.spoiled {
	case "no gen after state 2":
		return drop(storeGenOfRemoval)
	case "no gen after live":
		return drop(storeGenOfAddition)
	case "state 2 before removed":
		return before(storeStateRemoved, storeRemoved)
	case "no state 3":
		return drop(storeFree)
	case "cells freed under a removed record":
		if id == 2 {
			return drop(storeFree)
		}
	case "no shape":
		return drop(storeShapeBefore, storeShapeAfter)
	case "no shape before":
		return drop(storeShapeBefore)
	case "no shape after":
		return drop(storeShapeAfter)
	case "no length of the whole stretch":
		return drop(storeWholeLength)
	case "labels before the length of the whole stretch":
		return before(storeSecondPlace, storeWholeLength)
	case "no header of the rest":
		return drop(storeRest)
	case "own length before the rest's header":
		return before(storeOwnLength, storeRest)
	case "live before labels":
		return before(storeLive, storeLabels)
	case "live before created":
		return before(storeLive, storeCreated)
	case "state before checksum":
		if i := slices.Index(p, storeLive); i >= 0 {
			return slices.Insert(p, i+1, storeSum)
		}
	case "zeroes after live":
		return before(storeZeroes, storeGenOfAddition)
	case "created before removed is 0":
		return before(storeCreated, storeNoRemoved)
	}
	return p
}

// TestReuseFaults: the checker finds every fault.
func TestReuseFaults(t *testing.T) {
	for _, f := range reuseFaults {
		if slices.Contains(longFaults, f.name) && modelSize(t) == 1 {
			continue
		}
		t.Run(f.name, func(t *testing.T) {
			m := newReuse(f.name)
			m.retry = slices.Contains(afterRetry, f.name)
			if f.name == "no shape after" {
				m.lastSeries++ // it takes two additions
			}
			r := breaks(t, m)
			require.Contains(t, r.broken, faultNames[f.breaks])
		})
	}
}
