package mpm

import (
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"
	"unicode/utf8"
	"unsafe"

	"github.com/multiprom/multiprom/metric"
)

// Store is the writer: one process's families and series.
//
// Invariants:
//  1. A block never moves and is never freed, so words stay valid forever.
//  2. Nobody reads what is after the used part of a block, so it may be written
//     in any order. Storing used publishes it.
//  3. Only the holder of mu stores used, blocks, records and the counts of changes.
//  4. Words change their owner only after the record that names them is free in the file,
//     which is after KeepRemoved, and only if no handle can reach them.
//  5. After every store, each META block can be walked from record to record.
type Store struct {
	// Immutable after the constructor.
	path   string // empty on the heap
	opts   Options
	header Header
	first  []byte // block 0, with the mutable words of the file header

	mu      sync.Mutex
	backing backing
	blocks  [][]byte
	meta    cursor // position of the next record
	cells   cursor // position of the next words
	lines   cursor // position of the next line of a region
	schemas []*SchemaRef
	closed  bool
	newest  int64 // the created time of the newest series

	freeMeta  freeSpace    // free records
	freeCells freeSpace    // free words
	freeLines freeSpace    // free lines of regions
	queue     reclaimQueue // removed series whose handles are gone
	scratch   []byte       // a record that is written to free space

	stored func() // called after every store to the file that mu guards; for tests

	noExemplars atomic.Bool  // there was no space for one
	noRegions   atomic.Int64 // likewise: the time, by Options.Elapsed, at which it is worth a try; 0: now

	link linkWatch
}

// cursor is the unused rest of the current block.
type cursor struct {
	block []byte
	index int    // of the block in the file
	used  uint64 // offset in the block
}

func (c *cursor) room() uint64 { return uint64(len(c.block)) - c.used }

// take advances the cursor by n bytes and returns their offset.
func (c *cursor) take(n int) wordOffset {
	off := uint64(c.index)<<blockShift + c.used
	c.used += uint64(n)
	return wordOffset(off / 8)
}

// publish makes everything before the cursor visible to readers.
func (s *Store) publish(c *cursor) {
	header, _ := blockStart(c.index)
	s.put(c.block, header+offBlockUsed, c.used)
}

// SchemaRef is a schema in a store, from AddSchema.
type SchemaRef struct {
	store  *Store
	schema *metric.Schema
	id     uint32
	lost   bool // the file had no space for its record, so all series are on the heap
}

// Schema returns the schema. It must not be changed.
func (f *SchemaRef) Schema() *metric.Schema { return f.schema }

// Counter names one of the counters in the file's header.
type Counter uint64

// The counters of a header (docs/format.md, "File header").
const (
	InvalidUpdates Counter = offInvalid   // dropped updates and exemplars: negative, NaN, wrong mode, too long
	OverflowSeries Counter = offOverflow  // new series sent to an overflow series
	FallbackSeries Counter = offFallback  // series on the heap because the file is full
	DiscardedCalls Counter = offDiscarded // lookups with wrong labels
	ExpiredSeries  Counter = offExpired   // series that have expired
	RevivedSeries  Counter = offRevived   // new lives of series that had expired, or were idle as long
	ReusedSeries   Counter = offReused    // series whose records have the space of others
)

// format writes the headers of a new store into its first block.
func (s *Store) format(h Header, first []byte) {
	s.header, s.first = h, first
	s.blocks = [][]byte{first}
	h.encode(first[:headerSize]) // the magic first: a file that is not empty begins with it
	storeWord(first, offFeatures, featureBlocks|featureActive)
	storeWord(first, offLease, uint64(s.opts.KeepRemoved))
	storeWord(first, offBootTime, uint64(s.opts.boot))
	s.meta = s.startBlock(first, 0, blockMeta)
	storeWord(first, offBlocks, 1)
}

func (s *Store) startBlock(block []byte, index int, kind uint32) cursor {
	header, start := blockStart(index)
	le.PutUint32(block[header+offBlockKind:], kind)
	le.PutUint32(block[header+offBlockIndex:], uint32(index))
	c := cursor{block, index, start}
	s.publish(&c)
	return c
}

// Path returns the file's path, empty for a store on the heap.
func (s *Store) Path() string { return s.path }

// Header returns the header of the store.
func (s *Store) Header() Header { return s.header }

// Count adds n to one of the header's counters. It is one atomic add.
func (s *Store) Count(c Counter, n uint64) { addWord(s.first, uint64(c), n) }

// AddSchema adds a schema, which must not change afterwards. ErrRecordTooLarge: it does not
// fit into a block. If the file is full, the family and all its series are on the heap. This
// is not an error; see FallbackSeries.
func (s *Store) AddSchema(schema *metric.Schema) (*SchemaRef, error) {
	if err := schema.Check(); err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil, ErrClosed
	}
	s.askLink(s.opts.Now())
	f := &SchemaRef{store: s, schema: schema, id: uint32(len(s.schemas))}
	rec, err := encodeFamily(f.id, schema)
	if err != nil {
		return nil, err
	}
	if _, err := s.addRecord(rec); err != nil {
		f.lost = true
		return f, nil
	}
	s.schemas = append(s.schemas, f)
	return f, nil
}

