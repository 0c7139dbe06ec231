package mpm

import (
	"fmt"
	"os"
	"sync/atomic"
	"time"
)

// linkWatch notices that a file has lost its name. Systems delete files:
// tmpfiles ages /tmp by a time that stores to mapped memory do not move,
// RemoveIPC clears /dev/shm when a user logs out. The mapping stays good, so
// that the writer would count for nobody and never know.
type linkWatch struct {
	file    *os.File    // nil where there is nothing to watch
	last    time.Time   // of the last question, guarded by store.mu
	deleted atomic.Bool // once true, for ever
}

// linkPeriod is how often the writer asks at most.
const linkPeriod = time.Minute

// watchLink begins to watch f, unless its filesystem does not count links.
func (s *Store) watchLink(f *os.File, now time.Time) {
	if hasLink(f) {
		s.link.file, s.link.last = f, now
	}
}

// askLink asks, at most once a period, whether the file still has a name.
// The store's lock is held.
func (s *Store) askLink(now time.Time) {
	w := &s.link
	if w.file == nil || now.Sub(w.last) < linkPeriod {
		return
	}
	w.last = now
	if !hasLink(w.file) {
		w.deleted.Store(true)
		w.file = nil
	}
}

// Deleted returns ErrDeleted, wrapped with the path, once the store knows that
// somebody has deleted its file. It asks the system now and then when families
// and series are added, never when a value is updated; CheckLink asks too.
// Everything goes on working, but no reader sees it.
func (s *Store) Deleted() error {
	if !s.link.deleted.Load() {
		return nil
	}
	return fmt.Errorf("%w: %s", ErrDeleted, s.path)
}

// CheckLink asks whether the file still has a name, at most once a minute, and
// returns what Deleted does.
func (s *Store) CheckLink() error {
	s.mu.Lock()
	if !s.closed { // a closed store's file may be removed
		s.askLink(s.opts.Now())
	}
	s.mu.Unlock()
	return s.Deleted()
}
