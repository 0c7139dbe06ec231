package multiproc

import (
	"slices"
	"unicode/utf8"

	"github.com/multiprom/multiprom/internal/form"
)

// metricVec is what every Vec consists of: the index, and the curried labels. It has the
// method set of client_golang.
type metricVec[T any] struct {
	v     *vec[T]
	curry []curried // by index
}

// curried is a label whose value is fixed.
type curried struct {
	index int // in the family's labels
	value string
}

// stackLabels is how many label values can be put in order without an allocation.
const stackLabels = 8

// left returns how many labels are not curried.
func (m *metricVec[T]) left() int { return m.v.labels - len(m.curry) }

// join appends all label values to buf: the given ones, of which there are as many as
// labels are left, between the curried ones.
func join(buf, given []string, curry []curried) []string {
	for _, c := range curry {
		n := c.index - len(buf) // given ones that stand before it
		buf = append(buf, given[:n]...)
		buf = append(buf, c.value)
		given = given[n:]
	}
	return append(buf, given...)
}

// ordered appends all label values to buf, in the order of the family's labels. If the
// value of a label is missing, it returns the label's name.
func (m *metricVec[T]) ordered(buf []string, labels Labels) (_ []string, missing string) {
	curry := m.curry
	for i, name := range m.v.in.schema.Labels {
		if len(curry) > 0 && curry[0].index == i {
			buf = append(buf, curry[0].value)
			curry = curry[1:]
			continue
		}
		value, ok := labels[name]
		if !ok {
			return nil, name
		}
		buf = append(buf, value)
	}
	return buf, ""
}

// WithLabelValues returns the instrument with these label values, which are in the order
// of the labels. If it exists, the call neither locks nor allocates.
//
// If the number of values is wrong, the updates go nowhere, and the call is counted. Bytes
// that are not UTF-8 are replaced. If the family's limit of series is reached, or a value
// is longer than 4096 bytes, the result is the overflow series.
func (m *metricVec[T]) WithLabelValues(values ...string) *T {
	return m.v.with(values, m.curry) // and no more, so that the compiler inlines it
}

// With is WithLabelValues with values by label name.
func (m *metricVec[T]) With(labels Labels) *T {
	var buf [stackLabels]string
	values, missing := m.ordered(buf[:0], labels)
	if missing != "" || len(labels) != m.left() {
		return m.v.wrong()
	}
	return m.v.with(values, nil)
}

// GetMetricWithLabelValues is WithLabelValues, but returns an error that matches metric.ErrInvalid
// if updates would go nowhere or a label value would have to be changed. Reaching the
// limit of series is no error.
func (m *metricVec[T]) GetMetricWithLabelValues(values ...string) (*T, error) {
	if len(values) != m.left() {
		return nil, labelsError(m.v.in.schema.Name, "%d values for %d labels", len(values), m.left())
	}
	return m.get(join(nil, values, m.curry))
}

// GetMetricWith is GetMetricWithLabelValues with values by label name.
func (m *metricVec[T]) GetMetricWith(labels Labels) (*T, error) {
	values, err := m.named(labels)
	if err != nil {
		return nil, err
	}
	return m.get(values)
}

func (m *metricVec[T]) named(labels Labels) ([]string, error) {
	values, missing := m.ordered(nil, labels)
	switch {
	case missing != "":
		return nil, labelsError(m.v.in.schema.Name, "the label %q is missing", missing)
	case len(labels) != m.left():
		return nil, labelsError(m.v.in.schema.Name, "%d values for %d labels", len(labels), m.left())
	}
	return values, nil
}

// get is vec.with for the methods that return an error.
func (m *metricVec[T]) get(values []string) (*T, error) {
	schema := m.v.in.schema
	for i, s := range values {
		if !utf8.ValidString(s) {
			return nil, labelsError(schema.Name, "the value %q of %q is not UTF-8", s, schema.Labels[i])
		}
		if len(s) > form.MaxLabelValueLen {
			return nil, labelsError(schema.Name, "the value of %q has %d bytes, the most is %d", schema.Labels[i], len(s), form.MaxLabelValueLen)
		}
	}
	if n := keyLen(values); n > maxKeyLen {
		return nil, labelsError(schema.Name, "the values have %d bytes together, the most is %d", n, maxKeyLen)
	}
	return m.v.with(values, nil), nil
}

// DeleteLabelValues removes the series with these values in this process, and reports
// whether there was one. What this process has counted stays in the merged series until
// every live process has removed it; then the whole series goes (docs/lifecycle.md,
// "Removing a series"). An instrument that is still held stays valid: its updates count only
// as long as what this process had counted before. The next lookup makes a new series.
func (m *metricVec[T]) DeleteLabelValues(values ...string) bool {
	return len(values) == m.left() && m.v.deleteOne(join(nil, values, m.curry))
}

// Delete is DeleteLabelValues with values by label name.
func (m *metricVec[T]) Delete(labels Labels) bool {
	values, err := m.named(labels)
	return err == nil && m.v.deleteOne(values)
}

// DeletePartialMatch removes all series that have these label values, the curried ones
// included, and returns their number.
func (m *metricVec[T]) DeletePartialMatch(labels Labels) int {
	want := slices.Clone(m.curry)
	for name, value := range labels {
		i := slices.Index(m.v.in.schema.Labels, name)
		if i < 0 {
			return 0
		}
		want = append(want, curried{i, valid(value)})
	}
	return m.v.deleteIf(func(values []string) bool {
		return !slices.ContainsFunc(want, func(c curried) bool { return values[c.index] != c.value })
	})
}

// Reset removes all series of the Vec, including those with other values of the curried
// labels.
func (m *metricVec[T]) Reset() { m.v.deleteIf(func([]string) bool { return true }) }

func (m *metricVec[T]) curryWith(labels Labels) (metricVec[T], error) {
	schema := m.v.in.schema
	out := metricVec[T]{v: m.v, curry: slices.Clone(m.curry)}
	for name, value := range labels {
		i := slices.Index(schema.Labels, name)
		if i < 0 {
			return out, labelsError(schema.Name, "there is no label %q to curry", name)
		}
		if slices.ContainsFunc(m.curry, func(c curried) bool { return c.index == i }) {
			return out, labelsError(schema.Name, "the label %q is curried already", name)
		}
		out.curry = append(out.curry, curried{i, valid(value)})
	}
	slices.SortFunc(out.curry, func(a, b curried) int { return a.index - b.index })
	return out, nil
}
