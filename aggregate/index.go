package aggregate

import (
	"slices"

	"github.com/multiprom/multiprom/metric"
	"github.com/multiprom/multiprom/mmapstore"
)

// index finds the slots of a family. Workers that run the same program have the
// same definition: their series are found by their text, as it is in the file,
// without making labels.
type index struct {
	shape  *metric.Schema   // of the first file, whose texts are the keys of byText; nil before
	byText map[string]*slot // of all labels that the shape can have
	others map[string]*slot // of all others, by Labels.AppendKey
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
	*x = index{shape: s, byText: map[string]*slot{}}
	for _, to := range old {
		x.add(to)
	}
}

// find returns the slot of these labels, or nil.
func (x *index) find(labels metric.Labels) *slot {
	var buf [256]byte
	key, in := x.key(buf[:0], labels)
	return in[string(key)]
}

// add adds the slot of labels that are not there.
func (x *index) add(s *slot) {
	key, in := x.key(nil, s.labels)
	s.key = string(key)
	in[s.key] = s
}

// addText is add for a slot whose text is known.
func (x *index) addText(s *slot, text string) {
	s.key = text
	x.byText[text] = s
}

// key appends the key of these labels, and returns the map that it is of.
func (x *index) key(dst []byte, labels metric.Labels) ([]byte, map[string]*slot) {
	if key, ok := x.text(dst, labels); ok {
		return key, x.byText
	}
	if x.others == nil {
		x.others = map[string]*slot{}
	}
	return labels.AppendKey(dst), x.others
}

// text appends the text that a series of the shape with these labels has.
func (x *index) text(dst []byte, labels metric.Labels) (_ []byte, ok bool) {
	if x.shape == nil || len(labels) != len(x.shape.Const)+len(x.shape.Labels) {
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
	if x.byText[s.key] == s {
		delete(x.byText, s.key)
	} else {
		delete(x.others, s.key)
	}
}
