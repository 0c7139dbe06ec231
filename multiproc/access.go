package multiproc

import (
	"sync/atomic"
	"time"
	"unsafe"

	"github.com/multiprom/multiprom/internal/access"
	"github.com/multiprom/multiprom/internal/mpm"
	"github.com/multiprom/multiprom/metric"
)

// What packages of this project may do with a Set and a Counter, see package access.
var _ = func() (none struct{}) {
	access.Store = func(set any) *mpm.Store {
		s := set.(*Set)
		s.mu.Lock()
		defer s.unlock()
		return s.open()
	}
	access.Claim = func(set, owner any, names []string) error { return set.(*Set).claim(owner, names) }
	access.Declares = func(set any, name string, t metric.Type) bool { return set.(*Set).declares(name, t) }
	access.Bound = func(counter any) (access.BoundCounter, bool) {
		c := counter.(*Counter)
		w := atomic.LoadPointer(&c.first)
		return access.NewBoundCounter(w, unsafe.Pointer(c)), w != nil
	}
	access.Native = func(h any) (metric.Series, bool) { return h.(*Histogram).nativeSeries() }
	access.Look = func(set any) { set.(*Set).look(time.Time{}) }
	access.Expired = func(instrument any) bool {
		switch c := instrument.(type) {
		case *Counter:
			return c.handle.Gone()
		case *Gauge:
			return c.s.handle.Gone()
		case *Histogram:
			return c.s.handle.Gone()
		case *Summary:
			return c.s.handle.Gone()
		}
		return false
	}
	access.Unlabelled = func(counter any) (access.UnlabelledCounter, bool) {
		c := counter.(*Counter)
		w := atomic.LoadPointer(&c.first)
		return access.NewUnlabelledCounter(w), w != nil && c.in.public == counter
	}
	return none
}()
