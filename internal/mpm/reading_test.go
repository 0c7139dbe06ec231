package mpm

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// requireValid checks that what was read since the last Refresh is valid or not.
func requireValid(t *testing.T, r *Reader, want bool) {
	t.Helper()
	valid, err := r.Valid()
	require.NoError(t, err)
	require.Equal(t, want, valid)
}

// follower applies each Reading to what it has.
type follower struct {
	t             *testing.T
	r             *Reader
	live, removed []uint64
	regions       []uint64
	owners        []int32
	last          Reading
}

func follow(t *testing.T, r *Reader) *follower { return &follower{t: t, r: r} }

func (f *follower) read() Reading {
	f.t.Helper()
	now, err := f.r.Read(f.live, f.removed, f.regions)
	require.NoError(f.t, err)
	f.apply(&now)
	return now
}

func (f *follower) apply(now *Reading) {
	live, removed, regions := f.r.List(), f.r.RemovedList(), f.r.RegionList()
	f.live, f.removed = now.Live.Apply(f.live, &live), now.Removed.Apply(f.removed, &removed)
	f.regions, f.owners = regions.Apply(&now.Regions, f.regions, f.owners)
	f.last = *now
}
