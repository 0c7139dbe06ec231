package mpm

import (
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// brokenLocks break what CheckWriter finds by asking for the process.
var brokenLocks = map[string]brokenRule{
	"held by a child": {
		writer: headed(func(h *Header) { h.StartTime++ }), // a process of our pid that has ended
		want:   "the process has ended, but its lock is held: a forked child still has the file open or mapped", at: offLiveness,
	},
	"held by nobody": {
		writer: func(t *testing.T, s *Store, _ map[string]*Series) {
			free := unix.Flock_t{Type: unix.F_UNLCK, Start: lockByte, Len: 1}
			require.NoError(t, unix.FcntlFlock(s.backing.(*fileBacking).ext.f.Fd(), unix.F_OFD_SETLK, &free))
		},
		want: "the process lives, but does not hold its lock: readers take it for dead (right only after exec)", at: offLiveness,
	},
	"closed":            {writer: func(t *testing.T, s *Store, _ map[string]*Series) { require.NoError(t, s.Close()) }},
	"of another boot":   {writer: headed(func(h *Header) { h.StartTime++; h.BootID[0]++ })},
	"of another system": {writer: headed(func(h *Header) { h.StartTime++; h.PIDNamespace++ })},
}

// TestCheckWriterOfLocks: a lock that outlives its process, and a process that outlives its lock,
// are the two mistakes that readers cannot notice.
func TestCheckWriterOfLocks(t *testing.T) {
	for name, b := range brokenLocks {
		t.Run(name, func(t *testing.T) {
			s, x := checkedStore(t)
			b.writer(t, s, x)
			problems, err := CheckWriter(s.Path(), ReadOptions{}, 1)
			require.NoError(t, err)
			b.require(t, s, x, problems)
		})
	}
}
