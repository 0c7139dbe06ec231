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
// without making labels, and the slot keeps no others.
type index struct {
	shape  *metric.Schema   // of the first file, whose texts are the keys of byText; nil before
	sorted []labelSource    // its labels, sorted by name
	byText textTable        // of all labels that the shape can have
	others map[string]*slot // of all others, by Labels.AppendKey
}

// labelSource is where a label of the shape comes from.
type labelSource struct {
	metric.Label     // with its value, where that is constant
	variable     int // else the number of its value in the text, or -1
}

// hasShape reports whether a series of that definition is found by its text. An
// info's is not: its further labels may be in any order.
func (x *index) hasShape(s *metric.Schema) bool {
	if s.Type == metric.Info {
		return false
	}
	if x.shape == nil {
		x.setShape(s)
	}
	return s == x.shape || slices.Equal(s.Labels, x.shape.Labels) && s.Const.Equal(x.shape.Const)
}

func (x *index) setShape(s *metric.Schema) {
	old := x.others
	*x = index{shape: s}
	for _, l := range s.Const {
		x.sorted = append(x.sorted, labelSource{l, -1})
	}
	for i, name := range s.Labels {
		x.sorted = append(x.sorted, labelSource{metric.Label{Name: name}, i})
	}
	slices.SortFunc(x.sorted, func(a, b labelSource) int { return strings.Compare(a.Name, b.Name) })
	for _, to := range old {
		x.add(to)
	}
}

// says reports whether a text is all labels of a series: one of a foreign writer may
// have further ones.
func (x *index) says(text string) bool {
	for range x.shape.Labels {
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

// appendLabels appends the slot's labels.
func (s *slot) appendLabels(dst metric.Labels) metric.Labels {
	if s.labels != nil {
		return append(dst, *s.labels...)
	}
	x := &s.family.index
	var buf [stackLabels]string
	values := x.values(buf[:0], s.text)
	for _, l := range x.sorted {
		if l.variable >= 0 {
			l.Value = values[l.variable]
		}
		dst = append(dst, l.Label)
	}
	return dst
}

// compare orders slots of a family as Labels.Compare does their labels.
func (s *slot) compare(o *slot) int {
	if s.labels != nil || o.labels != nil {
		return s.appendLabels(nil).Compare(o.appendLabels(nil))
	}
	x := &s.family.index
	var bufA, bufB [stackLabels]string
	a, b := x.values(bufA[:0], s.text), x.values(bufB[:0], o.text)
	for _, l := range x.sorted {
		if l.variable >= 0 {
			if c := cmp.Compare(a[l.variable], b[l.variable]); c != 0 {
				return c
			}
		}
	}
	return 0
}

// find returns the slot of these labels, or nil.
func (x *index) find(labels metric.Labels) *slot {
	var buf [256]byte
	if text, ok := x.text(buf[:0], labels); ok {
		return x.byText.find(string(text))
	}
	return x.others[string(labels.AppendKey(buf[:0]))]
}

// add adds the slot of labels that are not there.
func (x *index) add(s *slot) {
	if text, ok := x.text(nil, *s.labels); ok {
		x.addText(s, string(text))
		return
	}
	if x.others == nil {
		x.others = map[string]*slot{}
	}
	s.text = string(s.labels.AppendKey(nil))
	x.others[s.text] = s
}

// addText adds a slot whose labels the text says.
func (x *index) addText(s *slot, text string) {
	s.text, s.labels = text, nil
	x.byText.add(s)
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

// drop takes a slot out.
func (x *index) drop(s *slot) {
	if s.labels == nil {
		x.byText.drop(s)
	} else {
		delete(x.others, s.text)
	}
}