// CheckFits returns the error that AddSchema would return for the schema,
// without a store.
func CheckFits(schema *metric.Schema) error {
	if err := schema.Check(); err != nil {
		return err
	}
	_, err := encodeFamily(0, schema)
	return err
}

// AddSeries adds the series with these values of the family's variable labels and, for an
// info, further labels. The strings are copied. The initial words are those of
// docs/format.md: zero, an unset gauge, the first state.
//
// Adding the same labels twice creates two series, which readers merge; it is up to the
// caller to keep an index. ErrRecordTooLarge: the labels do not fit into a block. If the file
// is full, the words are on the heap and no reader sees them. This is not an error, but Lost
// returns true and the header counts it.
func (s *Store) AddSeries(f *SchemaRef, values []string, extra metric.Labels) (*Series, error) {
	h := new(Series)
	if err := s.InitSeries(h, f, values, extra); err != nil {
		return nil, err
	}
	return h, nil
}

// InitSeries is AddSeries for a handle in the caller's memory, such as in a struct with other
// data of the series. h is a zero Series, and stays zero if there is an error. ErrClosed is
// also the error for a Series that was removed.
func (s *Store) InitSeries(h *Series, f *SchemaRef, values []string, extra metric.Labels) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed || h.gone.Load() {
		return ErrClosed
	}
	now := s.opts.Now()
	s.askLink(now)
	r := seriesRecord{seriesHead{family: f.id, ttl: f.schema.TTL > 0, native: f.schema.Native != nil}, values, extra}
	size, err := r.size()
	if err != nil {
		return err
	}
	h.ref = f
	if r.native {
		h.attached.Store(&attached{regions: &regionList{store: s}})
	}
	if f.lost {
		s.lose(h)
		return nil
	}
	s.reclaimSome()
	w, cells, err := s.allocCells(f.schema)
	if err != nil {
		s.lose(h)
		return nil
	}
	initWords(f.schema, w)
	at, size, err := s.addSeriesRecord(&r, cells, size, now)
	if err != nil {
		s.freeCells.giveBack(cells, cellsSize(f.schema))
		s.lose(h)
		return nil
	}
	h.words, h.at = unsafe.SliceData(w), location{record: at, cells: cells, size: uint32(size)}
	return nil
}

// addSeriesRecord publishes the record of a series with these words. It returns where the
// record is and its size, which may be larger than the given one.
func (s *Store) addSeriesRecord(r *seriesRecord, cells wordOffset, size int, now time.Time) (wordOffset, int, error) {
	r.cells, r.created = cells, s.newCreated(now)
	if r.ttl {
		r.active = s.active()
	}
	if at, length, ok := s.takeFree(size, true); ok {
		size = recordSize(size, length)
		s.scratch = slices.Grow(s.scratch[:0], size)[:size]
		r.encode(s.scratch)
		s.fill(at, length, s.scratch)
		s.Count(ReusedSeries, 1)
		return at, size, nil
	}
	rec, at, err := s.reserve(size)
	if err != nil {
		return 0, 0, err
	}
	r.encode(rec)
	s.publish(&s.meta)
	return at, size, nil
}

// newCreated returns the created time of a series, which is newer than that of any other
// series of the store. So a place and a created time name one series for ever.
func (s *Store) newCreated(now time.Time) int64 {
	s.newest = max(now.UnixNano(), s.newest+1)
	return s.newest
}

// lose allocates a series' words on the heap.
func (s *Store) lose(h *Series) {
	s.Count(FallbackSeries, 1)
	w := make([]uint64, WordsPerSeries(h.ref.schema))
	initWords(h.ref.schema, w)
	h.words = unsafe.SliceData(w)
}

// initWords sets new words, which are zero, to their initial values.
func initWords(schema *metric.Schema, w []uint64) {
	if schema.Type.LikeGauge() && schema.Mode.Base() != metric.ModeMostRecent {
		atomic.StoreUint64(&w[CellGauge], UnsetBits)
	}
}

// wordOffset is where something stands in the file: the number of its first word.
type wordOffset uint32

// bytes returns the n bytes of the store at that place.
func (s *Store) bytes(at wordOffset, n int) []byte {
	off := 8 * uint64(at)
	return s.blocks[off>>blockShift][off&(BlockSize-1):][:n:n]
}

// addRecord publishes a record in free space or after the others. ErrFull: no block.
func (s *Store) addRecord(rec []byte) (wordOffset, error) {
	if at, length, ok := s.takeFree(len(rec), false); ok {
		s.fill(at, length, rec)
		return at, nil
	}
	b, at, err := s.reserve(len(rec))
	if err != nil {
		return 0, err
	}
	copy(b, rec)
	s.publish(&s.meta)
	return at, nil
}

