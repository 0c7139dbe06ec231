package pyfile

import (
	"fmt"
	"io/fs"
	"os"
	"slices"
	"sync/atomic"
	"time"
	"unsafe"

	"github.com/edsrzf/mmap-go"

	"github.com/multiprom/multiprom/internal/mpm"
	"github.com/multiprom/multiprom/metric"
)

// Reader reads one file as it grows. It belongs to one goroutine at a time, together with
// its Keys.
type Reader struct {
	name string
	path string
	opts mpm.ReadOptions
	says Name

	data   mmap.MMap
	info   os.FileInfo
	stride int // 0 until a record has been read
	off    int // end of the parsed records
	end    int // length in use, from the file
	damage []mpm.CorruptionError
	broken bool // with this end, nothing after off can be read

	keys    *KeySet
	series  int      // number of series with a value
	records []uint32 // their keys
	offsets []uint32 // of their values
	fileSchemas
	cumulative cumulative
}

// Open opens a file. The error matches mmapstore.ErrForeign if its name or content is not
// client_python's (see Content), or is one of mpm.Dir.Open's.
func Open(d *mpm.Dir, name string, keys *Keys, opts mpm.ReadOptions) (*Reader, error) {
	n, err := ParseName(name)
	if err != nil {
		return nil, err
	}
	r := &Reader{name: name, path: d.Join(name), opts: opts, says: n}
	r.begin(keys)
	if err := r.mapFile(d); err != nil {
		return nil, err
	}
	return r, nil
}

func (r *Reader) begin(keys *Keys) {
	r.kind = Kind{Type: r.says.Type, Mode: r.says.Mode}
	r.keys, r.damage = keys.Of(r.kind), nil
	r.reset()
}

// Rewind parses the file again with other keys. If that fails, the Reader stays as it was,
// including its keys.
func (r *Reader) Rewind(d *mpm.Dir, keys *Keys) error {
	again := *r
	again.begin(keys)
	err := again.Refresh(d)
	if err != nil {
		r.data, r.info = again.data, again.info // it may have been mapped again
		return err
	}
	*r = again
	return nil
}

func (r *Reader) reset() {
	r.off, r.stride, r.broken = headerSize, 0, false
	r.series, r.records, r.offsets, r.cumulative = 0, nil, nil, nil
	r.fileSchemas = fileSchemas{kind: r.kind, epoch: r.epoch + 1}
}

