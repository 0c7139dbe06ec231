package textparse

import (
	"bytes"
	"slices"
	"unicode/utf8"

	"github.com/multiprom/multiprom/metric"
)

// labelSet holds the labels of the current line. It is reused for each line. Most lines
// belong to the series of the previous line and cost no allocation.
type labelSet struct {
	text  []byte // names and values one after the other, unescaped
	pairs []pair
}

// pair says where a label is: its name is text[from:mid], its value text[mid:to], and
// it starts at offset at of the line.
type pair struct{ from, mid, to, at int }

func (s *labelSet) reset() { s.text, s.pairs = s.text[:0], s.pairs[:0] }

func (s *labelSet) name(p pair) []byte  { return s.text[p.from:p.mid] }
func (s *labelSet) value(p pair) []byte { return s.text[p.mid:p.to] }

// sort sorts the pairs by name. It returns a pair whose name occurs twice, if there is
// one.
func (s *labelSet) sort() (duplicate pair, ok bool) {
	compare := func(a, b pair) int { return bytes.Compare(s.name(a), s.name(b)) }
	if !slices.IsSortedFunc(s.pairs, compare) {
		slices.SortStableFunc(s.pairs, compare)
	}
	for i := 1; i < len(s.pairs); i++ {
		if compare(s.pairs[i-1], s.pairs[i]) == 0 {
			return s.pairs[i], true
		}
	}
	return pair{}, false
}

// remove removes the label with that name and returns where it was.
func (s *labelSet) remove(name string) (removed pair, ok bool) {
	for i, p := range s.pairs {
		if string(s.name(p)) == name {
			s.pairs = slices.Delete(s.pairs, i, i+1)
			return p, true
		}
	}
	return pair{}, false
}

// appendKey appends a key that no other set of labels has. Its separator is not valid
// UTF-8, while all names and values are.
func (s *labelSet) appendKey(dst []byte) []byte {
	for _, p := range s.pairs {
		dst = append(append(dst, s.name(p)...), 0xff)
		dst = append(append(dst, s.value(p)...), 0xff)
	}
	return dst
}

// labels returns the labels as parts of their key, so that a series needs one
// string.
func (s *labelSet) labels(key string) metric.Labels {
	if len(s.pairs) == 0 {
		return nil
	}
	out := make(metric.Labels, len(s.pairs))
	at := 0
	cut := func(size int) string {
		part := key[at : at+size]
		at += size + 1
		return part
	}
	for i, p := range s.pairs {
		out[i].Name = cut(p.mid - p.from)
		out[i].Value = cut(p.to - p.mid)
	}
	return out
}

// runes counts the characters of all names and values.
func (s *labelSet) runes() int {
	n := 0
	for _, p := range s.pairs {
		n += utf8.RuneCount(s.text[p.from:p.to])
	}
	return n
}
