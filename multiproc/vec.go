package multiproc

import (
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"unicode/utf8"

	"github.com/multiprom/multiprom/metric"
)

// overflowValue is every label value of the series that takes the updates of
// label sets beyond the limit.
const overflowValue = "__overflow__"

// child is what a vec holds: a pointer to an instrument.
type child[T any] interface {
	*T
	remove()
}

// vec is the index of a family's instruments by their label values.
type vec[T any, P child[T]] struct {
	in      *instrument
	make    func(values []string) P // a new instrument; the Set's lock is held
	discard P                       // takes updates of wrong lookups to nowhere

	table    atomic.Pointer[table[T]]
	overflow atomic.Pointer[T]
	size     atomic.Int64 // children, without the overflow series

	mu sync.Mutex // of changes to the index
}

func newVec[T any, P child[T]](in *instrument, discard P, make func([]string) P) *vec[T, P] {
	v := &vec[T, P]{in: in, make: make, discard: discard}
	v.table.Store(newTable[T](minTable))
	return v
}

// with returns the child of these values, without a lock or an allocation
// once it exists. Wrong values get the discard child.
func (v *vec[T, P]) with(values []string) P {
	if len(values) != len(v.in.schema.Labels) {
		v.in.set.count(countDiscarded)
		return v.discard
	}
	hash := hashValues(values)
	if e := v.table.Load().find(hash, values); e != nil {
		if c := e.child.Load(); c != nil {
			return c
		}
	}
	return v.add(cloneValues(values))
}

// get is with for the forms that return an error.
func (v *vec[T, P]) get(values []string) (P, error) {
	name := v.in.schema.Name
	if len(values) != len(v.in.schema.Labels) {
		return nil, labelsError(name, "%d values for the %d labels %q", len(values), len(v.in.schema.Labels), v.in.schema.Labels)
	}
	for i, s := range values {
		if !utf8.ValidString(s) {
			return nil, labelsError(name, "the value %q of %q is not UTF-8", s, v.in.schema.Labels[i])
		}
		if len(s) > metric.MaxLabelValueLen {
			return nil, labelsError(name, "the value of %q has %d bytes, the most is %d", v.in.schema.Labels[i], len(s), metric.MaxLabelValueLen)
		}
	}
	return v.with(values), nil
}

// cloneValues copies: a caller such as fasthttp may reuse the bytes behind its
// strings. What is not UTF-8 is replaced.
func cloneValues(values []string) []string {
	out := make([]string, len(values))
	for i, s := range values {
		out[i] = valid(strings.Clone(s))
	}
	return out
}

func valid(s string) string { return strings.ToValidUTF8(s, string(utf8.RuneError)) }

// add returns the child of values, which are its own, and makes it if need be.
func (v *vec[T, P]) add(values []string) P {
	for _, s := range values {
		if len(s) > metric.MaxLabelValueLen {
			return v.overflowing()
		}
	}
	if v.size.Load() >= int64(v.in.maxSeries) && v.overflow.Load() != nil {
		// Without the lock: at the limit every new label set comes here.
		if e := v.table.Load().find(hashValues(values), values); e == nil {
			return v.overflowing()
		}
	}
	v.mu.Lock()
	hash := hashValues(values)
	t := v.table.Load()
	if e := t.find(hash, values); e != nil {
		defer v.mu.Unlock()
		return e.child.Load() // removed only under the lock
	}
	if v.size.Load() >= int64(v.in.maxSeries) {
		v.mu.Unlock()
		return v.overflowing()
	}
	defer v.mu.Unlock()
	e := &entry[T]{hash: hash, values: values}
	c := v.build(values)
	e.child.Store(c)
	v.table.Store(t.insert(e))
	v.size.Add(1)
	return c
}

func (v *vec[T, P]) build(values []string) P {
	v.in.set.mu.Lock()
	defer v.in.set.mu.Unlock()
	return v.make(values)
}

