package mpm

import (
	"errors"
	"io/fs"
	"math"

	"github.com/multiprom/multiprom/internal/histogram"
	"github.com/multiprom/multiprom/internal/lifetime"
	"github.com/multiprom/multiprom/metric"
)

// PartsOptions say of which series ReadParts is to find the parts.
type PartsOptions struct {
	Own    string         // name of the own file, whose parts are known
	Schema *metric.Schema // of all of them
	// Wanted returns the number of the series with these encoded label values (those of Schema,
	// in its order), or -1 if it is not wanted. It must not keep them.
	Wanted func(values []byte) int
}

// FoundPart is a part of a series that another process has, or the archive.
type FoundPart struct {
	Number int // of the series
	Part   lifetime.Part
	TTL    int64 // nanoseconds; 0 if that process does not have the series expire
}

// ReadParts finds the parts that other processes and the archive have of some series. It
// keeps nothing of other series, and looks only at records. The files come first, then the
// archive, so that a part that is compacted meanwhile is found at least once. An error means
// that parts may be missing.
func (d *Dir) ReadParts(o PartsOptions) (out []FoundPart, err error) {
	entries, err := d.Entries()
	if err != nil {
		return nil, err
	}
	for _, e := range entries {
		if e.Kind != KindNative || e.Name == o.Own {
			continue
		}
		r, err := d.Open(e.Name, ReadOptions{})
		var c *CorruptionError
		switch {
		case errors.Is(err, fs.ErrNotExist), errors.Is(err, ErrForeign), errors.As(err, &c), errors.Is(err, fs.ErrPermission), errors.Is(err, ErrNotTrusted):
			continue // it is compacted, or readers leave it out too
		case err != nil:
			return nil, err
		}
		found, err := r.parts(&o)
		if err = errors.Join(err, r.Close()); err != nil {
			return nil, err
		}
		out = append(out, found...)
	}
	archive, err := d.ReadArchive(ReadOptions{})
	if err != nil {
		return nil, err
	}
	for i := range archive.Families {
		out = archive.Families[i].parts(out, &o)
	}
	return out, nil
}

// sameKind reports whether series of two schemas may be parts of each other.
func sameKind(a, b *metric.Schema) bool {
	return a.Name == b.Name && a.Type == b.Type && a.Mode == b.Mode && histogram.KindOf(a) == histogram.KindOf(b)
}

// parts appends the parts that the archive has of wanted series. What has no TTL there lasts no
// longer than the parts of living processes.
func (f *StoredFamily) parts(out []FoundPart, o *PartsOptions) []FoundPart {
	if want := o.Schema; !f.Series.Timed || !sameKind(f.Schema, want) {
		return out
	}
	var labels metric.Labels
	var values []byte
series:
	for i := range f.Series.Len() {
		labels, values = f.Series.AppendLabels(labels[:0], i), values[:0]
		if len(labels) != len(o.Schema.Labels)+len(o.Schema.Const) {
			continue
		}
		for _, l := range o.Schema.Const {
			if v, ok := labels.Get(l.Name); !ok || v != l.Value {
				continue series
			}
		}
		for _, name := range o.Schema.Labels {
			v, ok := labels.Get(name)
			if !ok {
				continue series
			}
			values = AppendString(values, v)
		}
		if n := o.Wanted(values); n >= 0 {
			part := lifetime.Part{Created: f.Series.Created(i), Active: f.Series.Active(i), Dead: true}
			out = append(out, FoundPart{Number: n, Part: part, TTL: int64(f.Schema.TTL)})
		}
	}
	return out
}

// parts finds the parts of a file.
func (r *Reader) parts(o *PartsOptions) (out []FoundPart, err error) {
	err = Guard(r.path, func() error {
		locked, err := r.Locked()
		if err != nil {
			return err
		}
		if err := r.takeBlocks(); err != nil {
			return err
		}
		s := partsScan{o: o, r: r, dead: !locked || r.Closed() || r.Marked(), base: r.header.Created.UnixNano() + r.clockSet(), families: map[uint32]*partsFamily{}}
		for i := range r.blocks {
			s.walk(i, isFamily)
		}
		for i := range r.blocks {
			found := len(s.out)
			for try := 0; !s.walk(i, isSeries); try++ {
				if try == maxWalks {
					return ErrStale
				}
				if s.out = s.out[:found]; try >= fastWalks {
					r.parser.pause(walkPause)
				}
			}
		}
		out = s.out
		return r.whole()
	})
	return out, err
}

type partsScan struct {
	o        *PartsOptions
	r        *Reader
	dead     bool
	base     int64
	families map[uint32]*partsFamily
	out      []FoundPart
	values   []byte
}

