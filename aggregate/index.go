package aggregate

import (
	"cmp"
	"slices"
	"strings"

	"github.com/multiprom/multiprom/metric"
	"github.com/multiprom/multiprom/mmapstore"
)

// index finds the slots of a family. Workers that run the same program have the
// same definition: their series are found by their text, as it is in the file,
// without making labels, and no others are kept.
type index struct {
	shape  *metric.Schema          // of the first file, whose texts are the keys of byText; nil before
	sorted []labelSource           // its labels, sorted by name
	byText textTable               // of all labels that the shape can have
	others map[string]int32        // of all others, by Labels.AppendKey
	labels map[int32]metric.Labels // of others, by number
	found  int32                   // the number that was found last
}

// labelSource is where a label of the shape comes from.
type labelSource struct {
	metric.Label     // with its value, where that is constant
	variable     int // else the number of its value in the text, or -1
}

// hasShape reports whether a series of that definition is found by its text. An
// info's is not: its further labels may be in any order.
func (f *family) hasShape(s *metric.Schema) bool {
	if s.Type == metric.Info {
		return false
	}
	x := &f.index
	if x.shape == nil {
		f.setShape(s)
	}
	return s == x.shape || slices.Equal(s.Labels, x.shape.Labels) && s.Const.Equal(x.shape.Const)
}

func (f *family) setShape(s *metric.Schema) {
	x := &f.index
	x.shape = s
	for _, l := range s.Const {
		x.sorted = append(x.sorted, labelSource{l, -1})
	}
	for i, name := range s.Labels {
		x.sorted = append(x.sorted, labelSource{metric.Label{Name: name}, i})
	}
	slices.SortFunc(x.sorted, func(a, b labelSource) int { return strings.Compare(a.Name, b.Name) })
	old := x.labels
	x.others, x.labels = nil, nil
	for n, labels := range old {
		f.enter(n, labels)
	}
}

// says reports whether a text is all labels of a series: one of a foreign writer may
// have further ones.
func says(schema *metric.Schema, text string) bool {
	for range schema.Labels {
		_, text = mmapstore.CutText(text)
	}
	return text == ""
}

// values appends the values of the shape's variable labels.
func (x *index) values(dst []string, text string) []string {
	for range x.shape.Labels {
		var value string
		value, text = mmapstore.CutText(text)
		dst = append(dst, value)
	}
	return dst
}

// stackLabels is how many label values are compared without an allocation.
const stackLabels = 8

// appendLabels appends the labels of a series.
func (f *family) appendLabels(dst metric.Labels, n int32) metric.Labels {
	x := &f.index
	if own, ok := x.labels[n]; ok {
		return append(dst, own...)
	}
	var buf [stackLabels]string
	values := x.values(buf[:0], f.texts.Text(f.text[n]))
	for _, l := range x.sorted {
		if l.variable >= 0 {
			l.Value = values[l.variable]
		}
		dst = append(dst, l.Label)
	}
	return dst
}

// compare orders series as Labels.Compare does their labels.
func (f *family) compare(n, m int32) int {
	x := &f.index
	if len(x.labels) > 0 {
		return f.appendLabels(nil, n).Compare(f.appendLabels(nil, m))
	}
	var bufA, bufB [stackLabels]string
	a, b := x.values(bufA[:0], f.texts.Text(f.text[n])), x.values(bufB[:0], f.texts.Text(f.text[m]))
	for _, l := range x.sorted {
		if l.variable >= 0 {
			if c := cmp.Compare(a[l.variable], b[l.variable]); c != 0 {
				return c
			}
		}
	}
	return 0
}

// find returns the number of the series with these labels, or -1.
func (f *family) find(labels metric.Labels) int32 {
	x := &f.index
	var buf [256]byte
	if text, ok := x.text(buf[:0], labels); ok {
		if id := f.texts.Find(string(text)); id != 0 {
			if n := x.byText.find(f.text, id); n >= 0 {
				return n
			}
		}
	}
	if n, ok := x.others[string(labels.AppendKey(buf[:0]))]; ok {
		return n
	}
	return -1
}

// enter has a new series be found by its labels.
func (f *family) enter(n int32, labels metric.Labels) {
	x := &f.index
	if text, ok := x.text(nil, labels); ok {
		if id, ok := f.texts.Intern(string(text)); ok {
			f.text[n] = id
			x.byText.add(f.text, n)
			return
		}
	}
	if x.others == nil {
		x.others, x.labels = map[string]int32{}, map[int32]metric.Labels{}
	}
	x.others[string(labels.AppendKey(nil))] = n
	x.labels[n] = clone(labels)
}

// clone returns labels of their own: those of a file are in a chunk of its texts, which
// they would hold.
func clone(labels metric.Labels) metric.Labels {
	out := make(metric.Labels, len(labels))
	for i, l := range labels {
		out[i] = metric.Label{Name: strings.Clone(l.Name), Value: strings.Clone(l.Value)}
	}
	return out
}

// unfind has a series not be found any more.
func (f *family) unfind(n int32) {
	x := &f.index
	if own, ok := x.labels[n]; ok {
		delete(x.others, string(own.AppendKey(nil)))
		delete(x.labels, n)
	} else {
		x.byText.drop(f.text, n)
	}
}

// text appends the text that a series of the shape with these labels has.
func (x *index) text(dst []byte, labels metric.Labels) (_ []byte, ok bool) {
	if x.shape == nil || len(labels) != len(x.sorted) {
		return nil, false
	}
	for _, c := range x.shape.Const {
		if value, ok := labels.Get(c.Name); !ok || value != c.Value {
			return nil, false
		}
	}
	for _, name := range x.shape.Labels {
		value, ok := labels.Get(name)
		if !ok || len(value) > mmapstore.MaxStringLen {
			return nil, false
		}
		dst = mmapstore.AppendText(dst, value)
	}
	return dst, true
}
