package multiproc

import (
	"math"
	"runtime"
	"sync/atomic"
	"unsafe"
	"weak"

	"github.com/multiprom/multiprom/internal/lifetime"
	"github.com/multiprom/multiprom/internal/mpm"
)

// Series with a TTL expire and come back (docs/lifecycle.md, "Series that expire"). An update
// does nothing for it: the janitor compares words with what they were. internal/model explores
// the protocol, and names the steps as they are named here.

// watch is what the janitor knows of a live series. The Vec's lock guards it.
type watch struct {
	words []uint64 // what they were at its active time
	two   [2]uint64
}

// note keeps what the words are now.
func (w *watch) note(words mpm.AllWords) {
	if w.words == nil && len(words.Cells()) <= len(w.two) {
		w.words = w.two[:0]
	}
	w.words = words.AppendTo(w.words[:0])
}

// expired is a series that has expired. Code may still hold it, and so update it.
type expired struct {
	key    string // of its label values
	hash   uint32
	series weak.Pointer[series]
	words  mpm.AllWords // its words, which nobody else gets before Release
	old    []uint64     // what they were when it expired
	left   mpm.Expired
	gone   runtime.Cleanup
	index  int // in expiredSeries.all; -1 if another series has its place, or it was deleted: later updates go nowhere
}

// expiredSeries are the expired series of a Vec that are not gone yet. The Vec's lock guards
// them.
type expiredSeries struct {
	some  atomic.Bool // there are some; read without the lock
	byKey map[string]*expired
	all   []*expired
}

func (x *expiredSeries) add(e *expired) {
	if x.byKey == nil {
		x.byKey = map[string]*expired{}
	}
	e.index = len(x.all)
	x.byKey[e.key], x.all = e, append(x.all, e)
	x.some.Store(true)
}

// remove takes e out, if it is there.
func (x *expiredSeries) remove(e *expired) {
	if e.index < 0 {
		return
	}
	last := x.all[len(x.all)-1]
	x.all[e.index], last.index = last, e.index
	x.all[len(x.all)-1] = nil
	x.all = x.all[:len(x.all)-1]
	delete(x.byKey, e.key)
	e.index = -1
	if len(x.all) == 0 {
		x.byKey, x.all = nil, nil // maps do not get smaller
		x.some.Store(false)
	}
}

// expire makes a series expire whose life ends then. The Vec's lock is held. If the series
// was updated after it was compared, it begins a new life at once.
func (v *vec[T]) expire(t *table, i int, end int64, now mpm.Moment) {
	s, w := t.entries[i].load(), t.watches[i]
	e := &expired{key: string([]byte(s.key.text())), hash: t.hashes[i], series: weak.Make(s), words: s.handle.AllWords(), old: w.words}
	t.remove(i)
	v.size.Add(-1)
	e.left = s.handle.Expire(end)
	v.expired.add(e)
	if !e.words.Same(e.old) {
		v.renew(e, s, now)
		return
	}
	e.gone = runtime.AddCleanup(s, v.cleanUp, e)
}

// renew begins a new life of an expired series, which is s. The Vec's lock is held.
func (v *vec[T]) renew(e *expired, s *series, now mpm.Moment) {
	e.gone.Stop()
	v.expired.remove(e)
	t := v.table.Load()
	with := t.insert(e.hash, s)
	if with.watches == nil {
		with.watches = make([]*watch, len(with.entries))
	}
	with.watches[with.index(e.hash, s)] = &watch{words: s.handle.Renew(now, e.old)}
	v.renewed((*T)(unsafe.Pointer(s)))
	if with != t {
		v.table.Store(with)
	}
	v.size.Add(1)
}

// revive returns the expired series of these values, which begins a new life, or nil if there
// is none. The Vec's lock is held.
func (v *vec[T]) revive(hash uint32, values []string) *T {
	if len(v.expired.all) == 0 {
		return nil
	}
	e := v.expired.byKey[string(appendKey(nil, values))]
	if e == nil {
		return nil
	}
	s := e.series.Value()
	if s == nil {
		return v.inherit(e, values)
	}
	v.renew(e, s, v.in.set.store.Load().Moment())
	return (*T)(unsafe.Pointer(s))
}

// inherit gives what an expired series has counted since its last comparison to a new series of
// its values, and returns that. It returns nil if there is nothing to give. No code can reach the
// expired one, so its words change no more. The Vec's lock is held.
func (v *vec[T]) inherit(e *expired, values []string) *T {
	v.expired.remove(e)
	if e.words.Same(e.old) {
		return nil
	}
	c := v.addLocked(e.hash, values)
	v.take(c, e.words, e.old)
	return c
}