// partsFamily is a family that has series that may be wanted.
type partsFamily struct {
	schema *metric.Schema
	from   []int // for each label of the wanted schema, the index of it in this one; nil if they are the same
}

// walk reads the records of the wanted kinds of a block. It returns false if records have moved
// meanwhile.
func (s *partsScan) walk(i int, wanted func(kind uint16) bool) bool {
	b := s.r.blocks[i]
	header, off := blockStart(i)
	if le.Uint32(b[header+offBlockKind:]) != blockMeta || le.Uint32(b[header+offBlockIndex:]) != uint32(i) {
		return true
	}
	shape, used := loadWord(b, header+offBlockShape), min(loadWord(b, header+offBlockUsed), BlockSize)
	for off+minRecord <= used {
		head := loadWord(b, off+offRecLen)
		n := head & (1<<32 - 1)
		if n < minRecord || n%8 != 0 || n > used-off {
			break
		}
		rec := b[off : off+n]
		if sealed, kind := loadWord(rec, offRecCRC), uint16(head>>32); wanted(kind) {
			switch state := uint32(sealed >> 32); {
			case isFamily(kind) && state == stateLive:
				s.family(rec, sealed)
			case isSeries(kind) && (state == stateLive || state == stateRemoved) && n >= offSerBody:
				s.series(rec, sealed)
			}
		}
		off += n
	}
	// A shape that is odd and stays so is that of a writer that was killed or stopped.
	return loadWord(b, header+offBlockShape) == shape
}

func (s *partsScan) family(rec []byte, sealed uint64) {
	rec, err := s.r.parser.copy(rec, sealed)
	if err != nil {
		return
	}
	id, schema, err := decodeFamily(rec)
	want := s.o.Schema
	if err != nil || !sameKind(schema, want) || !schema.Const.Equal(want.Const) || len(schema.Labels) != len(want.Labels) {
		return
	}
	f := &partsFamily{schema: schema}
	for i, name := range want.Labels {
		at := -1
		for j, l := range schema.Labels {
			if l == name {
				at = j
			}
		}
		if at < 0 {
			return
		}
		if at != i && f.from == nil {
			f.from = make([]int, i, len(want.Labels))
			for k := range f.from {
				f.from[k] = k
			}
		}
		if f.from != nil {
			f.from = append(f.from, at)
		}
	}
	s.families[id] = f
}

// series adds the part of a wanted series. Created is loaded again after active: otherwise an
// earlier life's created and a later one's active would be a part that never was.
func (s *partsScan) series(rec []byte, sealed uint64) {
	f := s.families[uint32(loadWord(rec, offSerActive)>>32)]
	if f == nil {
		return
	}
	for range maxCopies {
		copied, err := s.r.parser.copy(rec, sealed)
		if err != nil {
			sealed = loadWord(rec, offRecCRC)
			continue
		}
		head, values, extra, text, err := decodeSeries(copied)
		if err != nil || extra > 0 || values != len(f.schema.Labels) {
			return
		}
		n := s.o.Wanted(s.ordered(f, text))
		if n < 0 {
			return
		}
		active := loadState(rec, offSerActive)
		removed := int64(loadWord(rec, offSerRemoved))
		if loadWord(rec, offRecCRC) != sealed || int64(loadWord(rec, offSerCreated)) != head.created {
			sealed = loadWord(rec, offRecCRC)
			if state := uint32(sealed >> 32); state != stateLive && state != stateRemoved {
				return
			}
			continue
		}
		p := FoundPart{Number: n, TTL: int64(f.schema.TTL), Part: lifetime.Part{
			Created: head.created, Active: s.base + int64(active)<<activeShift, Dead: s.dead, Gone: uint32(sealed>>32) == stateRemoved,
		}}
		if p.Part.Gone {
			p.Part.Removed = removed
		}
		if p.TTL == 0 {
			p.Part.Active = math.MaxInt64 / 2 // it never expires while its process lives
			if s.dead {
				p.Part.Active = head.created
			}
		}
		s.out = append(s.out, p)
		return
	}
}

// ordered returns encoded label values in the order of the wanted schema.
func (s *partsScan) ordered(f *partsFamily, text []byte) []byte {
	if f.from == nil {
		return text
	}
	all := make([][]byte, len(f.from))
	for i := range all {
		n := 2 + int(le.Uint16(text))
		all[i], text = text[:n], text[n:]
	}
	s.values = s.values[:0]
	for _, i := range f.from {
		s.values = append(s.values, all[i]...)
	}
	return s.values
}
