package mpm

import (
	"fmt"

	"github.com/multiprom/multiprom/internal/histogram"
)

// Regions are the native buckets of a series (docs/format.md, "Native histograms"). A reader
// has a list of them beside those of live and of removed series. A region has the columns of a
// series, with another meaning:
//
//	labels   where the record of its series is
//	records  its record and its words
//	created  its schema, sign and number, as in the record
//
// A region is in the list while its series is. If another series has the place of that one, or
// it was removed or has begun again, the region goes, and comes again as one of that series.

// newRegions returns an empty list of regions. Readers with the same SymbolTable share
// columns.
func newRegions(symbols *SymbolTable) numbers {
	if symbols.regions == nil {
		symbols.regions = &SymbolTable{}
	}
	sizes := []seriesSize{{words: histogram.RegionBuckets, values: histogram.RegionBuckets}}
	return numbers{SeriesList: SeriesList{sizes: sizes, table: symbols.regions}, reset: true}
}

// region reads the record of a region, unless it is known.
func (p *parser) region(w *walk, rec []byte, sealed uint64, at wordOffset) error {
	if len(rec) < regionSize {
		return errShortRecord
	}
	of, shape := loadWord(rec, offRegSeries), loadWord(rec, offRegSchema)
	w.mix(of, shape)
	if known, ok := w.knownAt(p, at); ok {
		if known.region() && p.isRegion(known.number(), of, shape) {
			w.keep(known, rec)
			return nil
		}
		w.gone = append(w.gone, known)
	}
	copied, err := p.copy(rec, sealed)
	if err != nil {
		return err
	}
	r, err := decodeRegion(copied)
	if err != nil {
		return err
	}
	if r.series == 0 {
		return fmt.Errorf("a region of no series")
	}
	if _, err := p.cells(r.cells, histogram.RegionBuckets); err != nil {
		return err
	}
	l := &p.regions
	i := l.all()
	l.add(Symbol(r.series), recordRef{record: at, cells: r.cells}, int64(loadWord(copied, offRegSchema)), min(p.room(at)/len(rec), mostExpected))
	w.keep(listRegions|seriesRef(i), rec)
	return nil
}

// isRegion reports whether a record with these two words is that of a region.
func (p *parser) isRegion(i uint32, of, shape uint64) bool {
	l := &p.regions
	return uint64(l.labels.all[i])|uint64(l.records.all[i].cells)<<32 == of && uint64(l.created[i]) == shape
}

// isStill reports whether a region's record is what it was when it was read.
func (p *parser) isStill(i uint32) bool {
	at := p.regions.records.all[i].record
	rec := p.blocks[at/blockWords][at%blockWords*8:]
	return loadState(rec, offRecState) == stateLive && uint16(loadWord(rec, offRecLen)>>32) == kindRegion &&
		p.isRegion(i, loadWord(rec, offRegSeries), loadWord(rec, offRegSchema))
}

// touch notes that a series has come or gone, so that its regions get another one.
func (p *parser) touch(s seriesRef) {
	if s.region() || p.regions.claimed == p.regions.gaps {
		return // no regions are known that have a series
	}
	p.touched.add(p.list(s).records.all[s.number()].record)
}

// touchedPlaces is a set of places, of which most readings have none and the others few. A file
// may have very many regions, so most are told apart by one bit.
type touchedPlaces struct {
	all  map[wordOffset]bool
	bits []uint64 // touchedBits of them
}

const touchedBits = 1 << 15

func (t *touchedPlaces) add(at wordOffset) {
	if t.all == nil {
		t.all, t.bits = map[wordOffset]bool{}, make([]uint64, touchedBits/64)
	}
	t.all[at] = true
	t.bits[at/64%(touchedBits/64)] |= 1 << (at % 64)
}

func (t *touchedPlaces) empty() bool { return len(t.all) == 0 }

func (t *touchedPlaces) has(at Symbol) bool {
	return len(t.all) > 0 && t.bits[at/64%(touchedBits/64)]>>(at%64)&1 == 1 && t.all[wordOffset(at)]
}

// hasSome reports whether the set has the series of some region of a block.
func (t *touchedPlaces) hasSome(l *numbers, k *knownBlock) bool {
	if t.empty() {
		return false
	}
	for _, r := range k.runs {
		if !r.first.region() {
			continue
		}
		for _, at := range l.labels.all[r.first.number():][:r.n] {
			if t.has(at) {
				return true
			}
		}
	}
	return false
}

