package table

import (
	"cmp"
	"slices"
	"strings"

	"github.com/multiprom/multiprom/internal/labelkey"
	"github.com/multiprom/multiprom/internal/mpm"
	"github.com/multiprom/multiprom/metric"
)

// index finds the rows of a family. Workers that run the same program have the same schema,
// the pattern. Their series are found by their text, as it is in the file, without making
// labels. All others are found by a text that has the names of the labels too.
type index struct {
	pattern  *metric.Schema // the schema of the first file, whose symbols are keys; nil before
	sorted   []labelSource  // its labels, sorted by name
	bySymbol symbolIndex
	named    bool  // some rows are found by names too
	found    int32 // the number that was found last
}

// namedMark begins a text that has the names of the labels, before labelkey.Append. A text
// of the pattern begins so if its first value has the greatest length; then it is not used.
const namedMark = "\xff\xff"

// labelSource says where the value of a label of the pattern comes from.
type labelSource struct {
	metric.Label     // with its value, if that is constant
	variable     int // the number of its value in the text, or -1 if it is constant
}

// hasPattern reports whether series of that schema are found by their text. Those of an info
// are not, because further labels may be in any order.
func (f *family) hasPattern(s *metric.Schema) bool {
	if s.Type == metric.Info {
		return false
	}
	x := &f.index
	if x.pattern == nil {
		f.setPattern(s)
	}
	return s == x.pattern || slices.Equal(s.Labels, x.pattern.Labels) && s.Const.Equal(x.pattern.Const)
}

func (f *family) setPattern(s *metric.Schema) {
	x := &f.index
	x.pattern = s
	for _, l := range s.Const {
		x.sorted = append(x.sorted, labelSource{l, -1})
	}
	for i, name := range s.Labels {
		x.sorted = append(x.sorted, labelSource{metric.Label{Name: name}, i})
	}
	slices.SortFunc(x.sorted, func(a, b labelSource) int { return strings.Compare(a.Name, b.Name) })
	x.named = false
	for n, id := range f.symbol {
		if id == 0 {
			continue
		}
		text, named := x.keyOf(nil, labelkey.Labels(nil, f.symbols.Lookup(id)[len(namedMark):]))
		if id, ok := f.symbols.Intern(string(text)); ok && !named {
			f.symbol[n] = id
		} else {
			x.named = true
		}
	}
	x.bySymbol.fill(f.symbol)
}

// says reports whether a text is one of the pattern: it has the schema's labels and no others.
// A series of a foreign writer may have further ones.
func says(schema *metric.Schema, text string) bool {
	if strings.HasPrefix(text, namedMark) {
		return false
	}
	for range schema.Labels {
		_, text = mpm.CutString(text)
	}
	return text == ""
}

// values appends the values of the pattern's variable labels.
func (x *index) values(dst []string, text string) []string {
	for range x.pattern.Labels {
		var value string
		value, text = mpm.CutString(text)
		dst = append(dst, value)
	}
	return dst
}

// stackLabels is how many label values are compared without an allocation.
const stackLabels = 8

// appendLabels appends the labels of a row.
func (f *family) appendLabels(dst metric.Labels, n int32) metric.Labels {
	x := &f.index
	text := f.symbols.Lookup(f.symbol[n])
	if key, named := strings.CutPrefix(text, namedMark); named {
		return labelkey.Labels(dst, key)
	}
	var buf [stackLabels]string
	values := x.values(buf[:0], text)
	for _, l := range x.sorted {
		if l.variable >= 0 {
			l.Value = values[l.variable]
		}
		dst = append(dst, l.Label)
	}
	return dst
}

// compare orders rows as Labels.Compare orders their labels.
func (f *family) compare(n, m int32) int {
	x := &f.index
	if x.named {
		var bufA, bufB [stackLabels]metric.Label
		return f.appendLabels(bufA[:0], n).Compare(f.appendLabels(bufB[:0], m))
	}
	var bufA, bufB [stackLabels]string
	a, b := x.values(bufA[:0], f.symbols.Lookup(f.symbol[n])), x.values(bufB[:0], f.symbols.Lookup(f.symbol[m]))
	for _, l := range x.sorted {
		if l.variable >= 0 {
			if c := cmp.Compare(a[l.variable], b[l.variable]); c != 0 {
				return c
			}
		}
	}
	return 0
}

// find returns the number of the row with these labels, or -1.
func (f *family) find(labels metric.Labels) int32 {
	var buf [256]byte
	text, _ := f.index.keyOf(buf[:0], labels)
	if id := f.symbols.Find(string(text)); id != 0 {
		return f.index.bySymbol.find(f.symbol, id)
	}
	return -1
}

// keyOf appends the text that a series with these labels is found by.
func (x *index) keyOf(dst []byte, labels metric.Labels) (text []byte, named bool) {
	if text, ok := x.text(dst, labels); ok && !strings.HasPrefix(string(text), namedMark) {
		return text, false
	}
	return labelkey.Append(append(dst, namedMark...), labels), true
}

// text appends the text that a series of the pattern with these labels has.
func (x *index) text(dst []byte, labels metric.Labels) (_ []byte, ok bool) {
	if x.pattern == nil || len(labels) != len(x.sorted) {
		return nil, false
	}
	for _, c := range x.pattern.Const {
		if value, ok := labels.Get(c.Name); !ok || value != c.Value {
			return nil, false
		}
	}
	for _, name := range x.pattern.Labels {
		value, ok := labels.Get(name)
		if !ok || len(value) > mpm.MaxStringLen {
			return nil, false
		}
		dst = mpm.AppendString(dst, value)
	}
	return dst, true
}
