package mpm

import (
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"time"

	"github.com/edsrzf/mmap-go"

	"github.com/multiprom/multiprom/internal/options"
	"github.com/multiprom/multiprom/metric"
)

// ReadOptions limit what Open accepts. The zero value is useful.
type ReadOptions struct {
	// Trusted reports whether files of a uid are read. Default: all files are read.
	Trusted func(uid int) bool
	// MaxBytes is the size above which a file is not read. Default 1 GiB; NoLimit.
	MaxBytes int64
	// Symbols keeps the labels of series. Default: a new table.
	Symbols *SymbolTable
}

// defaultReadBytes is the default of ReadOptions.MaxBytes.
const defaultReadBytes = 1 << 30

// limit returns the maximal size of a file that is read.
func (o ReadOptions) limit() (int64, error) {
	var c options.Checker
	options.Number(&c, "MaxBytes", &o.MaxBytes, defaultReadBytes, NoLimit)
	if o.MaxBytes == NoLimit {
		o.MaxBytes = math.MaxInt64
	}
	return o.MaxBytes, c.Err()
}

// source provides a reader's blocks.
type source interface {
	// blocks returns at least the first n blocks. They stay valid until close.
	blocks(n int) ([][]byte, error)
	locked(kind Liveness) (bool, error)
	close() error
}

// Reader reads one store as it grows. It belongs to one goroutine at a time.
type Reader struct {
	path   string
	header Header
	src    source
	blocks [][]byte
	parser parser

	elapsed    func() time.Duration // the monotonic clock
	clocks     func() (wall, boot int64, ok bool)
	set        int64         // by how much the wall clock was set since the file was created, in ns
	walked     time.Duration // when the last walk began
	generation uint64        // then
	exemplars  []Exemplar    // of the last Reading
}

// Open opens a file for reading. The error matches ErrForeign,
// ErrUnsupported, ErrCorrupt, ErrNotTrusted, ErrTooBig or one of package fs.
func Open(path string, opts ReadOptions) (*Reader, error) {
	f, err := openRegular(path)
	if err != nil {
		return nil, err
	}
	r, err := open(f, path, opts)
	if err != nil {
		f.Close()
		return nil, err
	}
	return r, nil
}

func open(f *os.File, path string, opts ReadOptions) (*Reader, error) {
	size, err := checkFile(f, path, opts)
	if err != nil {
		return nil, err
	}
	b := make([]byte, headerSize)
	n, err := f.ReadAt(b, 0)
	if err != nil && n < len(magic) && size >= headerSize {
		return nil, fmt.Errorf("mmapstore: read header: %w", err)
	}
	if size == 0 {
		return nil, &CorruptionError{Path: path, Reason: "the file is empty"}
	}
	h, err := decodeHeader(b[:n])
	var c *CorruptionError
	switch {
	case errors.As(err, &c):
		c.Path = path
		return nil, c
	case err != nil:
		return nil, fmt.Errorf("%s: %w", path, err)
	case h.FileName() != filepath.Base(path):
		return nil, fmt.Errorf("%s: %w: a copy or link of %s", path, ErrForeign, h.FileName())
	case size < BlockSize:
		return nil, &CorruptionError{Path: path, Offset: size, Reason: "the file ends within its first block"}
	}
	src := &mappedFile{f: f, path: path, ext: extents{f: f, prot: mmap.RDONLY}, locks: locksWork(f)}
	r := newReader(h, path, src, opts.Symbols)
	if r.blocks, err = src.blocks(1); err != nil {
		return nil, err
	}
	return r, nil
}

func checkFile(f *os.File, path string, opts ReadOptions) (size int64, err error) {
	limit, err := opts.limit()
	if err != nil {
		return 0, err
	}
	info, err := f.Stat()
	if err != nil {
		return 0, err
	}
	if !info.Mode().IsRegular() {
		return 0, fmt.Errorf("%w: %s is not a regular file", ErrNotTrusted, path)
	}
	if err := opts.trusts(f, info, path); err != nil {
		return 0, err
	}
	if info.Size() > limit {
		return 0, fmt.Errorf("%w: %s has %d bytes, the cap is %d", ErrTooBig, path, info.Size(), limit)
	}
	return info.Size(), nil
}

