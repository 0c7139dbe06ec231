package mpm

import (
	"fmt"
	"os"
	"sync/atomic"
	"time"
)

// linkWatch notices that a file was deleted. Systems delete files: tmpfiles removes old
// files in /tmp, and stores to mapped memory do not make a file newer; RemoveIPC clears
// /dev/shm when a user logs out. The mapping stays valid, so without linkWatch the writer
// would count for no reader and never notice.
type linkWatch struct {
	file    *os.File    // nil if there is nothing to watch
	last    time.Time   // of the last check, guarded by store.mu
	deleted atomic.Bool // never reset
}

// linkPeriod is the shortest time between two checks.
const linkPeriod = time.Minute

// watchLink starts to watch f, unless its filesystem does not count links.
func (s *Store) watchLink(f *os.File, now time.Time) {
	if hasLink(f) {
		s.link.file, s.link.last = f, now
	}
}

// askLink checks, at most once per period, whether the file still has a name. The caller
// holds the store's lock.
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

// Deleted returns ErrDeleted, wrapped with the path, after the store has noticed that its
// file was deleted. The store checks from time to time when families and series are added,
// never when a value is updated; CheckLink checks too. Everything keeps working, but no
// reader sees it.
func (s *Store) Deleted() error {
	if !s.link.deleted.Load() {
		return nil
	}
	return fmt.Errorf("%w: %s", ErrDeleted, s.path)
}

// CheckLink checks whether the file still has a name, at most once a minute, and returns
// the result of Deleted.
func (s *Store) CheckLink() error {
	s.mu.Lock()
	if !s.closed { // a closed store's file may be removed
		s.askLink(s.opts.Now())
	}
	s.mu.Unlock()
	return s.Deleted()
}