// reserve returns the position of the next record. Publishing meta makes it visible to
// readers.
func (s *Store) reserve(size int) ([]byte, wordOffset, error) {
	if s.meta.room() < uint64(size) {
		if err := s.newBlock(&s.meta, blockMeta); err != nil {
			return nil, 0, err
		}
	}
	at := s.meta.take(size)
	return s.bytes(at, size), at, nil
}

// allocCells returns the words of a new series, which are zero, and their offset, 0 for none.
// A series without labels gets cache lines of its own: there are few such series, and all
// goroutines may update each of them.
func (s *Store) allocCells(schema *metric.Schema) ([]uint64, wordOffset, error) {
	n, size := WordsPerSeries(schema), cellsSize(schema)
	if n == 0 {
		return nil, 0, nil
	}
	lines := len(schema.Labels) == 0
	if at, ok := s.takeFreeCells(size, lines); ok {
		w := words(s.bytes(at, 8*n), 0, n)
		for i := range w {
			atomic.StoreUint64(&w[i], 0) // readers that have not noticed may still read them
			s.hook()
		}
		return w, at, nil
	}
	if gap := wholeLines(s.cells.used) - s.cells.used; lines && gap > 0 && gap <= s.cells.room() {
		at := s.cells.take(int(gap))
		s.publish(&s.cells)
		s.freeCells.add(at, int(gap/8))
	}
	if s.cells.room() < uint64(8*size) {
		if err := s.newBlock(&s.cells, blockCells); err != nil {
			return nil, 0, err
		}
	}
	at := s.cells.take(8 * size)
	s.publish(&s.cells)
	return words(s.bytes(at, 8*n), 0, n), at, nil
}

// cellsSize returns how many words the store allocates for a series.
func cellsSize(schema *metric.Schema) int {
	n := WordsPerSeries(schema)
	if len(schema.Labels) == 0 {
		n = int(wholeLines(uint64(8*n))) / 8
	}
	return n
}

// wholeLines rounds up to whole cache lines.
func wholeLines(n uint64) uint64 { return (n + cacheLine - 1) &^ (cacheLine - 1) }

func (s *Store) newBlock(c *cursor, kind uint32) error {
	b, err := s.backing.extend()
	if err != nil {
		return err
	}
	s.finishBlock(c, kind)
	*c = s.startBlock(b, len(s.blocks), kind)
	s.blocks = append(s.blocks, b)
	s.put(s.first, offBlocks, uint64(len(s.blocks)))
	return nil
}

// finishBlock makes the unused end of a block free space.
func (s *Store) finishBlock(c *cursor, kind uint32) {
	room := int(c.room())
	switch {
	case kind == blockCells && room > 0:
		at := c.take(room)
		s.publish(c)
		s.freeCells.add(at, room/8)
	case kind == blockMeta && room >= minRecord:
		at := c.take(room)
		rec := s.bytes(at, room)
		storeWord(rec, offRecCRC, stateFree<<32)
		storeWord(rec, offRecLen, recordHead(room, kindSeries))
		s.publish(c)
		s.freeMeta.add(at, room/8)
	}
}

// put stores a word. mu is held.
func (s *Store) put(b []byte, off, v uint64) {
	storeWord(b, off, v)
	s.hook()
}

func (s *Store) hook() {
	if s.stored != nil {
		s.stored()
	}
}

// changed tells readers that a published record of the block with that word has changed.
func (s *Store) changed(at wordOffset) { s.count(at, offBlockGen) }

// count adds 1 to a count of changes of a block, then to that of the file.
func (s *Store) count(at wordOffset, off uint64) {
	i := int(at / blockWords)
	header, _ := blockStart(i)
	s.put(s.blocks[i], header+off, loadWord(s.blocks[i], header+off)+1)
	s.put(s.first, offGeneration, loadWord(s.first, offGeneration)+1)
}

// Close marks the store closed: nothing can be added, and readers treat the process as dead.
// The file stays locked and mapped until the process ends, because handles may still be in
// use. Closing twice is ErrClosed.
func (s *Store) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return ErrClosed
	}
	s.closed = true
	storeWord(s.first, offClosed, 1)
	return nil
}

// Closed reports whether Close was called.
func (s *Store) Closed() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.closed
}

// Reader returns a reader of this store's memory, for a process that shows its own values.
// symbols is as in ReadOptions. The reader needs no Close.
func (s *Store) Reader(symbols *SymbolTable) *Reader {
	return newReader(s.header, s.path, &memory{store: s}, symbols)
}

// truncateUTF8 cuts s to at most n bytes at the end of a rune, and replaces invalid UTF-8.
func truncateUTF8(s string, n int) string {
	s = strings.ToValidUTF8(s, "\uFFFD")
	if len(s) <= n {
		return s
	}
	for n > 0 && !utf8.RuneStart(s[n]) {
		n--
	}
	return s[:n]
}
