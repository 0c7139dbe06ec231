package send

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"slices"
	"strings"

	"github.com/multiprom/multiprom/internal/views"
	"github.com/multiprom/multiprom/metric"
)

// list is the series of a family, sorted, without values: some 25 bytes for each. A series is
// the number of its kind and the values of its labels, each after its length.
type list struct {
	packed []byte
	kinds  []kind
	n      int
	layout uint64 // of the view that it comes from, or 0
}

// kind is what series have in common: the names of their labels, and what else tells their
// samples apart.
type kind struct {
	names  []string
	bounds []float64 // of buckets, or the quantiles
	states []string
	native bool // has native buckets
}

// pack returns the series of a family as a list.
func pack(f *views.Family) *list {
	l := &list{layout: f.Layout}
	series := f.Series
	byLabels := func(a, b metric.Series) int { return a.Labels.Compare(b.Labels) }
	if f.Rows == nil && !slices.IsSortedFunc(series, byLabels) { // a careless Gatherer
		series = slices.Clone(series)
		slices.SortFunc(series, byLabels)
	}
	var row metric.Series
	var labels metric.Labels
	last := -1
	// The rows of a view have the bounds of their family. So one row says what all have.
	shaped := f.Rows != nil && f.Type != metric.Summary && f.Type != metric.StateSet
	for i := range f.Len() {
		s := &row
		if f.Rows == nil {
			s, labels = &series[i], series[i].Labels
		} else {
			labels = f.Rows.AppendLabels(labels[:0], i)
			if !shaped || i == 0 {
				f.Rows.Read(i, &row)
			}
		}
		last = l.kindOf(last, labels, s)
		l.packed = binary.AppendUvarint(l.packed, uint64(last))
		for _, label := range labels {
			l.packed = binary.AppendUvarint(l.packed, uint64(len(label.Value)))
			l.packed = append(l.packed, label.Value...)
		}
		l.n++
	}
	return l
}

// kindOf returns the number of a series' kind. The kind of the series before it comes first.
func (l *list) kindOf(last int, labels metric.Labels, s *metric.Series) int {
	if last >= 0 && l.kinds[last].is(labels, s) {
		return last
	}
	for i := range l.kinds {
		if l.kinds[i].is(labels, s) {
			return i
		}
	}
	k := kind{native: s.Native != nil}
	for _, label := range labels {
		k.names = append(k.names, label.Name)
	}
	for _, b := range s.Buckets {
		k.bounds = append(k.bounds, b.UpperBound)
	}
	for _, q := range s.Quantiles {
		k.bounds = append(k.bounds, q.Q)
	}
	for _, st := range s.States {
		k.states = append(k.states, st.Name)
	}
	l.kinds = append(l.kinds, k)
	return len(l.kinds) - 1
}

func (k *kind) is(labels metric.Labels, s *metric.Series) bool {
	if len(labels) != len(k.names) || len(k.bounds) != len(s.Buckets)+len(s.Quantiles) || len(k.states) != len(s.States) ||
		k.native != (s.Native != nil) {
		return false
	}
	for i := range labels {
		if labels[i].Name != k.names[i] {
			return false
		}
	}
	for i := range s.Buckets {
		if s.Buckets[i].UpperBound != k.bounds[i] {
			return false
		}
	}
	for i := range s.Quantiles {
		if s.Quantiles[i].Q != k.bounds[len(s.Buckets)+i] {
			return false
		}
	}
	for i := range s.States {
		if s.States[i].Name != k.states[i] {
			return false
		}
	}
	return true
}

// series returns the labels and the shape of the series at c, with no values.
func (k *kind) series(t metric.Type, values [][]byte) *metric.Series {
	s := &metric.Series{Labels: make(metric.Labels, len(k.names))}
	if k.native {
		s.Native = &metric.NativeHistogram{}
	}
	for i, name := range k.names {
		s.Labels[i] = metric.Label{Name: name, Value: string(values[i])}
	}
	for _, b := range k.bounds {
		if t == metric.Summary {
			s.Quantiles = append(s.Quantiles, metric.Quantile{Q: b})
		} else {
			s.Buckets = append(s.Buckets, metric.Bucket{UpperBound: b})
		}
	}
	for _, name := range k.states {
		s.States = append(s.States, metric.State{Name: name})
	}
	return s
}

// cursor reads a list.
type cursor struct {
	*list
	rest   []byte
	raw    []byte // of the current series, after its kind
	kind   *kind
	values [][]byte
}

// read returns a cursor before the first series. A nil list has none.
func (l *list) read() *cursor {
	if l == nil {
		return &cursor{list: &list{}}
	}
	return &cursor{list: l, rest: l.packed}
}

// next moves to the next series and reports whether there is one.
func (c *cursor) next() bool {
	if len(c.rest) == 0 {
		c.kind = nil
		return false
	}
	number := func() int {
		n, size := binary.Uvarint(c.rest)
		c.rest = c.rest[size:]
		return int(n)
	}
	c.kind, c.values = &c.kinds[number()], c.values[:0]
	c.raw = c.rest
	for range c.kind.names {
		n := number()
		c.values = append(c.values, c.rest[:n])
		c.rest = c.rest[n:]
	}
	c.raw = c.raw[:len(c.raw)-len(c.rest)]
	return true
}

// compare orders two series as metric.Labels.Compare does. One that is not there comes last.
func (c *cursor) compare(o *cursor) int {
	switch {
	case c.kind == nil && o.kind == nil:
		return 0
	case c.kind == nil:
		return 1
	case o.kind == nil:
		return -1
	}
	for i := range min(len(c.values), len(o.values)) {
		if r := cmp.Or(strings.Compare(c.kind.names[i], o.kind.names[i]), bytes.Compare(c.values[i], o.values[i])); r != 0 {
			return r
		}
	}
	return cmp.Compare(len(c.values), len(o.values))
}

// add adds the series at c.
func (l *list) add(c *cursor) {
	n := slices.IndexFunc(l.kinds, func(k kind) bool {
		return slices.Equal(k.names, c.kind.names) && slices.Equal(k.bounds, c.kind.bounds) && slices.Equal(k.states, c.kind.states) &&
			k.native == c.kind.native
	})
	if n < 0 {
		n = len(l.kinds)
		l.kinds = append(l.kinds, *c.kind)
	}
	l.packed = binary.AppendUvarint(l.packed, uint64(n))
	l.packed = append(l.packed, c.raw...)
	l.n++
}

// union returns the series of both lists. The shape of a series in both is that of now.
func union(before, now *list) *list {
	out := &list{}
	a, b := before.read(), now.read()
	a.next()
	b.next()
	for a.kind != nil || b.kind != nil {
		r := a.compare(b)
		if r < 0 {
			out.add(a)
		} else {
			out.add(b)
		}
		if r <= 0 {
			a.next()
		}
		if r >= 0 {
			b.next()
		}
	}
	return out
}