// mapFile maps the whole file. It closes the descriptor, because a directory may have more
// files than a process may have open.
func (r *Reader) mapFile(d *mpm.Dir) error {
	f, size, err := d.OpenFile(r.name, r.opts)
	if err != nil {
		return err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return err
	}
	if r.info == nil && size > 0 {
		if err := recognize(f, size); err != nil {
			return fmt.Errorf("%s: %w", r.path, err)
		}
	}
	if r.info != nil && !os.SameFile(r.info, info) {
		return fmt.Errorf("%s: another file has its name: %w", r.path, fs.ErrNotExist)
	}
	r.info = info
	if size < headerSize {
		return &mpm.CorruptionError{Path: r.path, Offset: size, Reason: "the file ends within its header"}
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

// Same reports whether info describes the file that this Reader reads, and not another one
// that has taken its name.
func (r *Reader) Same(info os.FileInfo) bool { return os.SameFile(r.info, info) }

// Note stores the current file info for Changed.
func (r *Reader) Note(info os.FileInfo) { r.info = info }

// CutAt returns why a file of that size can no longer be read: more bytes were in use. What
// is missing from the last page reads as zeros, without a fault.
func (r *Reader) CutAt(size int64) error {
	if size >= int64(r.off) {
		return nil
	}
	return &mpm.CorruptionError{
		Path: r.path, Offset: size, Reason: fmt.Sprintf("the file was cut short: it had %d bytes in use", r.off),
	}
}

// Renamed tells the Reader the file's new name, after the file was set aside or restored.
func (r *Reader) Renamed(d *mpm.Dir, name string) error {
	n, err := ParseName(name)
	if err != nil {
		return err
	}
	r.name, r.path, r.says = name, d.Join(name), n
	return nil
}

// Changed returns when the file was created or last grew, according to the filesystem. The
// filesystem does not notice when values are written.
func (r *Reader) Changed() time.Time { return r.info.ModTime() }

// Name returns the parsed name of the file.
func (r *Reader) Name() Name { return r.says }

// Mapped reports whether the file is mapped.
func (r *Reader) Mapped() bool { return r.data != nil }

// Close removes the mapping. The next Refresh maps the file again.
func (r *Reader) Close() error {
	if r.data == nil {
		return nil
	}
	data := r.data
	r.data = nil
	return data.Unmap()
}

// Refresh parses the records that were written since the last call. d is the directory, in
// case the file has grown. A damaged record is no error; see Damaged. A *CorruptionError
// says that the file can no longer be read, and fs.ErrNotExist that it no longer exists.
func (r *Reader) Refresh(d *mpm.Dir) error {
	remapped := r.data == nil
	if remapped {
		if err := r.mapFile(d); err != nil {
			return err
		}
	}
	return mpm.Guard(r.path, func() error {
		end := used(r.data)
		if remapped && !r.known() || r.broken && end != r.end {
			r.damage = nil
			r.reset()
		}
		r.end = end
		if end > len(r.data) {
			if err := r.mapFile(d); err != nil {
				return err
			}
		}
		if err := r.CutAt(int64(len(r.data))); err != nil {
			return err
		}
		if end > len(r.data) && !r.broken {
			r.damageAt(0, fmt.Errorf("%d bytes in use of a file of %d", end, len(r.data)))
			r.parse(len(r.data))
			r.broken = true
			return nil
		}
		r.parse(end)
		return nil
	})
}

// known reports whether the records that were read are still in the file. An inode without
// a mapping may be reused for another file, even one of the same name.
func (r *Reader) known() bool {
	if used(r.data) < r.off {
		return r.off == headerSize
	}
	for i, n := range r.records {
		at := int(r.offsets[i])
		if at > len(r.data) {
			break // it was truncated
		}
		raw := r.keys.raw(n)
		if at -= recordSize(len(raw)); at < headerSize || string(r.data[at+4:at+4+len(raw)]) != raw {
			return false
		}
	}
	return true
}

func (r *Reader) parse(end int) {
	if r.broken || r.off >= end {
		return
	}
	if r.stride == 0 {
		r.parseFirst(end)
	} else {
		r.parseOn(end)
	}
	r.fileSchemas.settle()
}

// parseFirst parses with the stride of the last file of the kind, since most are alike. The
// stride is right if every record has a key and the last one ends at the end.
func (r *Reader) parseFirst(end int) {
	before := len(r.damage)
	r.stride = r.keys.stride
	if _, _, next, err := recordAt(r.data, r.off, end, r.stride); err == nil {
		r.keys.expect((end - r.off) / (next - r.off)) // an estimate, if all records are like the first
	}
	r.records, r.offsets = r.keys.spare[0][:0], r.keys.spare[1][:0]
	r.keys.spare = [2][]uint32{}
	done := false
	defer func() {
		if !done { // the file was truncated meanwhile; see mpm.Guard
			r.reset()
		}
	}()
	r.parseOn(end)
	if len(r.damage) > before {
		if stride := strideOf(r.data, end); stride != r.stride {
			r.reset()
			r.damage, r.stride = r.damage[:before], stride
			r.parseOn(end)
		}
	}
	r.keys.spare = [2][]uint32{r.records, r.offsets}
	r.records, r.offsets = r.keys.share(r.records, r.offsets)
	r.keys.stride = r.stride
	done = true
}

func (r *Reader) parseOn(end int) {
	last := uint32(none)
	if n := len(r.records); n > 0 {
		last = r.records[n-1]
	}
	for r.off < end {
		raw, value, next, err := recordAt(r.data, r.off, end, r.stride)
		if err != nil {
			r.damageAt(r.off, err)
			r.broken = true // it is unknown where the next record begins
			return
		}
		n, err := r.keys.follow(last, raw)
		if err == nil {
			last = n
			r.record(n, value)
		} else {
			r.damageAt(r.off, err)
		}
		r.off = next
	}
}

// record adds a record whose value is at off.
func (r *Reader) record(n uint32, off int) {
	k := &r.keys.keys[n]
	if k.Part == Ignored {
		return
	}
	r.define(k, r.keys.families[r.keys.series[k.Series].family])
	if k.ruby && k.Part == Bucket {
		r.cumulative.add(r.keys, n, len(r.records))
	}
	if k.Part == Value {
		r.series++ // there is one per series
	}
	r.records, r.offsets = append(r.records, n), append(r.offsets, uint32(off))
}

func (r *Reader) damageAt(off int, err error) {
	r.damage = append(r.damage, mpm.CorruptionError{Path: r.path, Offset: int64(off), Reason: err.Error()})
}

// Damaged returns the damage that was left out.
func (r *Reader) Damaged() []mpm.CorruptionError { return r.damage }

// Bytes returns the size of the file.
func (r *Reader) Bytes() int64 { return int64(len(r.data)) }

// Keys returns the keys that the numbers in Records refer to.
func (r *Reader) Keys() *KeySet { return r.keys }

// Records returns the number of each record's key. The slice only grows until Rewind.
func (r *Reader) Records() []uint32 { return r.records }

// Series returns the number of series in the file.
func (r *Reader) Series() int { return r.series }

// Ruby reports whether GitLab's client for Ruby has written the file.
func (r *Reader) Ruby() bool { return len(r.records) > 0 && r.keys.keys[r.records[0]].ruby }

// Stride returns the size of a value in the file including its time: 16, or 8 if the client
// writes no times. It is 0 while there is no record.
func (r *Reader) Stride() int { return r.stride }

// Used returns the number of bytes that were read.
func (r *Reader) Used() int64 { return int64(r.off) }

// Offset returns the offset in the file of a record's value.
func (r *Reader) Offset(record int) int64 { return int64(r.offsets[record]) }

// Words returns how many words AppendValues appends for each record: the value and, in the
// mostrecent modes, its time in seconds since 1970, both as the bits of a float.
func (r *Reader) Words() int {
	if r.says.Type == metric.Gauge && r.says.Mode.Base() == metric.ModeMostRecent {
		return 2
	}
	return 1
}

// AppendValues appends the values of all records, each as the bits of a float. Call it
// within mpm.Guard.
func (r *Reader) AppendValues(dst []uint64) []uint64 {
	at := len(dst)
	dst = slices.Grow(dst, len(r.offsets)*r.Words())
	switch {
	case r.Words() == 1:
		for _, off := range r.offsets {
			dst = append(dst, r.bits(off))
		}
	case r.stride == strideTimed:
		for _, off := range r.offsets {
			dst = append(dst, r.bits(off), r.bits(off+8))
		}
	default:
		for _, off := range r.offsets {
			dst = append(dst, r.bits(off), 0) // no times means never set
		}
	}
	r.cumulative.separate(dst[at:])
	return dst
}

func (r *Reader) bits(off uint32) uint64 {
	return atomic.LoadUint64((*uint64)(unsafe.Pointer(&r.data[off])))
}
