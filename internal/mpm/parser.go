package mpm

import (
	"errors"
	"fmt"
	"iter"
	"sync/atomic"
	"time"
	"unsafe"

	"github.com/multiprom/multiprom/metric"
)

// maxDamageDetails bounds what a hostile file can make a reader keep.
const maxDamageDetails = 16

// parser turns blocks into families and series. It knows what each block had when it was
// last walked, so it reads again only what has changed.
type parser struct {
	path    string
	blocks  [][]byte // of the current refresh
	known   []knownBlock
	scratch []uint64 // one record
	later   bool     // a record refers to a block that was published after these
	sought  bool     // in this refresh, all blocks were searched for families
	changed bool     // a walk was accepted, and its series have not claimed their words yet
	cold    bool     // there was no good read since restart
	dirty   bool     // there is something to commit
	pauses  int      // of this refresh
	pause   func(time.Duration)
	between func() // called before every record; for tests
	gaps    int    // how many numbers may be gaps, besides half of all

	families  map[uint32]familyAt   // by number
	defined   map[wordOffset]uint32 // numbers of families by record
	ttl       bool                  // some have a TTL
	live      numbers
	removed   numbers
	regions   numbers       // see regions.go
	touched   touchedPlaces // records of series that have come or gone since regions were given their series
	exemplars []ExemplarInfo
	misfits   content // exemplars of buckets that their series do not have
	claimed   claims  // words that a series has

	walked    time.Duration // when the last refresh began
	unsettled int           // blocks whose walks did not count in the last refresh
	since     time.Duration // when what is known of them was last known to hold
}

// familyAt is the index of a family in the lists' schemas, and its record.
type familyAt struct {
	index  uint32
	record wordOffset
}

// knownBlock is what is known of a block.
type knownBlock struct {
	meta     bool   // it has records
	walked   bool   // gen, read and the rest are of a walk that counts
	gen      uint64 // loaded before it
	used     uint64 // likewise
	read     uint64 // how far it was read; unreadable if the rest is damaged
	overlaps bool   // some series have no words, because others have claimed them, or some regions no series
	renewed  bool   // a series has begun a new life since
	content

	fresh     bool          // it was walked since the last commit
	unsettled bool          // its last walks did not count
	since     time.Duration // then: when content was last known to hold
}

// content is what a walk finds in a block.
type content struct {
	runs      []run // series in the order of their places
	exemplars []exemplarAt
	damage    []CorruptionError
	damaged   int
	unknown   int
	removed   int // series
	regions   int // at least so many are known
	space     Space
}

// list returns the list that has the series.
func (p *parser) list(s seriesRef) *numbers {
	switch {
	case s.removed():
		return &p.removed
	case s.region():
		return &p.regions
	}
	return &p.live
}

// The first numbers of each list.
const (
	listLive    seriesRef = 0
	listRemoved seriesRef = removedBit
	listRegions seriesRef = regionBit
)

// lists yields all lists, the regions last.
func (p *parser) lists() iter.Seq2[seriesRef, *numbers] {
	return func(yield func(seriesRef, *numbers) bool) {
		_ = yield(listLive, &p.live) && yield(listRemoved, &p.removed) && yield(listRegions, &p.regions)
	}
}

// rollback forgets what the last walk has added.
func (p *parser) rollback() {
	for _, l := range p.lists() {
		l.rollback()
	}
}

// restart forgets all but the families, which never go.
func (p *parser) restart() {
	schemas, sizes, table := p.live.schemas, p.live.sizes, p.live.table
	fresh := func() numbers {
		return numbers{SeriesList: SeriesList{schemas: schemas, sizes: sizes, table: table}, reset: true}
	}
	*p = parser{path: p.path, scratch: p.scratch, pause: p.pause, between: p.between, gaps: p.gaps, cold: true, dirty: true, families: p.families, defined: p.defined, ttl: p.ttl, live: fresh(), removed: fresh()}
	p.removed.removed, p.removed.from = []int64{}, []int32{}
	p.regions = newRegions(table)
}

// unreadable is the offset of a block that is not read on.
const unreadable = BlockSize