func (t *touchedPlaces) clear() {
	clear(t.all)
	clear(t.bits)
}

// owner returns the series that a region belongs to, after all blocks were walked. There is
// none if it was reclaimed, or if the region was, whose place may be another one's by now. A
// removed series may be reclaimed at any time, and then the region may be that of a new series
// in its place.
func (p *parser) owner(i uint32) (s seriesRef, ok bool) {
	s, ok = p.seriesAt(wordOffset(p.regions.labels.all[i]))
	if !ok || s.region() || p.gone(s) || !p.isStill(i) {
		return 0, false
	}
	return s, !s.removed() || p.isRemoved(p.blocks[p.removed.records.all[s.number()].record/blockWords], s)
}

// findOwners gives regions their series, if they are new or their series has come or gone, and
// has them claim their words.
func (p *parser) findOwners() {
	l := &p.regions
	if l.claimed == l.all() && p.touched.empty() {
		return
	}
	for i := range p.known {
		k := &p.known[i]
		if k.regions == 0 || !k.fresh && !p.touched.hasSome(l, k) {
			continue
		}
		p.changeRegions(i, func(s seriesRef) (now seriesRef, ok bool) {
			n := s.number()
			known := int(n) < l.claimed
			if p.gone(s) || known && !p.touched.has(l.labels.all[n]) {
				return s, true
			}
			owner, ok := p.owner(n)
			if ok {
				ok = p.fits(k, i, n, owner)
			} else {
				k.overlaps = true // look again: its series may be found later
			}
			if known || !ok {
				p.goes(s)
			}
			if known && ok {
				now = listRegions | seriesRef(l.all())
				l.add(l.labels.all[n], l.records.all[n], l.created[n], 16)
				return now, true
			}
			return s, ok
		})
	}
	p.touched.clear()
	l.kept, l.planned = l.all(), false
	p.claimRegions()
}

// fits reports whether a region may belong to a series. If not, it is damaged.
func (p *parser) fits(k *knownBlock, block int, n uint32, owner seriesRef) bool {
	schema, at := p.schemaOf(owner), p.regions.records.all[n].record
	switch {
	case schema.Native == nil:
		p.damageAt(&k.content, block, uint64(at%blockWords)*8, "a region of a series of %s, which has no native buckets", schema.Name)
	case shapeSchema(p.regions.created[n]) > schema.Native.Schema:
		p.damageAt(&k.content, block, uint64(at%blockWords)*8, "a region of schema %d of a series of %s, which has schema %d", shapeSchema(p.regions.created[n]), schema.Name, schema.Native.Schema)
	default:
		return true
	}
	return false
}

// claimRegions has every new region claim its words.
func (p *parser) claimRegions() {
	l := &p.regions
	var refused []uint32
	for i := l.claimed; i < l.all(); i++ {
		if !l.dropped[uint32(i)] && !p.claimed.claim(l.records.all[i].cells, histogram.RegionBuckets) {
			refused = append(refused, uint32(i))
		}
	}
	l.claimed = l.all()
	if len(refused) == 0 {
		return
	}
	// The series of the region that has the words may have become free after its block was
	// walked.
	for _, i := range refused {
		l.goes(i) // it has no words to give back
	}
	p.recheck()
	p.disown()
	for _, i := range refused {
		at := l.records.all[i]
		_, there := p.owner(i)
		if there && p.claimed.claim(at.cells, histogram.RegionBuckets) {
			delete(l.dropped, i)
			continue
		}
		block := int(at.record / blockWords)
		k := &p.known[block]
		k.overlaps = true
		if there && p.unsettled == 0 {
			p.damageAt(&k.content, block, uint64(at.record%blockWords)*8, "a region shares words with another one, or with a series")
		}
	}
}

// disown drops the regions of series that have gone since findOwners, and returns their
// numbers.
func (p *parser) disown() (late []uint32) {
	for i := range p.known {
		if k := &p.known[i]; k.regions == 0 || !p.touched.hasSome(&p.regions, k) {
			continue
		}
		p.changeRegions(i, func(s seriesRef) (seriesRef, bool) {
			if p.gone(s) || !p.touched.has(p.regions.labels.all[s.number()]) {
				return s, true
			}
			p.goes(s)
			late = append(late, s.number())
			return s, false
		})
	}
	p.touched.clear()
	return late
}

