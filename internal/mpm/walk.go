package mpm

import (
	"cmp"
	"slices"
	"time"
)

// seriesRef is the number of a series in the list of live or of removed series, or that of a
// region in the list of regions.
type seriesRef uint32

const (
	removedBit = 1 << 31
	regionBit  = 1 << 30
	numberMask = regionBit - 1
)

func refOf(number int, removed bool) seriesRef {
	if removed {
		return seriesRef(number) | removedBit
	}
	return seriesRef(number)
}

func (s seriesRef) removed() bool  { return s&removedBit != 0 }
func (s seriesRef) region() bool   { return s&regionBit != 0 }
func (s seriesRef) number() uint32 { return uint32(s & numberMask) }

// sameList reports whether both are of the same list.
func (s seriesRef) sameList(o seriesRef) bool { return (s^o)&^numberMask == 0 }

// run is n series with consecutive numbers of one list, in the order of their places. Most
// blocks are one run.
type run struct {
	first seriesRef
	n     uint32
}

func appendRun(dst []run, s seriesRef) []run {
	if last := len(dst) - 1; last >= 0 && dst[last].first+seriesRef(dst[last].n) == s && dst[last].first.sameList(s) {
		dst[last].n++
		return dst
	}
	return append(dst, run{s, 1})
}

// walk is one walk through the records of a block.
type walk struct {
	block int
	b     []byte
	used  uint64
	known []run // what the block had, as far as the walk has not come to it
	gone  []seriesRef
	hash  uint64 // of what the walk has seen
	content
}

// mix adds two words to the hash.
func (w *walk) mix(a, b uint64) {
	const prime = 0x9E3779B97F4A7C15
	w.hash = (w.hash ^ a) * prime
	w.hash = (w.hash<<31 | w.hash>>33) ^ b
	w.hash *= prime
}

// keep notes a series and its record.
func (w *walk) keep(s seriesRef, rec []byte) {
	w.runs = appendRun(w.runs, s)
	switch {
	case s.removed():
		w.removed++
		w.space.Removed += int64(len(rec))
	case s.region():
		w.regions++
	}
}

// knownAt returns the known series whose record is at that place. Those before it have gone.
func (w *walk) knownAt(p *parser, at wordOffset) (s seriesRef, ok bool) {
	for len(w.known) > 0 {
		s := w.known[0].first
		place := p.list(s).records.all[s.number()].record
		if place > at {
			return 0, false
		}
		if w.known[0].first++; w.known[0].n == 1 {
			w.known = w.known[1:]
		} else {
			w.known[0].n--
		}
		switch {
		case p.gone(s): // its words belong to another series
		case place == at:
			return s, true
		default:
			w.gone = append(w.gone, s)
		}
	}
	return 0, false
}

// lastPlace is a place after every record.
const lastPlace = ^wordOffset(0)

// gone reports whether a series that was found since the last commit was dropped.
func (p *parser) gone(s seriesRef) bool {
	l := p.list(s)
	return len(l.dropped) > 0 && l.dropped[s.number()]
}

// Bounds of the walks of one refresh. A walk takes about as long as a writer needs for a few
// changes, so most blocks settle at once.
const (
	maxWalks  = 64 // of a block
	fastWalks = 8  // of them without a pause
	walkPause = 50 * time.Microsecond
	maxPauses = 1024 // for all blocks
)

// block brings what is known of a block up to date.
func (p *parser) block(i int, b []byte, k *knownBlock, now time.Duration) {
	header, start := blockStart(i)
	load := func(off uint64) uint64 { return loadWord(b, header+off) }
	var odd, hash uint64 // the shape and the hash of the last walk, if the shape was odd
	for try := range maxWalks {
		if try >= fastWalks {
			if p.pauses++; p.pauses > maxPauses {
				break
			}
			p.pause(walkPause)
		}
		gen, shape, used := load(offBlockGen), load(offBlockShape), load(offBlockUsed)
		whole := !k.walked || gen != k.gen || k.overlaps || k.renewed
		if !whole && used == k.used {
			k.unsettled = false
			return
		}
		w := walk{block: i, b: b, used: min(used, BlockSize)}
		from := k.read
		if whole {
			from, w.known = start, slices.Clone(k.runs)
		}
		if used > BlockSize {
			p.damageAt(&w.content, i, header+offBlockUsed, "%d bytes in use of a block of %d", used, BlockSize)
		}
		read := p.walk(&w, from)
		settled := load(offBlockShape) == shape
		if settled && shape%2 == 1 {
			settled = shape == odd && w.hash == hash
			odd, hash = shape, w.hash
		} else {
			odd = 0
		}
		if p.later || !settled {
			p.rollback()
			if p.later {
				return
			}
			continue
		}
		k.walked, k.gen, k.used, k.read, k.unsettled = true, gen, used, read, false
		p.accept(k, &w, whole)
		return
	}
	if !k.unsettled {
		k.unsettled, k.since = true, p.walked
		if !k.walked {
			k.since = now // nothing is known of it
		}
	}
}

