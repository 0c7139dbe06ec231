package table

import (
	"slices"

	"github.com/multiprom/multiprom/aggregate/internal/sum"
	"github.com/multiprom/multiprom/internal/mpm"
	"github.com/multiprom/multiprom/metric"
)

// rowOf returns the row of series i of a file's list, and makes it if necessary. It returns
// the zero row if there is no room.
func (f *family) rowOf(schema *metric.Schema, list *mpm.SeriesList, i int) row {
	if !f.hasPattern(schema) {
		s := list.At(i)
		return f.row(s.Labels())
	}
	id := list.Symbol(i)
	if n := f.guess(id); n >= 0 {
		f.index.found = n
		return row{f, n}
	}
	if !says(schema, f.symbols.Lookup(id)) {
		s := list.At(i)
		return f.row(s.Labels()) // further labels, which may be in any order
	}
	return f.rowOfSymbol(id)
}

// rowOfSymbol is rowOf for a text that has the family's pattern.
func (f *family) rowOfSymbol(id mpm.Symbol) row {
	n := f.guess(id)
	if n < 0 {
		n = f.index.bySymbol.find(f.symbol, id)
	}
	if n < 0 {
		if !f.hasRoom() {
			return row{}
		}
		n = f.newRow(id)
	}
	f.index.found = n
	return row{f, n}
}

// ownRowOf is rowOf for a series that belongs to its process alone. The text of the row is
// that of the series, followed by the process label's value.
func (f *family) ownRowOf(schema *metric.Schema, list *mpm.SeriesList, i int, label metric.Label) row {
	if f.own != schema {
		f.own, f.ownPattern = schema, withLabel(schema, label.Name)
	}
	text := f.symbols.Lookup(list.Symbol(i))
	if f.ownPattern == nil || !f.hasPattern(f.ownPattern) || !says(schema, text) {
		s := list.At(i)
		return f.row(WithProcess(s.Labels(), label))
	}
	var buf [256]byte
	id, ok := f.symbols.Intern(string(mpm.AppendString(append(buf[:0], text...), label.Value)))
	if !ok {
		return row{}
	}
	return f.rowOfSymbol(id)
}

// withLabel returns the schema with one more label, or nil if it has that label.
func withLabel(schema *metric.Schema, name string) *metric.Schema {
	if _, there := schema.Const.Get(name); there || slices.Contains(schema.Labels, name) {
		return nil
	}
	out := *schema
	out.Labels = append(slices.Clone(schema.Labels), name)
	return &out
}

// guess returns the number after the one that was found last if that row has the text, and
// otherwise -1. It is mostly right, because processes make the same series in the same
// order.
func (f *family) guess(id mpm.Symbol) int32 {
	if next := f.index.found + 1; int(next) < len(f.symbol) && f.symbol[next] == id {
		return next
	}
	return -1
}

// row returns the row of these labels, and makes it if necessary. It returns the zero row if
// there is no room.
func (f *family) row(labels metric.Labels) row {
	if n := f.find(labels); n >= 0 {
		return row{f, n}
	}
	if !f.hasRoom() {
		return row{}
	}
	text, named := f.index.keyOf(nil, labels)
	id, ok := f.symbols.Intern(string(text))
	if !ok {
		return row{}
	}
	f.index.named = f.index.named || named
	return row{f, f.newRow(id)}
}

// newRow gives a new row its number: the lowest free one, or the next. It is found from then on.
func (f *family) newRow(id mpm.Symbol) (n int32) {
	if free := len(f.free); free > 0 {
		n = f.free[free-1]
		f.free = f.free[:free-1]
		f.symbol[n] = id
	} else {
		n = int32(len(f.symbol))
		f.symbol, f.refs = append(f.symbol, id), append(f.refs, 0)
		f.totals.extend()
	}
	f.order = append(f.order, n)
	f.index.bySymbol.add(f.symbol, n)
	return n
}

// trim releases the spare capacity of columns, each time that the number of rows has doubled.
// After a cold scrape it would be up to a quarter of the memory.
func (f *family) trim() {
	if len(f.symbol) <= 2*f.trimmed {
		return
	}
	f.trimmed = len(f.symbol)
	d := &f.totals
	f.symbol, f.refs, f.order = slices.Clone(f.symbol), slices.Clone(f.refs), slices.Clone(f.order)
	d.created, d.words, d.hi, d.lo = slices.Clone(d.created), slices.Clone(d.words), slices.Clone(d.hi), slices.Clone(d.lo)
}

// dropUnused drops the rows that nothing leads to.
func (f *family) dropUnused() {
	kept, sorted := f.order[:0], 0
	for i, n := range f.order {
		if f.refs[n] == 0 {
			f.drop(n)
			continue
		}
		if kept = append(kept, n); i < f.sorted {
			sorted++
		}
	}
	f.order, f.sorted, f.unused = kept, sorted, false
}

// drop takes a row out of everything but order.
func (f *family) drop(n int32) {
	f.shown.layout = 0
	f.index.bySymbol.drop(f.symbol, n)
	f.symbol[n] = 0
	f.free = append(f.free, n)
	f.ends.set(n, sum.Always)
	f.ends.forget(n)
	if f.native != nil {
		f.native.drop(n)
	}
}
