package mpm

import (
	"math"
	"sync/atomic"
	"time"

	"github.com/multiprom/multiprom/internal/lifetime"
	"github.com/multiprom/multiprom/metric"
)

// What a janitor (package multiproc) does with the records of series that have a TTL. It
// decides; the order of the stores is here.

// Moment is a moment of a store's clock, for series with a TTL.
type Moment struct {
	Nanos int64  // since 1970
	units uint32 // since the file was created
	base  int64  // nanoseconds since 1970 at which units begin
}

// Moment returns the moment now.
func (s *Store) Moment() Moment {
	created := s.header.Created.UnixNano()
	if s.opts.boot == 0 {
		now := s.opts.Now().UnixNano()
		return Moment{now, activeUnits(now - created), created}
	}
	wall, boot, _ := clocks()
	return Moment{wall, activeUnits(boot - s.opts.boot), wall - boot + s.opts.boot}
}

// Touch says that the series was seen to change at that moment.
func (s *Series) Touch(now Moment) {
	if s.inFile() {
		storeState(s.ref.store.record(s.at), offSerActive, now.units)
	}
}

func (s *Series) inFile() bool { return s.ref != nil && s.at.size > 0 }

// Part returns what the record says of a live series at that moment. A series that is not in
// the file has no part.
func (s *Series) Part(now Moment) (p lifetime.Part, ok bool) {
	if !s.inFile() {
		return p, false
	}
	rec := s.ref.store.record(s.at)
	p.Created = int64(loadWord(rec, offSerCreated))
	p.Active = now.base + int64(loadState(rec, offSerActive))<<activeShift
	return p, true
}

// Expired is what an expired series leaves in the store.
type Expired struct {
	store *Store
	removedSeries
}

// Expire removes a series whose life ends then. Renew takes that back, and Release gives its
// space away.
func (s *Series) Expire(end int64) (e Expired) {
	if s.gone.Swap(true) || !s.inFile() {
		return e
	}
	e.store = s.ref.store
	e.store.mu.Lock()
	defer e.store.mu.Unlock()
	rec := e.store.record(s.at)
	e.store.Count(ExpiredSeries, 1)
	e.store.put(rec, offSerRemoved, uint64(end))
	e.store.putState(rec, stateRemoved)
	e.store.changed(s.at.record)
	e.removedSeries = removedSeries{location: s.at, schema: s.ref.schema, removed: e.store.opts.Elapsed(), attached: s.attached.Load()}
	return e
}

// Release gives the space of an expired series away. No code can reach its handle.
func (e *Expired) Release() {
	if e.store != nil {
		e.store.release(e.removedSeries)
	}
}

// Renew begins a new life of a series, live or expired, in the same record. What its words
// were at the end of the old one is subtracted. It returns what was counted since then.
//
// The words come first, so that no new life is shown with old values; created is before
// active, so that the old life never gets longer; an expired series becomes live last.
func (s *Series) Renew(now Moment, old []uint64) []uint64 {
	words, float := s.AllWords(), floatCell(s.ref.schema)
	store := s.ref.store
	store.Count(RevivedSeries, 1)
	store.mu.Lock()
	defer store.mu.Unlock()
	rec := store.record(s.at)
	expired := s.gone.Load()
	if expired {
		store.put(rec, offSerRemoved, 0)
	}
	if float >= 0 {
		words.subtract(float, old)
	}
	store.hook()
	s.attached.Load().clear()
	seen := words.appendTo(make([]uint64, 0, len(old)))
	store.put(rec, offSerCreated, uint64(store.newCreated(time.Unix(0, now.Nanos))))
	storeState(rec, offSerActive, now.units)
	store.hook()
	if expired {
		s.gone.Store(false)
		store.putState(rec, stateLive)
	}
	store.changed(s.at.record)
	return seen
}

// floatCell returns which word of a series that sums up is an f64, or -1 for a series whose
// words are no sums.
func floatCell(s *metric.Schema) int {
	switch s.Type {
	case metric.Counter:
		return CellCounterFloat
	case metric.Histogram, metric.GaugeHistogram:
		return CellHistogramSum
	case metric.Summary:
		return CellSummarySum
	}
	return -1
}

// subtract takes old from words that are sums. A sum of floats is exact up to its rounding: as
// it only grows, or grows and falls by what is observed, so does the difference.
// Number f is an f64.
func subtract(f int, words, old []uint64) {
	for i, n := range old {
		switch {
		case i == f:
			moveFloat(&words[i], func(v float64) float64 {
				from := math.Float64frombits(n)
				if math.Float64bits(v) == n || math.IsInf(from, 0) || from != from {
					return 0 // of a sum that is not finite nobody knows what came later
				}
				return v - from
			})
		case n != 0:
			atomic.AddUint64(&words[i], -n)
		}
	}
}

// AddDifference adds to the cells of a series, which are sums, what those of another one have
// more than old. What regions have more is in AllWords.NewRegions.
func AddDifference(schema *metric.Schema, to []uint64, from AllWords, old []uint64) {
	f := floatCell(schema)
	more := AllWords{cells: from.cells}.appendTo(nil)
	subtract(f, more, old[:len(more)])
	for i, n := range more {
		switch {
		case i == f:
			moveFloat(&to[i], func(v float64) float64 { return v + math.Float64frombits(n) })
		case n != 0:
			atomic.AddUint64(&to[i], n)
		}
	}
}

func moveFloat(p *uint64, to func(float64) float64) {
	for {
		old := atomic.LoadUint64(p)
		if bits := math.Float64bits(to(math.Float64frombits(old))); bits == old || atomic.CompareAndSwapUint64(p, old, bits) {
			return
		}
	}
}