// trusts returns why a file's owner is not trusted.
func (o ReadOptions) trusts(f *os.File, info os.FileInfo, path string) error {
	if o.Trusted == nil {
		return nil
	}
	switch owner := ownerUID(f, info); {
	case owner == nobody:
		return fmt.Errorf("%w: %s belongs to a user who has no number in this user namespace", ErrNotTrusted, path)
	case !o.Trusted(owner):
		return fmt.Errorf("%w: %s belongs to uid %d", ErrNotTrusted, path, owner)
	}
	return nil
}

func newReader(h Header, path string, src source, symbols *SymbolTable) *Reader {
	if symbols == nil {
		symbols = &SymbolTable{}
	}
	r := &Reader{path: path, header: h, src: src, parser: parser{path: path, pause: time.Sleep, gaps: mostGaps}, elapsed: elapsed, clocks: clocks}
	r.parser.live.table = symbols
	r.parser.restart()
	return r
}

// Path returns the file's path, empty for a store on the heap.
func (r *Reader) Path() string { return r.path }

// Header returns the header of the file.
func (r *Reader) Header() Header { return r.header }

// Refresh is Read without values, for those who read the words themselves: if Valid returns
// true after that, they are those of Series.
func (r *Reader) Refresh() error {
	return Guard(r.path, func() error {
		if err := r.walk(); err != nil {
			return err
		}
		r.commit(&Reading{})
		return r.readActive()
	})
}

// Valid reports whether words that were read since the last Refresh are those of the series
// that it found. It is an error if the file has become shorter, because then some may be
// zeros. Call it within Guard.
func (r *Reader) Valid() (bool, error) {
	if r.blocks == nil {
		return false, nil
	}
	return r.valid(), r.whole()
}

// whole returns an error if the file is shorter than what was read of it. After the new end
// of a mapped file, the rest of the page reads as zeros without a fault.
func (r *Reader) whole() error {
	_, err := r.src.blocks(len(r.blocks))
	return err
}

// Unsettled returns how many blocks changed so fast that the last Read or Refresh kept what it
// knew of them.
func (r *Reader) Unsettled() int { return r.parser.unsettled }

// takeBlocks makes all published blocks readable.
func (r *Reader) takeBlocks() (err error) {
	if len(r.blocks) == 0 {
		if r.blocks, err = r.src.blocks(1); err != nil {
			return err
		}
	}
	n := r.word(offBlocks)
	if n == 0 || n > maxBlocks {
		return &CorruptionError{Path: r.path, Offset: offBlocks, Reason: fmt.Sprintf("%d blocks are not possible", n)}
	}
	if int(n) > len(r.blocks) {
		blocks, err := r.src.blocks(int(n))
		if err != nil {
			return err // what was read before stays
		}
		r.blocks = blocks
	}
	return nil
}

// maxBlocks keeps offsets / 8 within 32 bits.
const maxBlocks = 1 << (32 + 3 - blockShift)

// Generation returns the header's generation. It is 0 until the meaning of a record changes.
// Call it within Guard.
func (r *Reader) Generation() uint64 { return r.word(offGeneration) }

// Schemas returns the schemas in the order in which they were found. A schema never goes.
func (r *Reader) Schemas() []*metric.Schema { return r.parser.live.schemas }

// List returns the live series.
func (r *Reader) List() SeriesList { return r.parser.live.list() }

// RemovedList returns the removed series whose words have not been freed.
func (r *Reader) RemovedList() SeriesList { return r.parser.removed.list() }

// Series returns the live series with their words, in the order of their numbers. Each call
// builds a new slice. List has them without words.
func (r *Reader) Series() []SeriesInfo { return r.infos(r.List()) }

// Exemplars returns the exemplar records of live series.
func (r *Reader) Exemplars() []ExemplarInfo { return r.parser.exemplars }

// Removed returns the series of RemovedList with their words.
func (r *Reader) Removed() []SeriesInfo { return r.infos(r.RemovedList()) }

func (r *Reader) infos(l SeriesList) []SeriesInfo {
	out := make([]SeriesInfo, 0, l.Len())
	for i := range l.Len() {
		if !l.Has(i) {
			continue
		}
		s := l.At(i)
		if r.blocks != nil {
			s.words = r.words(l.records.all[i].cells, WordsPerSeries(s.Schema))
		}
		out = append(out, s)
	}
	return out
}

// words returns the n words at that offset, which the parser has checked.
func (r *Reader) words(at wordOffset, n int) []uint64 {
	if n == 0 {
		return nil
	}
	return words(r.blocks[uint64(at)*8>>blockShift], uint64(at)*8&(BlockSize-1), n)
}

