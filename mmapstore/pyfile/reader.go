package pyfile

import (
	"fmt"
	"math"
	"os"
	"strconv"
	"strings"
	"sync/atomic"
	"time"
	"unsafe"

	"github.com/edsrzf/mmap-go"

	"github.com/multiprom/multiprom/metric"
	"github.com/multiprom/multiprom/mmapstore"
)

// Name is what a file's name says.
type Name struct {
	Type metric.Type
	Mode metric.Mode // of a gauge
	ID   string      // the process identifier, by default its pid

	// Dead says that the file was set aside (mmapstore.Dir.SetAside), since its
	// process is dead; the incarnation is then that of the file.
	Dead        bool
	Incarnation mmapstore.Incarnation
}

// ParseName reads a file's name. The error says what is wrong with it.
func ParseName(name string) (Name, error) {
	original, inc, dead := mmapstore.SplitDeadName(name)
	if !dead {
		original = name
	}
	stem, ok := strings.CutSuffix(original, ".db")
	if !ok {
		return Name{}, fmt.Errorf("%w: %s does not end in .db", mmapstore.ErrForeign, name)
	}
	kind, id, _ := strings.Cut(stem, "_")
	n := Name{ID: id, Dead: dead, Incarnation: inc}
	switch kind {
	case "counter":
		n.Type = metric.Counter
	case "summary":
		n.Type = metric.Summary
	case "histogram":
		n.Type = metric.Histogram
	case "gauge":
		n.Type = metric.Gauge
		mode, id, ok := strings.Cut(id, "_")
		if n.ID = id; !ok {
			return Name{}, fmt.Errorf("%w: %s names no gauge mode", mmapstore.ErrForeign, name)
		}
		var err error
		if n.Mode, err = metric.ParseMode(mode); err != nil {
			return Name{}, fmt.Errorf("%w: %s: %w", mmapstore.ErrForeign, name, err)
		}
	default:
		return Name{}, fmt.Errorf("%w: %s names the unknown metric type %q", mmapstore.ErrForeign, name, kind)
	}
	if n.ID == "" {
		return Name{}, fmt.Errorf("%w: %s names no process", mmapstore.ErrForeign, name)
	}
	return n, nil
}

// Reader reads one file as it grows. It belongs to one goroutine at a time.
type Reader struct {
	name string
	path string
	opts mmapstore.ReadOptions

	data   mmap.MMap
	info   os.FileInfo
	stride int // 0 while no record was read
	off    int // up to which records were parsed
	damage []mmapstore.CorruptionError
	broken bool // what is behind off cannot be read
	ruby   bool // GitLab's client for Ruby has written it

	builder
}

// Open opens a file. The error matches mmapstore.ErrForeign where its name
// says nothing that client_python writes, or is one of mmapstore.Dir.Open's.
func Open(d *mmapstore.Dir, name string, opts mmapstore.ReadOptions) (*Reader, error) {
	n, err := ParseName(name)
	if err != nil {
		return nil, err
	}
	r := &Reader{name: name, path: d.Join(name), opts: opts, off: headerSize, builder: newBuilder(n)}
	if err := r.mapFile(d); err != nil {
		return nil, err
	}
	return r, nil
}

// mapFile maps the whole file as it is now. The descriptor is not kept: a
// directory may hold more files than a process may have open.
func (r *Reader) mapFile(d *mmapstore.Dir) error {
	f, size, err := d.OpenFile(r.name, r.opts)
	if err != nil {
		return err
	}
	defer f.Close()
	if r.info, err = f.Stat(); err != nil {
		return err
	}
	if size < headerSize {
		return &mmapstore.CorruptionError{Path: r.path, Offset: size, Reason: "the file ends within its header"}
	}
	data, err := mmap.Map(f, mmap.RDONLY, 0)
	if err != nil {
		return os.NewSyscallError("mmap", err)
	}
	old := r.data
	r.data = data
	if old != nil {
		return old.Unmap()
	}
	return nil
}

// Same reports whether info is of the file that is read, and not of another one
// that has taken its name.
func (r *Reader) Same(info os.FileInfo) bool { return os.SameFile(r.info, info) }

// Renamed tells the reader the file's new name: one that differs in whether it
// was set aside.
func (r *Reader) Renamed(d *mmapstore.Dir, name string) error {
	n, err := ParseName(name)
	if err != nil {
		return err
	}
	r.name, r.path, r.builder.name = name, d.Join(name), n
	return nil
}

// Changed returns when the file was made or grew last, as far as the
// filesystem knows: values are written without its knowledge.
func (r *Reader) Changed() time.Time { return r.info.ModTime() }

// Name returns what the file's name says.
func (r *Reader) Name() Name { return r.builder.name }

// Close gives back the mapping.
func (r *Reader) Close() error {
	if r.data == nil {
		return nil
	}
	data := r.data
	r.data = nil
	return data.Unmap()
}

