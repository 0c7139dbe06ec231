package send

import (
	"encoding/binary"

	"github.com/multiprom/multiprom/internal/views"
	"github.com/multiprom/multiprom/metric"
)

// maxLabels bounds the bytes that a LabelCache keeps. What does not fit is encoded each time.
const maxLabels = 64 << 20

// LabelCache keeps the labels of series as an encoder wrote them, for as long as the layout of
// their family stays. Then a round reads only numbers.
type LabelCache struct {
	families map[uint64]*encodedLabels // by layout
	bytes    int
	round    uint64

	// The series that is being read.
	row     metric.Series
	labels  metric.Labels
	scratch []byte
}

// encodedLabels are those of a family's series, in their order, each after its length.
type encodedLabels struct {
	packed []byte
	whole  bool // all series are there
	round  uint64
}

// Begin begins a round. Layouts that the round before did not have are forgotten.
func (c *LabelCache) Begin() {
	for layout, l := range c.families {
		if l.round != c.round {
			c.bytes -= len(l.packed)
			delete(c.families, layout)
		}
	}
	c.round++
}

// Reset forgets everything: what encode appends for the same labels is about to change.
func (c *LabelCache) Reset() { c.families, c.bytes = nil, 0 }

// Keep keeps the labels of a layout although the round does not ask for them.
func (c *LabelCache) Keep(layout uint64) {
	if l := c.families[layout]; l != nil {
		l.round = c.round
	}
}

// Each calls fn with each series of a family and its labels as encode has appended them, now or
// in an earlier round. s.Labels is set only if encode was called. Both are valid until fn
// returns.
func (c *LabelCache) Each(f *views.Family, encode func(dst []byte, labels metric.Labels) []byte, fn func(s *metric.Series, labels []byte)) {
	kept := c.keep(f.Layout)
	known := kept != nil && kept.whole
	var rest []byte
	if known {
		rest = kept.packed
	}
	for i := range f.Len() {
		s := &c.row
		if f.Rows != nil {
			f.Rows.Read(i, s)
		} else {
			s = &f.Series[i]
		}
		if known {
			n, size := binary.Uvarint(rest)
			fn(s, rest[size:size+int(n)])
			rest = rest[size+int(n):]
			continue
		}
		if f.Rows != nil {
			c.labels = f.Rows.AppendLabels(c.labels[:0], i)
			s.Labels = c.labels
		}
		c.scratch = encode(c.scratch[:0], s.Labels)
		if kept = c.add(kept); kept != nil {
			kept.whole = i == f.Len()-1
		}
		fn(s, c.scratch)
	}
}

// keep returns where the labels of a layout are or can be kept, or nil.
func (c *LabelCache) keep(layout uint64) *encodedLabels {
	if layout == 0 {
		return nil
	}
	l := c.families[layout]
	if l != nil {
		l.round = c.round
		if !l.whole {
			return nil // it did not fit
		}
		return l
	}
	if c.families == nil {
		c.families = map[uint64]*encodedLabels{}
	}
	l = &encodedLabels{round: c.round}
	c.families[layout] = l
	return l
}

// add adds scratch to l, unless it is nil. If it does not fit, it returns nil.
func (c *LabelCache) add(l *encodedLabels) *encodedLabels {
	if l == nil {
		return nil
	}
	before := len(l.packed)
	l.packed = append(binary.AppendUvarint(l.packed, uint64(len(c.scratch))), c.scratch...)
	if c.bytes += len(l.packed) - before; c.bytes > maxLabels {
		c.bytes -= len(l.packed)
		l.packed = nil
		return nil
	}
	return l
}