// Damaged returns the first few damages of what is in the file now, and their total number.
func (r *Reader) Damaged() (first []CorruptionError, n int) {
	p := &r.parser
	note := func(c *content) {
		n += c.damaged
		first = append(first, c.damage[:min(len(c.damage), maxDamageDetails-len(first))]...)
	}
	for i := range p.known {
		note(&p.known[i].content)
	}
	note(&p.misfits)
	return first, n
}

// Unknown returns how many records of unknown kinds or states were skipped.
func (r *Reader) Unknown() (n int) {
	for i := range r.parser.known {
		n += r.parser.known[i].unknown
	}
	return n
}

// Space says what a file's bytes are used for, besides live series and families.
type Space struct {
	Removed int64 // in records and words of removed series
	Free    int64 // in free records and free words
}

// Space returns how many bytes removed series and free space have. Call it within Guard.
func (r *Reader) Space() (out Space) {
	p := &r.parser
	cells := int64(0)
	for i := range p.known {
		k := &p.known[i]
		out.Removed, out.Free = out.Removed+k.space.Removed, out.Free+k.space.Free
		if b := r.blocks[i]; i > 0 && le.Uint32(b[offBlockKind:]) == blockCells {
			cells += int64(min(loadWord(b, offBlockUsed), BlockSize)) - blockHeaderSize
		}
	}
	l := p.removed.list()
	for i := range l.Len() {
		if l.Has(i) {
			out.Removed += 8 * int64(l.sizes[l.records.all[i].schema].words)
		}
	}
	out.Removed += r.removedRegions()
	out.Free += max(0, cells-8*int64(p.claimed.words()))
	return out
}

// Count returns one of the header's counters. Call it within Guard.
func (r *Reader) Count(c Counter) uint64 { return r.word(uint64(c)) }

// Closed reports whether the writer has closed its store. Call it within Guard.
func (r *Reader) Closed() bool { return r.word(offClosed) != 0 }

// Marked reports whether the process was marked dead by force. Call it within Guard.
func (r *Reader) Marked() bool { return r.word(offMarked) != 0 }

func (r *Reader) word(off uint64) uint64 {
	if r.blocks == nil {
		return 0
	}
	return loadWord(r.blocks[0], off)
}

// Bytes returns the number of bytes of the file that are in use.
func (r *Reader) Bytes() int64 { return int64(len(r.blocks)) << blockShift }

// Locked reports whether the writer holds the file's lock, that is, whether it is alive. If
// the header says that there is no lock, Locked returns true.
func (r *Reader) Locked() (bool, error) { return r.src.locked(r.header.Liveness) }

// Close releases the mapping and the descriptor. After it, words must not be used.
func (r *Reader) Close() error {
	r.blocks = nil
	return r.src.close()
}

// mappedFile is the source of Open.
type mappedFile struct {
	f     *os.File
	path  string
	ext   extents
	list  [][]byte
	locks bool // the filesystem, as mounted here, shows the writer's lock
}

func (m *mappedFile) blocks(n int) ([][]byte, error) {
	size, err := m.f.Seek(0, io.SeekEnd) // like Stat, in a fraction of the time
	if err != nil {
		return nil, err
	}
	if size < int64(n)<<blockShift {
		return nil, &CorruptionError{
			Path: m.path, Offset: size,
			Reason: fmt.Sprintf("the file is truncated: %d bytes of %d", size, int64(n)<<blockShift),
		}
	}
	if err := m.ext.cover(uint64(n) << blockShift); err != nil {
		return nil, fmt.Errorf("%s: %w", m.path, err)
	}
	for i := len(m.list); i < n; i++ {
		m.list = append(m.list, m.ext.block(i))
	}
	return m.list, nil
}

func (m *mappedFile) locked(kind Liveness) (bool, error) {
	if !m.locks {
		return true, nil // "free" would prove nothing
	}
	return lockHeld(m.f, kind)
}

func (m *mappedFile) close() error {
	m.list = nil
	return errors.Join(m.ext.unmap(), m.f.Close())
}

// memory is the source of Store.Reader.
type memory struct{ store *Store }

func (m *memory) blocks(int) ([][]byte, error) {
	m.store.mu.Lock()
	defer m.store.mu.Unlock()
	return m.store.blocks[:len(m.store.blocks):len(m.store.blocks)], nil
}

func (m *memory) locked(Liveness) (bool, error) { return true, nil }
func (m *memory) close() error                  { return nil }