// refresh reads what has changed in the blocks. later says that a record refers to a block
// that was published after the given ones. Then the caller calls again with more blocks.
func (p *parser) refresh(blocks [][]byte, now time.Duration) (later bool) {
	p.blocks, p.later, p.sought, p.pauses = blocks, false, false, 0
	p.rollback()
	for i := len(p.known); i < len(blocks); i++ {
		p.known = append(p.known, knownBlock{})
		p.begin(i, blocks[i])
	}
	for i, b := range blocks {
		if k := &p.known[i]; k.meta {
			p.block(i, b, k, now)
		}
		if p.later {
			return true
		}
	}
	p.unsettled, p.since = 0, unset
	for i := range p.known {
		if k := &p.known[i]; k.unsettled {
			p.unsettled++
			p.since = min(p.since, k.since)
		}
	}
	p.walked = now
	if p.changed {
		p.claim()
		p.findOwners()
		p.renumber()
		p.findExemplars()
		p.changed = false
	}
	return false
}

// begin checks the header of a new block.
func (p *parser) begin(i int, b []byte) {
	header, start := blockStart(i)
	kind, index := le.Uint32(b[header+offBlockKind:]), le.Uint32(b[header+offBlockIndex:])
	k := &p.known[i]
	switch {
	case index != uint32(i):
		p.damageAt(&k.content, i, header+offBlockIndex, "block %d says that it is block %d", i, index)
	case kind == blockMeta:
		k.meta, k.read = true, start
	case kind != blockCells:
		k.unknown++
	}
}

func (p *parser) damageAt(c *content, block int, off uint64, format string, args ...any) {
	c.damaged++
	if len(c.damage) < maxDamageDetails {
		c.damage = append(c.damage, CorruptionError{
			Path: p.path, Offset: int64(block)<<blockShift + int64(off), Reason: fmt.Sprintf(format, args...),
		})
	}
}

// record reads the record at off, adds it to what w has found and returns its length, or 0
// if the rest of the block cannot be read.
func (p *parser) record(w *walk, off uint64) uint64 {
	left := w.used - off
	if left < minRecord {
		p.damageAt(&w.content, w.block, off, "a record begins %d bytes before the end", left)
		return 0
	}
	head := loadWord(w.b, off+offRecLen)
	n := head & (1<<32 - 1)
	if n < minRecord || n%8 != 0 || n > left {
		p.damageAt(&w.content, w.block, off, "a record of %d bytes, %d are left", n, left)
		return 0
	}
	rec := w.b[off : off+n]
	at := wordOffset((uint64(w.block)<<blockShift + off) / 8)
	err := p.content(w, rec, head, at)
	if err == nil {
		return n
	}
	for try := 1; try < maxCopies && errors.Is(err, errWritten); try++ {
		err = p.content(w, rec, head, at)
	}
	switch {
	case errors.Is(err, errLater):
		p.later = true
	case err != nil && !errors.Is(err, errWritten):
		p.damageAt(&w.content, w.block, off, "%v", err)
	}
	return n
}

// maxCopies is how often a record is read that changes meanwhile. A series that was removed
// meanwhile is read the second time.
const maxCopies = 3

// content reads a record whose first word is head.
func (p *parser) content(w *walk, rec []byte, head uint64, at wordOffset) error {
	kind, sealed := uint16(head>>32), loadWord(rec, offRecCRC) // checksum and state
	w.mix(head, sealed)
	switch state := uint32(sealed >> 32); {
	case state == stateFree:
		w.space.Free += int64(len(rec))
		return nil
	case kind < kindFamily || kind > kindRegion, state != stateLive && (state != stateRemoved || !isSeries(kind)):
		w.unknown++
		return nil
	}
	switch kind {
	case kindFamily, kindNativeFamily:
		return p.family(rec, sealed, at)
	case kindExemplar:
		return p.exemplar(w, rec, sealed, at)
	case kindRegion:
		return p.region(w, rec, sealed, at)
	}
	return p.series(w, rec, sealed, at)
}

// isSeries reports whether records of the kind are series, and isFamily whether they are
// families.
func isSeries(kind uint16) bool { return kind == kindSeries || kind == kindNativeSeries }
func isFamily(kind uint16) bool { return kind == kindFamily || kind == kindNativeFamily }