// walk reads the records from off on and returns how far it came.
func (p *parser) walk(w *walk, off uint64) uint64 {
	for off < w.used {
		if p.between != nil {
			p.between()
		}
		n := p.record(w, off)
		if p.later {
			return off
		}
		if n == 0 {
			off = unreadable
			break
		}
		off += n
	}
	w.knownAt(p, lastPlace)
	return off
}

// accept makes the result of a walk what is known of the block.
func (p *parser) accept(k *knownBlock, w *walk, whole bool) {
	p.changed, p.dirty, k.fresh = true, true, true
	for _, l := range p.lists() {
		l.kept, l.planned = l.all(), false
	}
	for _, s := range w.gone {
		p.goes(s)
	}
	if whole {
		k.overlaps, k.renewed, k.content = false, false, w.content
		return
	}
	for _, r := range w.runs {
		n := len(k.runs)
		if k.runs = appendRun(k.runs, r.first); len(k.runs) > n {
			k.runs[n].n = r.n
		} else {
			k.runs[n-1].n += r.n - 1
		}
	}
	k.exemplars = append(k.exemplars, w.exemplars...)
	k.damage = append(k.damage, w.damage[:min(len(w.damage), max(0, maxDamageDetails-len(k.damage)))]...)
	k.damaged, k.unknown, k.removed, k.regions = k.damaged+w.damaged, k.unknown+w.unknown, k.removed+w.removed, k.regions+w.regions
	k.space.Free, k.space.Removed = k.space.Free+w.space.Free, k.space.Removed+w.space.Removed
}

// goes notes that a series or a region has gone.
func (p *parser) goes(s seriesRef) {
	p.dirty = true
	l, i := p.list(s), s.number()
	p.touch(s)
	if at := l.records.all[i]; int(i) < l.claimed {
		p.claimed.giveBack(at.cells, l.sizes[at.schema].words)
	}
	l.goes(i)
}

// claim has every new series claim its words, after all blocks were walked: a series that
// has taken them over may be in an earlier block than the one that had them.
func (p *parser) claim() {
	var refused []seriesRef
	for _, removed := range []bool{false, true} {
		l := &p.live
		if removed {
			l = &p.removed
		}
		for i := l.claimed; i < l.all(); i++ {
			at := l.records.all[i]
			p.touch(refOf(i, removed))
			if !l.dropped[uint32(i)] && !p.claimed.claim(at.cells, l.sizes[at.schema].words) {
				refused = append(refused, refOf(i, removed))
			}
		}
		l.claimed = l.all()
	}
	if len(refused) == 0 {
		return
	}
	// A removed series may have become free after its block was walked.
	for _, s := range refused {
		p.list(s).goes(s.number()) // it has no words to give back
	}
	p.recheck()
	for _, s := range refused {
		l := p.list(s)
		at := l.records.all[s.number()]
		if p.claimed.claim(at.cells, l.sizes[at.schema].words) {
			delete(l.dropped, s.number())
			continue
		}
		block := int(at.record / blockWords)
		if s.removed() && !p.isRemoved(p.blocks[block], s) {
			continue // it has become free
		}
		k := &p.known[block]
		k.overlaps = true
		if p.unsettled == 0 {
			p.damageAt(&k.content, block, uint64(at.record%blockWords)*8, "a series of %s shares words with another one", p.schemaOf(s).Name)
		}
	}
}