// changeRegions replaces the regions of a block by what change returns, or drops them if it
// returns false.
func (p *parser) changeRegions(block int, change func(s seriesRef) (now seriesRef, ok bool)) {
	k := &p.known[block]
	changed := false
	runs := make([]run, 0, len(k.runs))
	for _, r := range k.runs {
		if !r.first.region() {
			runs = append(runs, r)
			continue
		}
		for s := r.first; s < r.first+seriesRef(r.n); s++ {
			now, ok := change(s)
			if changed = changed || !ok || now != s; ok {
				runs = appendRun(runs, now)
			}
		}
	}
	if changed {
		k.runs, k.fresh = runs, true
	}
}

// nameOwners tells the numbers of the series of new regions.
func (p *parser) nameOwners(d *Delta) {
	for _, r := range d.Added {
		for i := r.First; i < r.First+r.N; i++ {
			d.From = append(d.From, p.ownerNumber(i))
		}
	}
}

// ownerNumber returns the number of the series of region i, or ^number of a removed one.
func (p *parser) ownerNumber(i int) int32 {
	s, _ := p.seriesAt(wordOffset(p.regions.labels.all[i]))
	if s.removed() {
		return ^int32(s.number())
	}
	return int32(s.number())
}

// removedRegions returns how many bytes the regions of removed series have.
func (r *Reader) removedRegions() (n int64) {
	p := &r.parser
	for i := range p.regions.n {
		if p.regions.Has(i) && p.ownerNumber(i) < 0 {
			at := p.regions.records.all[i].record
			n += int64(loadWord(r.blocks[at/blockWords], uint64(at%blockWords)*8)&(1<<32-1)) + 8*histogram.RegionBuckets
		}
	}
	return n
}

// shapeSchema returns the schema of a region, from its word at offRegSchema.
func shapeSchema(shape int64) int { return int(int8(shape)) }

// RegionBytes is how many bytes of the file a region takes: its record and its words.
const RegionBytes = regionSize + 8*histogram.RegionBuckets

// RegionList is the regions of a file by their numbers. It has the rules of a SeriesList. The
// values of region i begin at histogram.RegionBuckets times i.
type RegionList struct{ list SeriesList }

// Len returns the number of numbers: of regions and of gaps.
func (l *RegionList) Len() int { return l.list.Len() }

// Has reports whether there is a region of that number, and not a gap.
func (l *RegionList) Has(i int) bool { return l.list.Has(i) }

// Schema returns the schema of region i.
func (l *RegionList) Schema(i int) int { return shapeSchema(l.list.created[i]) }

// Negative reports whether region i has the buckets of negative values.
func (l *RegionList) Negative(i int) bool { return byte(l.list.created[i]>>8) == 1 }

// Number returns the number that the buckets of region i begin at, divided by
// histogram.RegionBuckets.
func (l *RegionList) Number(i int) int32 { return int32(l.list.created[i] >> 32) }

// Apply is Delta.Apply for regions. It brings also owners up to date, which has what
// Delta.From says of every region, 0 for a gap.
func (l *RegionList) Apply(d *Delta, values []uint64, owners []int32) ([]uint64, []int32) {
	if d.Reset {
		owners = owners[:0]
	}
	for _, n := range d.Gone {
		owners[n] = 0
	}
	from := d.From
	for _, r := range d.Added {
		for i := r.First; i < r.First+r.N; i++ {
			for i >= len(owners) {
				owners = append(owners, 0)
			}
			owners[i], from = from[0], from[1:]
		}
	}
	return d.Apply(values, &l.list), owners
}

// Region is a region as a reader sees it.
type Region struct {
	histogram.Region
	Series  int  // number of its series
	Removed bool // the series is among the removed ones
	Offset  int64
}

// RegionList returns the regions of the last good Read or Refresh.
func (r *Reader) RegionList() RegionList { return RegionList{r.parser.regions.list()} }

// Regions returns the regions with their words, which change while they are read: access them
// atomically and within Guard. They are valid until the Reader is closed.
func (r *Reader) Regions() (out []Region) {
	l := r.RegionList()
	for i := range l.Len() {
		if !l.Has(i) || r.blocks == nil {
			continue
		}
		at := l.list.records.all[i]
		one := Region{Series: int(r.parser.ownerNumber(i)), Offset: 8 * int64(at.record)}
		if one.Series < 0 {
			one.Series, one.Removed = ^one.Series, true
		}
		one.Region = histogram.Region{
			Schema: l.Schema(i), Negative: l.Negative(i), Number: l.Number(i),
			Counts: (*[histogram.RegionBuckets]uint64)(r.words(at.cells, histogram.RegionBuckets)),
		}
		out = append(out, one)
	}
	return out
}
