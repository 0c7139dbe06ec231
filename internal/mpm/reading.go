package mpm

import (
	"errors"
	"math"
	"slices"
	"time"

	"github.com/multiprom/multiprom/metric"
)

// Reading is what a good Read has found since the good one before it. It is a plain value:
// who applies one Reading after the other has what the file has.
type Reading struct {
	Live    Delta // of the series that the process has
	Removed Delta // of those that it has removed and whose values can still be read
	Regions Delta // of the regions that both have
	// Exemplars are all exemplars of live series. It is the slice of the last Reading if
	// none has changed.
	Exemplars []Exemplar

	// The rest is of the header.
	Closed, Marked bool
	Counters       [len(HeaderCounters)]uint64
}

// Delta is what has become of a list of series since the last Reading. Apply it in the
// order of its fields.
type Delta struct {
	// Reset says that numbers begin again: all series of the last Reading are gone.
	Reset bool
	// Gone are the numbers of series that are gone. A series that is removed goes from Live
	// and is added to Removed. One that is reset goes and is added with a new created time.
	Gone []int
	// Changes are the values that have changed, of series that are in both Readings. They are
	// valid until the next Read of a reader with the same SymbolTable.
	Changes []Change
	// Added are the numbers of new series, which may be among Gone.
	Added []NumberRange
	// Values are the values of the series of Added, in that order.
	Values []uint64
	// From has, for each series of Added in the list of removed series, the number that it
	// had among the live ones in the last Reading, or -1. For each region it has the number of
	// its live series, or ^number of its removed one. It is nil for live series.
	From []int32
}

// NumberRange is N consecutive numbers.
type NumberRange struct{ First, N int }

func appendRange(dst []NumberRange, first, n int) []NumberRange {
	switch last := len(dst) - 1; {
	case n == 0:
	case last >= 0 && dst[last].First+dst[last].N == first:
		dst[last].N += n
	default:
		dst = append(dst, NumberRange{first, n})
	}
	return dst
}

// delta returns the Delta of a list.
func (r *Reading) delta(list seriesRef) *Delta {
	switch list {
	case listRemoved:
		return &r.Removed
	case listRegions:
		return &r.Regions
	}
	return &r.Live
}

// Same reports whether the list has the same series as before.
func (d *Delta) Same() bool { return !d.Reset && len(d.Gone) == 0 && len(d.Added) == 0 }

// Apply brings values, which hold the values of all series at their positions, up to date.
// list is the list after the Reading. The values of gaps are 0.
func (d *Delta) Apply(values []uint64, list *SeriesList) []uint64 {
	if d.Reset {
		values = values[:0]
	}
	for _, n := range d.Gone {
		clear(values[list.Position(n):][:list.ValuesOf(n)])
	}
	for _, c := range d.Changes {
		values[c.At] = c.Word
	}
	rest := d.Values
	for _, r := range d.Added {
		at := list.Position(r.First)
		end := list.Position(r.First+r.N-1) + list.ValuesOf(r.First+r.N-1)
		values = slices.Grow(values, max(0, end-len(values)))[:max(end, len(values))]
		rest = rest[copy(values[at:end], rest):]
	}
	return values
}

// Exemplar is an exemplar as a Reading has it.
type Exemplar struct {
	Series   int // its number among the live series
	Bucket   int // of a histogram, 0 of a counter
	Exemplar *metric.Exemplar

	// What it was read from.
	record  wordOffset
	created int64  // of the series
	number  uint64 // see ExemplarInfo.Number
}

// ErrStale: a file's series change faster than they can be read. What was read before stays.
var ErrStale = errors.New("the file changes faster than it can be read")

// maxReads is how often Read tries to read values in time.
const maxReads = 16

// Read reads what the file has now. live, removed and regions are the values that the caller
// has of the last Reading, by position (see Delta.Apply); they are not changed. After a good
// Read, List, RemovedList and Regions are those of the Reading.
//
// Damage is not an error: the rest is read, see Damaged. ErrStale: this time nothing can be
// read that belongs together. A *CorruptionError says that the file as a whole can no longer
// be read. After an error, the next Reading resets all numbers.
func (r *Reader) Read(live, removed, regions []uint64) (reading Reading, err error) {
	good := false
	defer func() {
		if !good {
			r.parser.restart()
		}
	}()
	err = Guard(r.path, func() error {
		for range maxReads {
			if good, err = r.try(&reading, live, removed, regions); good || err != nil {
				break
			}
		}
		switch {
		case err != nil:
			return err
		case !good:
			return ErrStale
		}
		r.commit(&reading)
		return r.readActive()
	})
	if good = good && err == nil; !good {
		return Reading{}, err
	}
	return reading, nil
}