// Refresh parses the records that were written since the last call. d is the
// directory, for a file that has grown. A damaged record is no error, see
// Damaged. A *CorruptionError says that the file can no longer be read.
func (r *Reader) Refresh(d *mmapstore.Dir) error {
	return mmapstore.Guard(r.path, func() error {
		end := used(r.data)
		if end > len(r.data) {
			if err := r.mapFile(d); err != nil {
				return err
			}
		}
		if end > len(r.data) {
			if !r.broken {
				r.damageAt(0, fmt.Errorf("%d bytes in use of a file of %d", end, len(r.data)))
			}
			end = len(r.data)
		}
		r.parse(end)
		return nil
	})
}

func (r *Reader) parse(end int) {
	if r.broken || r.off >= end {
		return
	}
	if r.stride == 0 {
		r.stride = strideOf(r.data, end)
	}
	before := len(r.series)
	defer func() { r.finish(before) }()
	for r.off < end {
		text, value, next, err := recordAt(r.data, r.off, end, r.stride)
		if err != nil {
			r.damageAt(r.off, err)
			r.broken = true // where the next one begins is unknown
			return
		}
		k, err := parseKey(text)
		r.ruby = r.ruby || k.ruby
		if err == nil && !r.repeats(k) {
			err = r.record(k, value)
		}
		if err != nil {
			r.damageAt(r.off, err)
		}
		r.off = next
	}
}

// repeats reports whether a record says what another one does: the count of a
// histogram, which GitLab's client for Ruby writes beside its bucket +Inf.
func (r *Reader) repeats(k key) bool {
	return k.ruby && r.builder.name.Type == metric.Histogram && k.sample == k.family+"_count"
}

func (r *Reader) damageAt(off int, err error) {
	r.damage = append(r.damage, mmapstore.CorruptionError{Path: r.path, Offset: int64(off), Reason: err.Error()})
}

// Damaged returns what was left out.
func (r *Reader) Damaged() []mmapstore.CorruptionError { return r.damage }

// Bytes returns the size of the file.
func (r *Reader) Bytes() int64 { return int64(len(r.data)) }

// AppendValues appends the values of all series, each in the words that a
// native file has for its type; of the mostrecent modes the value and its time.
// Call it within mmapstore.Guard.
func (r *Reader) AppendValues(dst []uint64) []uint64 {
	for i := range r.series {
		dst = r.appendSeries(dst, &r.series[i], r.parts[i])
	}
	return dst
}

// appendSeries appends one series, whose records' values lie at parts.
func (r *Reader) appendSeries(dst []uint64, s *mmapstore.SeriesInfo, parts []part) []uint64 {
	switch s.Family.Type {
	case metric.Counter:
		return append(dst, 0, r.sum(parts, wordValue))
	case metric.Summary:
		return append(dst, count(r.sum(parts, wordCount)), r.sum(parts, wordValue))
	case metric.Histogram:
		at := len(dst)
		dst = append(dst, r.sum(parts, wordValue))
		dst = append(dst, make([]uint64, len(s.Family.Bounds)+1)...)
		for _, p := range parts {
			if p.word >= wordBucket {
				dst[at+1+p.word-wordBucket] += count(r.bits(p.off))
			}
		}
		if r.ruby {
			separate(dst[at+1:])
		}
		return dst
	}
	last := parts[len(parts)-1].off
	if s.Family.Mode.Base() == metric.ModeMostRecent {
		if r.stride != strideTimed {
			return append(dst, r.bits(last), 0) // there are no times: never set
		}
		return append(dst, r.bits(last), uint64(int64(math.Float64frombits(r.bits(last+8))*1e9)))
	}
	bits := r.bits(last)
	if bits == mmapstore.UnsetBits {
		bits = math.Float64bits(math.NaN())
	}
	return append(dst, bits)
}

func (r *Reader) bits(off int) uint64 {
	return atomic.LoadUint64((*uint64)(unsafe.Pointer(&r.data[off])))
}

// sum adds the values of the records for that word: a key may be there twice.
func (r *Reader) sum(parts []part, word int) uint64 {
	total := 0.0
	for _, p := range parts {
		if p.word == word {
			total += math.Float64frombits(r.bits(p.off))
		}
	}
	return math.Float64bits(total)
}

// count turns a float that counts into a whole number.
func count(bits uint64) uint64 {
	f := math.Float64frombits(bits)
	if !(f > 0) {
		return 0
	}
	return uint64(math.Min(math.Round(f), 1<<63))
}

// separate turns cumulative counts of buckets into what each has by itself. One
// that is less than the bucket below it is of an observation that is half
// written, or was when its process was killed.
func separate(counts []uint64) {
	below := uint64(0)
	for i, n := range counts {
		n = max(n, below)
		counts[i], below = n-below, n
	}
}

// bound parses the label le.
func bound(s string) (float64, error) {
	f, err := strconv.ParseFloat(s, 64)
	if err != nil || math.IsNaN(f) || math.IsInf(f, -1) {
		return 0, fmt.Errorf("the bucket bound %q is no number", s)
	}
	return f, nil
}