// valuesOf returns the label values of an expired series.
func (v *vec[T]) valuesOf(e *expired) []string {
	values := make([]string, v.labels)
	for i, text := 0, e.key; i < v.labels; i++ {
		values[i], text = mpm.CutString(text)
	}
	return values
}

// forgetExpired deletes expired series whose values match. The Vec's lock is held.
func (v *vec[T]) forgetExpired(match func(values []string) bool) {
	for i := len(v.expired.all) - 1; i >= 0; i-- {
		if e := v.expired.all[i]; match(v.valuesOf(e)) {
			v.expired.remove(e)
		}
	}
}

// cleanUp gives the space of an expired series away, after no code can reach it.
func (v *vec[T]) cleanUp(e *expired) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if e.index >= 0 {
		v.inherit(e, v.valuesOf(e))
	}
	e.left.Release()
}

// restart sets a series of the Vec back. What the janitor knows of its words holds no more.
func (v *vec[T]) restart(s *series) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.in.set.Opened() && v.in.schema.TTL > 0 {
		hash, values := hashValues(s.key.values(v.labels)), s.key.values(v.labels)
		if e := v.expired.byKey[s.key.text()]; e != nil && e.series.Value() == s {
			v.revive(hash, values)
		}
		if t := v.table.Load(); t.watches != nil {
			if i := t.index(hash, s); i >= 0 {
				t.watches[i] = nil // as of a new one
			}
		}
	}
	s.restartLocked()
}

// candidate is a series of which the parts of other processes must be known.
type candidate struct {
	series  *series
	hash    uint32
	changed bool
	part    lifetime.Part
	at      int64 // the time, before it was compared
	end     int64 // E
}

// batch is how many series the janitor looks at before it gives the Vec's lock back.
const batch = 256

// look is a run of the janitor: it looks at every series of the Vec.
func (v *vec[T]) look(store *mpm.Store) {
	rule := lifetime.Of(v.in.schema.TTL)
	v.lookAtExpired(store)
	candidates := v.compare(store, rule)
	if len(candidates) > 0 && v.in.set.ends(store, v.in.schema, rule, candidates) {
		v.decide(store, rule, candidates)
	}
	v.shrink()
}

// compare compares the words of all series with what they were. What its own part decides is
// done at once: a series that has changed, and whose life does not end before its own part
// does, is active. The others are returned.
func (v *vec[T]) compare(store *mpm.Store, rule lifetime.Rule) (out []candidate) {
	var t *table
	for from := 0; ; from += batch {
		v.mu.Lock()
		if now := v.table.Load(); now != t { // it has grown: begin again
			t, from, out = now, 0, out[:0]
			if t.watches == nil {
				t.watches = make([]*watch, len(t.entries))
			}
		}
		if store.Closed() {
			v.mu.Unlock()
			return nil
		}
		now := store.Moment()
		for i := from; i < min(from+batch, len(t.entries)); i++ {
			s := t.entries[i].load()
			if s == nil || unsafe.Pointer(s) == unsafe.Pointer(v.overflow.Load()) {
				continue
			}
			if c, ok := t.compare(i, s, rule, now); ok {
				out = append(out, c)
			}
		}
		v.mu.Unlock()
		if from+batch >= len(t.entries) {
			return out
		}
	}
}

func (t *table) compare(i int, s *series, rule lifetime.Rule, now mpm.Moment) (c candidate, ok bool) {
	if !s.bound() {
		return c, false
	}
	words, w := s.handle.AllWords(), t.watches[i]
	part, inFile := s.handle.Part(now)
	switch {
	case w == nil: // it is new
		w = &watch{}
		t.watches[i] = w
		w.note(words)
		s.handle.Touch(now)
		return c, false
	case !inFile:
		return c, false // nobody sees it but this process; it stays
	}
	changed := !words.Same(w.words)
	switch end := part.Active + rule.Lasts(); {
	case !changed && now.Nanos < end:
		return c, false
	case changed && now.Nanos+rule.Guard < end: // its life lasts at least so long
		s.handle.Touch(now)
		w.note(words)
		return c, false
	}
	return candidate{s, t.hashes[i], changed, part, now.Nanos, part.Active + rule.Lasts()}, true
}

