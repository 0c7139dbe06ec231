package metric

import (
	"cmp"
	"encoding/binary"
	"slices"
	"strings"
)

// Label is a name with its value.
type Label struct{ Name, Value string }

// Labels are sorted by name, each name at most once.
type Labels []Label

// MakeLabels returns the labels of alternating names and values, sorted. It panics if the
// number of arguments is odd, which is a programmer's error.
func MakeLabels(namesAndValues ...string) Labels {
	if len(namesAndValues)%2 != 0 {
		panic("metric: MakeLabels needs a value for each name")
	}
	ls := make(Labels, 0, len(namesAndValues)/2)
	for i := 0; i < len(namesAndValues); i += 2 {
		ls = append(ls, Label{namesAndValues[i], namesAndValues[i+1]})
	}
	ls.Sort()
	return ls
}

// LabelsFromMap returns the map's entries, sorted.
func LabelsFromMap(m map[string]string) Labels {
	ls := make(Labels, 0, len(m))
	for n, v := range m {
		ls = append(ls, Label{n, v})
	}
	ls.Sort()
	return ls
}

// Sort brings ls into order in place.
func (ls Labels) Sort() {
	slices.SortStableFunc(ls, func(a, b Label) int { return strings.Compare(a.Name, b.Name) })
}

// Get returns the value of the label of that name, and whether there is one.
func (ls Labels) Get(name string) (string, bool) {
	for _, l := range ls {
		if l.Name == name {
			return l.Value, true
		}
	}
	return "", false
}

// With returns a sorted copy of ls in which the label name has that value.
func (ls Labels) With(name, value string) Labels {
	out := make(Labels, 0, len(ls)+1)
	for _, l := range ls {
		if l.Name != name {
			out = append(out, l)
		}
	}
	out = append(out, Label{name, value})
	out.Sort()
	return out
}

// Map returns the labels as a new map.
func (ls Labels) Map() map[string]string {
	m := make(map[string]string, len(ls))
	for _, l := range ls {
		m[l.Name] = l.Value
	}
	return m
}

// Equal reports whether both hold the same names and values.
func (ls Labels) Equal(other Labels) bool { return slices.Equal(ls, other) }

// Compare orders label sets name by name and value by value. A label set comes before
// one that begins with it.
func (ls Labels) Compare(other Labels) int {
	for i := range min(len(ls), len(other)) {
		if c := strings.Compare(ls[i].Name, other[i].Name); c != 0 {
			return c
		}
		if c := strings.Compare(ls[i].Value, other[i].Value); c != 0 {
			return c
		}
	}
	return cmp.Compare(len(ls), len(other))
}

// AppendKey appends bytes that differ for different labels: a key for maps.
func (ls Labels) AppendKey(dst []byte) []byte {
	for _, l := range ls {
		dst = binary.AppendUvarint(dst, uint64(len(l.Name)))
		dst = append(dst, l.Name...)
		dst = binary.AppendUvarint(dst, uint64(len(l.Value)))
		dst = append(dst, l.Value...)
	}
	return dst
}

// AppendLabels appends the labels of a key of AppendKey, whose memory they share.
func AppendLabels(dst Labels, key string) Labels {
	str := func() (s string) {
		var head [binary.MaxVarintLen64]byte
		n, size := binary.Uvarint(head[:copy(head[:], key)])
		s, key = key[size:size+int(n)], key[size+int(n):]
		return s
	}
	for key != "" {
		dst = append(dst, Label{Name: str(), Value: str()})
	}
	return dst
}

// String returns the labels as the text format writes them: {a="x",b="y"}.
// It is empty for no labels. A name that is not a legacy one is quoted.
func (ls Labels) String() string {
	if len(ls) == 0 {
		return ""
	}
	b := []byte{'{'}
	for i, l := range ls {
		if i > 0 {
			b = append(b, ',')
		}
		if IsLegacyLabelName(l.Name) {
			b = append(b, l.Name...)
		} else {
			b = append(b, '"')
			b = AppendEscaped(b, l.Name)
			b = append(b, '"')
		}
		b = append(b, '=', '"')
		b = AppendEscaped(b, l.Value)
		b = append(b, '"')
	}
	return string(append(b, '}'))
}

// AppendEscaped appends s as it stands between double quotes in both text
// formats: backslash, double quote and line feed escaped.
func AppendEscaped(dst []byte, s string) []byte {
	start := 0
	for i := 0; i < len(s); i++ {
		var esc byte
		switch s[i] {
		case '\\', '"':
			esc = s[i]
		case '\n':
			esc = 'n'
		default:
			continue
		}
		dst = append(dst, s[start:i]...)
		dst = append(dst, '\\', esc)
		start = i + 1
	}
	return append(dst, s[start:]...)
}