// errWritten: the record is being written. The gen of its block will tell when it is done.
var errWritten = errors.New("the record is being written")

var errChecksum = errors.New("record checksum does not match")

// copy returns a copy of a record whose second word was sealed, and checks it. It is valid
// until the next call.
func (p *parser) copy(rec []byte, sealed uint64) ([]byte, error) {
	head := loadWord(rec, offRecLen)
	p.scratch = p.scratch[:0]
	src := words(rec, 0, len(rec)/8)
	for i := range src {
		p.scratch = append(p.scratch, atomic.LoadUint64(&src[i]))
	}
	out := wordBytes(p.scratch)
	switch {
	case loadWord(rec, offRecCRC) != sealed || p.scratch[0] != head || p.scratch[1] != sealed:
		return nil, errWritten
	case recordCRC(out) != le.Uint32(out[offRecCRC:]):
		return nil, errChecksum
	}
	return out, nil
}

// family reads the record of a family, unless it is known.
func (p *parser) family(rec []byte, sealed uint64, at wordOffset) error {
	if len(rec) < offFamBody {
		return errShortRecord
	}
	if f, ok := p.families[uint32(loadWord(rec, offFamID))]; ok && f.record == at {
		return nil
	}
	rec, err := p.copy(rec, sealed)
	if err != nil {
		return err
	}
	id, schema, err := decodeFamily(rec)
	if err != nil {
		return err
	}
	if _, ok := p.families[id]; ok {
		return fmt.Errorf("family %d is defined twice", id)
	}
	if other, ok := p.defined[at]; ok {
		return fmt.Errorf("family %d has the place of family %d", id, other)
	}
	if p.families == nil {
		p.families, p.defined = map[uint32]familyAt{}, map[wordOffset]uint32{}
	}
	p.families[id], p.defined[at] = familyAt{uint32(len(p.live.schemas)), at}, id
	p.live.schemas = append(p.live.schemas, schema)
	p.live.sizes = append(p.live.sizes, sizeOf(schema))
	p.removed.schemas, p.removed.sizes = p.live.schemas, p.live.sizes
	p.ttl = p.ttl || schema.TTL > 0
	return nil
}

// findFamilies reads the families of all blocks. A series may be before its family if it has
// the place of a removed one.
func (p *parser) findFamilies() {
	p.sought = true
	for i, b := range p.blocks {
		if !p.known[i].meta {
			continue
		}
		header, off := blockStart(i)
		used := min(loadWord(b, header+offBlockUsed), BlockSize)
		for off+minRecord <= used {
			head := loadWord(b, off+offRecLen)
			n := head & (1<<32 - 1)
			if n < minRecord || n%8 != 0 || n > used-off {
				break
			}
			if sealed := loadWord(b, off+offRecCRC); isFamily(uint16(head>>32)) && uint32(sealed>>32) == stateLive {
				// The walk of the block reports what is wrong with it.
				_ = p.family(b[off:off+n], sealed, wordOffset((uint64(i)<<blockShift+off)/8))
			}
			off += n
		}
	}
}

// series reads the record of a series, unless it is known.
func (p *parser) series(w *walk, rec []byte, sealed uint64, at wordOffset) error {
	removed := uint32(sealed>>32) == stateRemoved
	if len(rec) < offSerBody {
		return errShortRecord
	}
	w.mix(loadWord(rec, offSerCreated), 0)
	if known, ok := w.knownAt(p, at); ok {
		l := p.list(known)
		if !known.region() && int64(loadWord(rec, offSerCreated)) == l.created[known.number()] {
			if known.removed() == removed {
				w.keep(known, rec)
				return nil
			}
			if removed {
				p.remove(w, rec, known)
				return nil
			}
		}
		w.gone = append(w.gone, known)
	}
	rec, err := p.copy(rec, sealed)
	if err != nil {
		return err
	}
	return p.newSeries(w, rec, removed, at)
}

// remove adds a live series to the removed ones.
func (p *parser) remove(w *walk, rec []byte, known seriesRef) {
	l, i := &p.live, known.number()
	w.gone = append(w.gone, known)
	w.keep(p.addRemoved(l.labels.all[i], l.records.all[i], l.created[i], int64(loadWord(rec, offSerRemoved)), int32(i)), rec)
}