// try reads once, and reports whether what it has read belongs together.
func (r *Reader) try(out *Reading, live, removed, regions []uint64) (good bool, err error) {
	resets := r.resets()
	if err := r.walk(); err != nil {
		return false, err
	}
	p := &r.parser
	room := p.live.table
	p.live.plan()
	out.Live.Changes, out.Live.Values = r.changes(room.liveChanges[:0], live, p.live.spans), r.appendValues(nil, p.live.fresh)
	p.removed.plan()
	out.Removed.Changes, out.Removed.Values = r.changes(room.removedChanges[:0], removed, p.removed.spans), r.appendValues(nil, p.removed.fresh)
	p.regions.plan()
	out.Regions.Changes, out.Regions.Values = r.changes(room.regionChanges[:0], regions, p.regions.spans), r.appendValues(nil, p.regions.fresh)
	if late := p.recheck(); len(late) > 0 {
		out.Removed.Changes, out.Removed.Values = p.removed.without(late, out.Removed.Changes, out.Removed.Values)
		if late = p.disown(); len(late) > 0 {
			out.Regions.Changes, out.Regions.Values = p.regions.without(late, out.Regions.Changes, out.Regions.Values)
		}
	}
	room.liveChanges, room.removedChanges, room.regionChanges = out.Live.Changes, out.Removed.Changes, out.Regions.Changes
	out.Exemplars = r.loadExemplars()
	out.Closed, out.Marked = r.Closed(), r.Marked()
	for i, c := range HeaderCounters {
		out.Counters[i] = r.Count(c)
	}
	if r.resets() != resets {
		return false, nil
	}
	return r.valid(), r.whole()
}

// walk reads the records that have changed.
func (r *Reader) walk() error {
	r.walked = r.elapsed()
	r.generation = r.word(offGeneration)
	for {
		if err := r.takeBlocks(); err != nil {
			return err
		}
		if later := r.parser.refresh(r.blocks, r.walked); !later {
			return nil
		}
	}
}

// valid reports whether words that were read since the last walk are those of the series
// that it found. Removed series must be checked on their own.
func (r *Reader) valid() bool {
	p := &r.parser
	if p.unsettled > 0 && p.cold {
		return false // part of the file is missing
	}
	if p.unsettled == 0 && r.word(offGeneration) == r.generation {
		return true // nothing has changed
	}
	lease := min(r.word(offLease), math.MaxInt64)
	return r.elapsed()-min(r.walked, p.since) < time.Duration(lease)/2
}

func (r *Reader) resets() uint64 { return r.word(offResets) }

// loadExemplars returns the exemplars of all live series.
func (r *Reader) loadExemplars() []Exemplar {
	p := &r.parser
	out, own, old := r.exemplars, false, r.exemplars
	if len(old) != len(p.exemplars) {
		out, own = make([]Exemplar, len(p.exemplars)), true
	}
	for i := range p.exemplars {
		e := &p.exemplars[i]
		created := p.live.created[e.Series]
		for len(old) > 0 && old[0].record < e.cells.record {
			old = old[1:]
		}
		now := Exemplar{Series: e.Series, Bucket: e.Bucket, record: e.cells.record, created: created, number: e.Number()}
		if len(old) > 0 && old[0].record == now.record && old[0].created == created && old[0].number == now.number {
			now.Exemplar = old[0].Exemplar
		} else {
			now.Exemplar, now.number = e.Load()
		}
		if !own && out[i] == now {
			continue
		}
		if !own {
			out, own = slices.Clone(out), true // others hold the old ones
		}
		out[i] = now
	}
	return out
}

// commit makes what was read the state of the reader.
func (r *Reader) commit(out *Reading) {
	p := &r.parser
	moved := p.commit(out)
	if moved.moved != nil && len(out.Exemplars) > 0 {
		out.Exemplars = slices.Clone(out.Exemplars)
		for i := range out.Exemplars {
			out.Exemplars[i].Series = int(moved.of(uint32(out.Exemplars[i].Series)))
		}
	}
	r.exemplars = out.Exemplars
}

// unset is no time.
const unset = time.Duration(math.MaxInt64)