// decide does what has to be done with candidates, whose ends are known.
func (v *vec[T]) decide(store *mpm.Store, rule lifetime.Rule, candidates []candidate) {
	for len(candidates) > 0 && !store.Closed() {
		n := min(batch, len(candidates))
		v.mu.Lock()
		now := store.Moment()
		for i := range candidates[:n] {
			v.decideOne(&candidates[i], rule, now)
			candidates[i].series = nil
		}
		v.mu.Unlock()
		candidates = candidates[n:]
	}
}

func (v *vec[T]) decideOne(c *candidate, rule lifetime.Rule, now mpm.Moment) {
	t := v.table.Load()
	i := t.index(c.hash, c.series)
	if i < 0 || t.watches == nil || t.watches[i] == nil {
		return // it was deleted or restarted
	}
	s, w := c.series, t.watches[i]
	words := s.handle.AllWords()
	part, _ := s.handle.Part(now)
	if changed := !words.Same(w.words); part.Created != c.part.Created || changed != c.changed {
		return // the next run decides
	}
	switch {
	case c.changed && now.Nanos+rule.Guard < c.end:
		s.handle.Touch(now)
		w.note(words)
	case c.changed && c.at >= c.end: // the clock comes before the parts
		w.words = s.handle.Renew(now, w.words)
		v.renewed((*T)(unsafe.Pointer(s)))
	case !c.changed && c.at >= c.end:
		v.expire(t, i, c.end, now)
	}
}

// lookAtExpired begins a new life of each expired series that was updated. It goes backwards:
// what is removed gets the last one in its place, which was looked at.
func (v *vec[T]) lookAtExpired(store *mpm.Store) {
	for i := math.MaxInt; i > 0 && !store.Closed(); {
		v.mu.Lock()
		i = min(i, len(v.expired.all))
		for n := max(0, i-batch); i > n; i-- {
			e := v.expired.all[i-1]
			if e.words.Same(e.old) {
				continue
			}
			if s := e.series.Value(); s != nil {
				v.renew(e, s, store.Moment())
			} else {
				v.inherit(e, v.valuesOf(e))
			}
		}
		v.mu.Unlock()
	}
}

// shrink makes the table smaller after most of its series have expired.
func (v *vec[T]) shrink() {
	v.mu.Lock()
	defer v.mu.Unlock()
	if t := v.table.Load(); int64(len(t.entries)) > 16*max(v.size.Load(), 1<<minTableBits) {
		v.table.Store(t.grown())
	}
}

// What an instrument takes over from an expired one of the same labels whose words have
// changed since they were old.

func (c *Counter) take(words mpm.AllWords, old []uint64) { c.of().addDifference(words, old) }

func (h *Histogram) take(words mpm.AllWords, old []uint64) {
	h.s.addDifference(words, old)
	for _, r := range words.NewRegions(old) {
		h.bindNative()
		h.native.Take(r)
	}
	h.s.keepAlive()
}
func (m *Summary) take(words mpm.AllWords, old []uint64) { m.s.addDifference(words, old) }
func (i *Info) take(mpm.AllWords, []uint64)              {}

func (s *series) addDifference(words mpm.AllWords, old []uint64) {
	mpm.AddDifference(s.in.schema, s.load(), words, old)
	s.keepAlive()
}

func (c *Counter) renewed() {}
func (g *Gauge) renewed()   {}
func (m *Summary) renewed() {}
func (i *Info) renewed()    {}
func (e *Enum) renewed()    {}

func (h *Histogram) renewed() {
	if h.native.Ready() {
		h.native.Restart()
	}
}

// A gauge takes the value over unless it has one that is newer.
func (g *Gauge) take(from mpm.AllWords, _ []uint64) {
	words := from.Cells()
	if g.recent.timed {
		g.recent.take(g.s.load(), words)
	} else if atomic.CompareAndSwapUint64(&g.s.load()[mpm.CellGauge], mpm.UnsetBits, words[mpm.CellGauge]) {
		g.recent.count(g.s.load())
	}
	g.s.keepAlive()
}

func (e *Enum) take(from mpm.AllWords, _ []uint64) {
	words := from.Cells()
	if e.recent.timed {
		e.recent.take(e.s.load(), words)
	} else if w := e.s.load(); atomic.CompareAndSwapUint64(&w[mpm.CellUpdates], 0, 1) {
		atomic.StoreUint64(&w[mpm.CellState], words[mpm.CellState])
	}
	e.s.keepAlive()
}

func (r *recent) take(to, from []uint64) {
	r.turn.Lock()
	defer r.turn.Unlock()
	bits, nanos, _ := mpm.LoadRecent(from)
	if _, own, _ := mpm.LoadRecent(to); nanos > own {
		mpm.StoreRecent(to, bits, nanos)
	}
}