// recheck looks at removed series again, in blocks that have changed since their walk. Those
// that have become free, and whose words may have another owner by now, are gone. It returns
// their numbers.
func (p *parser) recheck() (late []uint32) {
	for i := range p.known {
		k := &p.known[i]
		header, _ := blockStart(i)
		if k.removed == 0 || !k.meta || loadWord(p.blocks[i], header+offBlockGen) == k.gen {
			continue
		}
		var runs []run
		for _, r := range k.runs {
			for s := r.first; s < r.first+seriesRef(r.n); s++ {
				if s.removed() && !p.gone(s) && !p.isRemoved(p.blocks[i], s) {
					p.goes(s)
					k.removed--
					late = append(late, s.number())
					continue
				}
				runs = appendRun(runs, s)
			}
		}
		k.runs = runs
	}
	return late
}

// isRemoved reports whether a known removed series is still there.
func (p *parser) isRemoved(b []byte, s seriesRef) bool {
	at := p.removed.records.all[s.number()].record
	off := uint64(at%blockWords) * 8
	return loadState(b, off+offRecState) == stateRemoved && int64(loadWord(b, off+offSerCreated)) == p.removed.created[s.number()]
}

// seriesAt returns the series whose record is at that place.
func (p *parser) seriesAt(at wordOffset) (s seriesRef, ok bool) {
	block := int(at / blockWords)
	if block >= len(p.known) {
		return 0, false
	}
	place := func(s seriesRef) wordOffset { return p.list(s).records.all[s.number()].record }
	runs := p.known[block].runs
	i, found := slices.BinarySearchFunc(runs, at, func(r run, at wordOffset) int { return cmp.Compare(place(r.first), at) })
	if found {
		return runs[i].first, true
	}
	if i == 0 {
		return 0, false
	}
	r := runs[i-1]
	low, high := uint32(1), r.n
	for low < high {
		mid := (low + high) / 2
		if place(r.first+seriesRef(mid)) < at {
			low = mid + 1
		} else {
			high = mid
		}
	}
	if s = r.first + seriesRef(low); low < r.n && place(s) == at {
		return s, true
	}
	return 0, false
}

// renumber closes the gaps of the lists, unless the reader is to keep numbers and the gaps are
// few.
func (p *parser) renumber() {
	series := false
	for list, l := range p.lists() {
		regions := list == listRegions && series && l.all() > 0 // they say the numbers of their series
		if !regions && (len(l.gone) == 0 || !l.sparse(p.gaps)) {
			continue
		}
		series = true
		moved := l.renumber()
		for i := range p.known {
			p.known[i].move(list, 0, func(n uint32) int32 { return moved[n] })
			p.known[i].fresh = true // all numbers are new
		}
	}
}

// movedNumbers are the new numbers of the series from first on, or -1. If moved is nil, they
// are the same.
type movedNumbers struct {
	first int
	moved []int32
}

func (m movedNumbers) of(n uint32) int32 {
	if m.moved == nil || int(n) < m.first {
		return int32(n)
	}
	return m.moved[int(n)-m.first]
}

// move gives the block's series of a list other numbers. Those before first stay.
func (k *knownBlock) move(list seriesRef, first int, to func(n uint32) int32) {
	runs := make([]run, 0, len(k.runs))
	for _, r := range k.runs {
		if !r.first.sameList(list) || int(r.first.number()+r.n) <= first {
			runs = append(runs, r)
			continue
		}
		for s := r.first; s < r.first+seriesRef(r.n); s++ {
			if n := to(s.number()); n >= 0 {
				runs = appendRun(runs, list|seriesRef(n))
			}
		}
	}
	k.runs = runs
}

// commit makes what was found the lists of the reader. It returns the new numbers of live
// series.
func (p *parser) commit(out *Reading) (moved movedNumbers) {
	if !p.dirty {
		return moved
	}
	p.cold, p.dirty = false, false
	first, some := map[seriesRef]int{}, false
	for list, l := range p.lists() {
		first[list] = l.n
		d := out.delta(list)
		found := l.commit()
		found.Changes, found.Values = d.Changes, d.Values
		*d = found
		some = some || l.moved != nil
	}
	for i := range p.known {
		k := &p.known[i]
		if !k.fresh {
			continue
		}
		k.fresh = false
		for list, l := range p.lists() {
			if some && l.moved != nil {
				k.move(list, first[list], movedNumbers{first[list], l.moved}.of)
			}
		}
	}
	p.nameOwners(&out.Regions)
	if p.live.moved == nil {
		return moved
	}
	moved = movedNumbers{first[listLive], p.live.moved}
	for i := range p.exemplars {
		p.exemplars[i].Series = int(moved.of(uint32(p.exemplars[i].Series)))
	}
	return moved
}