// addRemoved adds a series to the removed ones. from is its number among the live ones, or -1.
func (p *parser) addRemoved(labels Symbol, at recordRef, created, removed int64, from int32) seriesRef {
	l := &p.removed
	i := l.all()
	l.add(labels, at, created, 16)
	l.removed = append(l.removed, max(1, removed)) // a damaged record may have no time
	if from >= int32(p.live.n) {
		from = -1 // the last Reading did not have it
	}
	l.from = append(l.from, from)
	return refOf(i, true)
}

// newSeries adds the series of a copied record.
func (p *parser) newSeries(w *walk, rec []byte, removed bool, at wordOffset) error {
	r, values, extra, text, err := decodeSeries(rec)
	if err != nil {
		return err
	}
	family, ok := p.families[r.family]
	if !ok && !p.sought {
		rec = append([]byte(nil), rec...) // the search needs scratch
		p.findFamilies()
		return p.newSeries(w, wordAligned(rec), removed, at)
	}
	if !ok {
		return fmt.Errorf("a series of family %d, which is not defined", r.family)
	}
	schema := p.live.schemas[family.index]
	if r.native != (schema.Native != nil) {
		return fmt.Errorf("a series of %s, whose family is of another kind", schema.Name)
	}
	if values != len(schema.Labels) {
		return fmt.Errorf("a series of %s with %d label values, not %d", schema.Name, values, len(schema.Labels))
	}
	if _, err := p.cells(r.cells, p.live.sizes[family.index].words); err != nil {
		return err
	}
	raw := unsafe.String(unsafe.SliceData(text), len(text)) // of the scratch record
	if info := (SeriesInfo{Schema: schema, encoded: raw}); extra > 0 && !ascending(info.Labels()) {
		return fmt.Errorf("a series of %s has a label twice", schema.Name)
	}
	id, ok := p.live.table.Intern(raw)
	if !ok {
		return fmt.Errorf("a series of %s: there are too many label values", schema.Name)
	}
	where := recordRef{schema: family.index, record: at, cells: r.cells}
	if removed {
		w.keep(p.addRemoved(id, where, r.created, r.removed, -1), rec)
		return nil
	}
	i := p.live.all()
	p.live.add(id, where, r.created, min(p.room(at)/len(rec), mostExpected))
	w.keep(refOf(i, false), rec)
	return nil
}

// wordAligned returns a copy of b that is aligned like words.
func wordAligned(b []byte) []byte {
	out := wordBytes(make([]uint64, len(b)/8))
	copy(out, b)
	return out
}

// room returns how many bytes of the file remain.
func (p *parser) room(at wordOffset) int {
	return (len(p.blocks) - int(at>>(blockShift-3))) << blockShift
}

// mostExpected bounds the space that is allocated for a list in advance, because a large
// file may have few series.
const mostExpected = 1 << 15

// errLater: the words are in a block that was published after the list of blocks was read.
var errLater = errors.New("its words are after the last block")

// cells returns the n words at that index of the file.
func (p *parser) cells(index wordOffset, n int) ([]uint64, error) {
	if n == 0 {
		return nil, nil
	}
	block, off := uint64(index)*8>>blockShift, uint64(index)*8&(BlockSize-1)
	if block >= uint64(len(p.blocks)) {
		// A block is published before the records that refer to it.
		if block < loadWord(p.blocks[0], offBlocks) {
			return nil, errLater
		}
		return nil, fmt.Errorf("its words are in block %d, after the last one", block)
	}
	b := p.blocks[block]
	if block == 0 || le.Uint32(b[offBlockKind:]) != blockCells || uint64(le.Uint32(b[offBlockIndex:])) != block {
		return nil, fmt.Errorf("its words lie in block %d, which holds none", block)
	}
	if used := loadWord(b, offBlockUsed); off < blockHeaderSize || off+uint64(8*n) > min(used, BlockSize) {
		return nil, fmt.Errorf("its %d words at %d lie outside the used part of block %d", n, off, block)
	}
	return words(b, off, n), nil
}

func (p *parser) schemaOf(s seriesRef) *metric.Schema {
	l := p.list(s)
	return l.schemas[l.records.all[s.number()].schema]
}
