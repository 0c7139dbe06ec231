package mpm

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"sync/atomic"
	"unsafe"
)

// maxDamageDetails bounds what a hostile file can make a reader keep.
const maxDamageDetails = 16

// parser turns blocks into families and series, and remembers how far it got in each block.
type parser struct {
	path       string
	started    bool
	generation uint64
	epoch      int
	read       []uint64 // per block: the offset up to which it was parsed; 0 if it was not started
	scratch    []uint64 // one record

	// State of the current refresh.
	blocks [][]byte
	later  bool // a record refers to a block that was published after these

	families  map[uint32]uint32 // index in the lists' families, by number
	series    SeriesList
	removed   SeriesList
	trimmed   int // number of series when the lists were last trimmed
	exemplars []ExemplarInfo

	spans   []span // of the words of series
	claimed claims // words that a series has
	values  int    // number of values in spans
	damage  []CorruptionError
	damaged int
	unknown int
}

// refresh reads records until the generation stays the same. If a writer removes series all
// the time, it gives up. Then Reader.Unchanged returns false, and the caller tries again.
//
// later says that a record refers to a block that was published after the given ones. Then
// the caller calls again with more blocks.
func (p *parser) refresh(blocks [][]byte) (later bool) {
	p.blocks = blocks
	for range 16 {
		p.later = false
		generation := loadWord(blocks[0], offGeneration)
		if !p.started || generation != p.generation {
			p.restart(generation)
		}
		for i, b := range blocks {
			if p.block(i, b); p.later {
				return true
			}
		}
		if loadWord(blocks[0], offGeneration) == generation {
			break
		}
	}
	if n := p.series.Len(); n > 2*p.trimmed {
		p.series.trim()
		p.trimmed = n
	}
	return false
}

func (p *parser) restart(generation uint64) {
	*p = parser{
		path: p.path, started: true, generation: generation, epoch: p.epoch + 1,
		families: map[uint32]uint32{}, scratch: p.scratch, blocks: p.blocks,
		series: SeriesList{table: p.series.table}, removed: SeriesList{table: p.series.table},
	}
}

func (p *parser) damageAt(block int, off uint64, format string, args ...any) {
	p.damaged++
	if len(p.damage) < maxDamageDetails {
		p.damage = append(p.damage, CorruptionError{
			Path: p.path, Offset: int64(block)<<blockShift + int64(off), Reason: fmt.Sprintf(format, args...),
		})
	}
}

// unreadable is the offset of a block that is not parsed again.
const unreadable = BlockSize

func (p *parser) block(i int, b []byte) {
	if i == len(p.read) {
		p.read = append(p.read, p.begin(i, b))
	}
	off := p.read[i]
	if off >= unreadable {
		return
	}
	header, _ := blockStart(i)
	used := loadWord(b, header+offBlockUsed)
	if used > BlockSize {
		p.damageAt(i, header+offBlockUsed, "%d bytes in use of a block of %d", used, BlockSize)
		used = BlockSize
	}
	for off < used {
		n := p.record(i, b, off, used)
		if p.later {
			break
		}
		if n == 0 {
			off = unreadable
			break
		}
		off += n
	}
	p.read[i] = off
}

// begin checks a block's header and returns the offset of its first record.
func (p *parser) begin(i int, b []byte) uint64 {
	header, start := blockStart(i)
	kind, index := le.Uint32(b[header+offBlockKind:]), le.Uint32(b[header+offBlockIndex:])
	switch {
	case index != uint32(i):
		p.damageAt(i, header+offBlockIndex, "block %d says that it is block %d", i, index)
		return unreadable
	case kind == blockMeta:
		return start
	case kind != blockCells:
		p.unknown++
		return unreadable
	}
	return unreadable // cells have no records
}