// overflowing counts a label set beyond the limit and returns the series that
// all of them share.
func (v *vec[T, P]) overflowing() P {
	v.in.set.count(countOverflow)
	if c := v.overflow.Load(); c != nil {
		return c
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	if c := v.overflow.Load(); c != nil {
		return c
	}
	c := v.build(slices.Repeat([]string{overflowValue}, len(v.in.schema.Labels)))
	v.overflow.Store(c)
	return c
}

// deleteIf removes the children whose values match, and returns how many.
func (v *vec[T, P]) deleteIf(match func(values []string) bool) int {
	v.mu.Lock()
	defer v.mu.Unlock()
	n := 0
	v.table.Load().each(func(e *entry[T]) {
		if match(e.values) {
			v.drop(e)
			n++
		}
	})
	return n
}

func (v *vec[T, P]) deleteOne(values []string) bool {
	v.mu.Lock()
	defer v.mu.Unlock()
	e := v.table.Load().find(hashValues(values), values)
	if e == nil {
		return false
	}
	v.drop(e)
	return true
}

func (v *vec[T, P]) drop(e *entry[T]) {
	P(e.child.Swap(nil)).remove()
	v.size.Add(-1)
}

// curried is a label whose value is fixed.
type curried struct {
	index int // in the family's labels
	value string
}

// metricVec is what every Vec is made of: the index, and the labels that were
// curried away. It has client_golang's method set.
type metricVec[T any, P child[T]] struct {
	v     *vec[T, P]
	curry []curried // by index
}

// values returns all label values, those given put between the curried ones.
// A wrong number of them stays wrong.
func (m *metricVec[T, P]) values(given []string) []string {
	out := slices.Clone(given)
	for _, c := range m.curry {
		if c.index > len(out) {
			return nil
		}
		out = slices.Insert(out, c.index, c.value)
	}
	return out
}

// ordered returns the values of labels in the order of the family's labels.
func (m *metricVec[T, P]) ordered(labels Labels) ([]string, error) {
	schema := m.v.in.schema
	if len(labels)+len(m.curry) != len(schema.Labels) {
		return nil, labelsError(schema.Name, "%d labels, not %d", len(labels), len(schema.Labels)-len(m.curry))
	}
	out := make([]string, 0, len(schema.Labels))
	for i, name := range schema.Labels {
		if value, ok := m.curriedValue(i); ok {
			out = append(out, value)
			continue
		}
		value, ok := labels[name]
		if !ok {
			return nil, labelsError(schema.Name, "the label %q is missing", name)
		}
		out = append(out, value)
	}
	return out, nil
}

func (m *metricVec[T, P]) curriedValue(index int) (string, bool) {
	for _, c := range m.curry {
		if c.index == index {
			return c.value, true
		}
	}
	return "", false
}

// WithLabelValues returns the instrument with these values of the labels, in
// their order. It neither locks nor allocates once the instrument exists. With
// a wrong number of values, updates go nowhere and are counted.
func (m *metricVec[T, P]) WithLabelValues(values ...string) P {
	if m.curry == nil {
		return m.v.with(values)
	}
	return m.v.with(m.values(values))
}

// With is WithLabelValues with the values by name.
func (m *metricVec[T, P]) With(labels Labels) P {
	values, err := m.ordered(labels)
	if err != nil {
		m.v.in.set.count(countDiscarded)
		return m.v.discard
	}
	return m.v.with(values)
}

// GetMetricWithLabelValues is WithLabelValues with an error, which matches
// ErrLabels, in place of an instrument whose updates go nowhere.
func (m *metricVec[T, P]) GetMetricWithLabelValues(values ...string) (P, error) {
	if m.curry == nil {
		return m.v.get(values)
	}
	return m.v.get(m.values(values))
}

// GetMetricWith is With with an error, which matches ErrLabels.
func (m *metricVec[T, P]) GetMetricWith(labels Labels) (P, error) {
	values, err := m.ordered(labels)
	if err != nil {
		return nil, err
	}
	return m.v.get(values)
}

// DeleteLabelValues removes the series with these values, here and in the
// merged view, and reports whether there was one. The merged counter falls by
// what this process has counted.
func (m *metricVec[T, P]) DeleteLabelValues(values ...string) bool {
	return m.v.deleteOne(m.values(values))
}

// Delete is DeleteLabelValues with the values by name.
func (m *metricVec[T, P]) Delete(labels Labels) bool {
	values, err := m.ordered(labels)
	return err == nil && m.v.deleteOne(values)
}

// DeletePartialMatch removes all series that have these label values, and
// returns how many.
func (m *metricVec[T, P]) DeletePartialMatch(labels Labels) int {
	want := slices.Clone(m.curry)
	for name, value := range labels {
		i := slices.Index(m.v.in.schema.Labels, name)
		if i < 0 {
			return 0
		}
		want = append(want, curried{i, value})
	}
	return m.v.deleteIf(func(values []string) bool {
		return !slices.ContainsFunc(want, func(c curried) bool { return values[c.index] != c.value })
	})
}

// Reset removes all series of the Vec, also those that other views of it have
// curried.
func (m *metricVec[T, P]) Reset() { m.v.deleteIf(func([]string) bool { return true }) }

func (m *metricVec[T, P]) curryWith(labels Labels) (metricVec[T, P], error) {
	schema := m.v.in.schema
	out := metricVec[T, P]{v: m.v, curry: slices.Clone(m.curry)}
	for name, value := range labels {
		i := slices.Index(schema.Labels, name)
		if i < 0 {
			return out, labelsError(schema.Name, "there is no label %q to curry", name)
		}
		if _, ok := m.curriedValue(i); ok {
			return out, labelsError(schema.Name, "the label %q is curried already", name)
		}
		out.curry = append(out.curry, curried{i, value})
	}
	slices.SortFunc(out.curry, func(a, b curried) int { return a.index - b.index })
	return out, nil
}
