package metric

import (
	"cmp"
	"slices"
	"strings"

	"github.com/multiprom/multiprom/internal/form"
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
		if form.IsLegacyLabelName(l.Name) {
			b = append(b, l.Name...)
		} else {
			b = append(b, '"')
			b = form.AppendEscaped(b, l.Name)
			b = append(b, '"')
		}
		b = append(b, '=', '"')
		b = form.AppendEscaped(b, l.Value)
		b = append(b, '"')
	}
	return string(append(b, '}'))
}