// record reads the record at off and returns its length, or 0 if the rest of the block
// cannot be read.
func (p *parser) record(block int, b []byte, off, used uint64) uint64 {
	if used-off < offFamID {
		p.damageAt(block, off, "a record begins %d bytes before the end", used-off)
		return 0
	}
	n := uint64(le.Uint32(b[off+offRecLen:]))
	if n < offFamID || n%8 != 0 || n > used-off {
		p.damageAt(block, off, "a record of %d bytes, %d are left", n, used-off)
		return 0
	}
	switch kind := le.Uint16(b[off+offRecKind:]); {
	case kind == kindExemplar:
		if err := p.exemplar(b[off : off+n]); err != nil {
			p.damageAt(block, off, "%v", err)
		}
		return n
	case kind != kindFamily && kind != kindSeries:
		p.unknown++
		return n
	}
	switch state := loadState(b, off+offRecState); {
	case state != stateLive && state != stateRemoved:
		return n
	case state == stateRemoved && le.Uint16(b[off+offRecKind:]) == kindFamily:
		return n
	}
	// Word by word, because the writer may reuse a removed record meanwhile.
	p.scratch = p.scratch[:0]
	src := words(b, off, int(n/8))
	for i := range src {
		p.scratch = append(p.scratch, atomic.LoadUint64(&src[i]))
	}
	rec := wordBytes(p.scratch)
	live := le.Uint32(rec[offRecState:]) == stateLive
	intact := recordCRC(rec) == le.Uint32(rec[offRecCRC:])
	var err error
	switch {
	case !intact && !live:
		return n // it is being reused; the generation will change
	case !intact:
		p.damageAt(block, off, "record checksum does not match")
		return n
	case le.Uint16(rec[offRecKind:]) == kindFamily:
		err = p.family(rec)
	default:
		err = p.oneSeries(rec, live, wordOffset((uint64(block)<<blockShift+off)/8))
	}
	switch {
	case errors.Is(err, errLater):
		p.later = true
		return 0
	case err != nil && live:
		p.damageAt(block, off, "%v", err)
	}
	return n
}

func (p *parser) family(rec []byte) error {
	id, schema, err := decodeFamily(rec)
	if err != nil {
		return err
	}
	if _, ok := p.families[id]; ok {
		return fmt.Errorf("family %d is defined twice", id)
	}
	p.families[id] = uint32(len(p.series.schemas))
	p.series.schemas = append(p.series.schemas, schema)
	p.removed.schemas = p.series.schemas
	return nil
}

func (p *parser) oneSeries(rec []byte, live bool, at wordOffset) error {
	r, values, extra, text, err := decodeSeries(rec)
	if err != nil {
		return err
	}
	family, ok := p.families[r.family]
	if !ok {
		return fmt.Errorf("a series of family %d, which is not defined", r.family)
	}
	schema := p.series.schemas[family]
	if values != len(schema.Labels) {
		return fmt.Errorf("a series of %s with %d label values, not %d", schema.Name, values, len(schema.Labels))
	}
	w, err := p.cells(r.cells, WordsPerSeries(schema))
	if err != nil {
		return err
	}
	// A reader's memory is bounded by the size of the file only if no word is read twice.
	if !p.claimed.claim(r.cells, len(w)) {
		return fmt.Errorf("a series of %s shares words with one before it", schema.Name)
	}
	raw := unsafe.String(unsafe.SliceData(text), len(text)) // of the scratch record
	if info := (SeriesInfo{Schema: schema, encoded: raw}); extra > 0 && !ascending(info.Labels()) {
		return fmt.Errorf("a series of %s has a label twice", schema.Name)
	}
	id, ok := p.series.table.Intern(raw)
	if !ok {
		return fmt.Errorf("a series of %s: there are too many label values", schema.Name)
	}
	where := recordRef{schema: family, record: at, cells: r.cells}
	if live {
		if p.series.Len() == 0 {
			p.series.begin(id, where, min(p.room(at)/len(rec), mostExpected))
		}
		p.series.add(id, where, r.created)
		p.addSpan(schema, r.cells, len(w))
	} else {
		p.removed.add(id, where, r.created)
		p.removed.removed = append(p.removed.removed, max(1, r.removed)) // a damaged record may have no time
	}
	return nil
}

// room returns how many bytes of the file remain.
func (p *parser) room(at wordOffset) int {
	return (len(p.blocks) - int(at>>(blockShift-3))) << blockShift
}

// mostExpected bounds the space that is allocated for a list in advance, because a large
// file may have few series.
const mostExpected = 1 << 15

// exemplar reads a record whose length was verified. It skips exemplars of removed series.
func (p *parser) exemplar(rec []byte) error {
	switch {
	case recordCRC(rec) != le.Uint32(rec[offRecCRC:]):
		return errors.New("record checksum does not match")
	case len(rec) < offExeHalves+2*8*halfLabels || (len(rec)-offExeHalves)%16 != 0:
		return fmt.Errorf("an exemplar record of %d bytes", len(rec))
	}
	at := wordOffset(le.Uint32(rec[offExeSeries:]))
	i, found := slices.BinarySearchFunc(p.series.records.all, at, func(e recordRef, at wordOffset) int { return cmp.Compare(e.record, at) })
	if !found {
		return nil
	}
	schema := p.series.Schema(i)
	bucket, count := int(le.Uint32(rec[offExeBucket:])), exemplarCount(schema)
	if bucket >= count {
		return fmt.Errorf("an exemplar number %d of a series of %s, which has %d", bucket, schema.Name, count)
	}
	p.exemplars = append(p.exemplars, ExemplarInfo{
		Series: i, Bucket: bucket, cells: exemplarCells{words: words(rec, offExeSequence, (len(rec)-offExeSequence)/8)},
	})
	return nil
}

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
