package table

import (
	"math"
	"slices"

	"github.com/multiprom/multiprom/aggregate/internal/snapshot"
	"github.com/multiprom/multiprom/aggregate/internal/sum"
	"github.com/multiprom/multiprom/internal/histogram"
	"github.com/multiprom/multiprom/internal/mpm"
	"github.com/multiprom/multiprom/metric"
)

// native has the native buckets of a family's rows: merged regions, each the sum of the same
// region of all parts. Regions of different schemas stay apart until a row is shown. Then its
// schema falls as far as all of them demand. Like totals, the regions hold while the family is
// not marked recompute.
type native struct {
	regions []region            // by id
	words   []uint64            // columns of histogram.RegionBuckets counts, by id
	free    []int32             // free ids
	first   []int32             // column, as far as needed: the id of the row's first region, counted from 1
	found   int32               // the region that was found last
	ids     map[regionKey]int32 // of all regions; nil while no row had more than mostSteps

	of          []int32                         // column, as far as needed: the row's definitions, counted from 1
	definitions []histogram.Definitions         // all that some row has had
	numbers     map[histogram.Definitions]int32 // their numbers

	total histogram.Total // of the row that is shown

	exemplars [][]*metric.Exemplar // all of the rows that have had one, like family.exemplars
}

type regionKey struct {
	row, number int32
	schema      int8
	negative    bool
}

func (r *region) key() regionKey { return regionKey{r.row, r.number, r.schema, r.negative} }

// mostSteps is how many regions of a row are looked through. Only damage and many lowered
// schemas make more.
const mostSteps = 64

// region is a merged region.
type region struct {
	row      int32 // or nowhere: the row is gone, and so are soon the parts
	next     int32 // the row's next region, counted from 1
	number   int32
	refs     int32 // regions of files that lead here
	schema   int8
	negative bool
	free     bool
}

// Words of a native histogram in totals.
const (
	nativeZero = iota
	nativeNaN
	nativeClassic // the first classic bucket
)

// define adds definitions to those of a row.
func (v *native) define(n int, d histogram.Definitions) {
	v.of = long(v.of, n+1)
	if old := v.of[n]; old > 0 {
		was := v.definitions[old-1]
		if d = was.With(d); d == was {
			return
		}
	}
	number := v.numbers[d]
	if number == 0 {
		v.definitions = append(v.definitions, d)
		number = int32(len(v.definitions))
		if v.numbers == nil {
			v.numbers = map[histogram.Definitions]int32{}
		}
		v.numbers[d] = number
	}
	v.of[n] = number
}

// find returns a region of a row, and makes it if necessary. Processes make much the same
// regions in much the same order.
func (v *native) find(n int32, schema int, negative bool, number int32) int32 {
	is := func(id int32) bool {
		r := &v.regions[id]
		return r.row == n && r.number == number && int(r.schema) == schema && r.negative == negative && !r.free
	}
	if next := v.found + 1; int(next) < len(v.regions) && is(next) {
		v.found = next
		return next
	}
	v.first = long(v.first, int(n)+1)
	key, steps := regionKey{n, number, int8(schema), negative}, 0
	for id := v.first[n] - 1; id >= 0; id = v.regions[id].next - 1 {
		if is(id) {
			v.found = id
			return id
		}
		if steps++; steps == mostSteps {
			v.index()
			if id, there := v.ids[key]; there {
				v.found = id
				return id
			}
			break
		}
	}
	id := int32(len(v.regions))
	if last := len(v.free) - 1; last >= 0 {
		id, v.free = v.free[last], v.free[:last]
	} else {
		v.regions = append(v.regions, region{})
		v.words = append(v.words, make([]uint64, histogram.RegionBuckets)...)
	}
	v.regions[id] = region{row: n, next: v.first[n], number: number, schema: int8(schema), negative: negative}
	v.first[n], v.found = id+1, id
	if v.ids != nil {
		v.ids[key] = id
	}
	return id
}

// index makes ids.
func (v *native) index() {
	if v.ids != nil {
		return
	}
	v.ids = map[regionKey]int32{}
	for id := range v.regions {
		if r := &v.regions[id]; !r.free && r.row != nowhere {
			v.ids[r.key()] = int32(id)
		}
	}
}

// counts returns the counts of a region.
func (v *native) counts(id int32) []uint64 {
	return v.words[histogram.RegionBuckets*int(id):][:histogram.RegionBuckets]
}

// add adds counts to a region.
func (v *native) add(id int32, counts []uint64) { sum.AddCounts(v.counts(id), counts, nil) }

// join adds what the archive has of a row.
func (v *native) join(n int32, t *histogram.Total) {
	v.define(int(n), t.Definitions())
	for _, negative := range []bool{false, true} {
		for _, b := range t.Buckets(negative) {
			id := v.find(n, t.Schema(), negative, histogram.RegionOf(b.Index))
			v.counts(id)[b.Index&(histogram.RegionBuckets-1)] += b.Count
		}
	}
}

// reset forgets all parts, and the regions that no file has.
func (v *native) reset() {
	clear(v.of)
	clear(v.words)
	clear(v.first)
	v.ids = nil
	for id := len(v.regions) - 1; id >= 0; id-- {
		r := &v.regions[id]
		switch {
		case r.free:
		case r.refs == 0:
			v.release(int32(id))
		case r.row != nowhere:
			r.next, v.first[r.row] = v.first[r.row], int32(id)+1
		}
	}
}

// release makes the number of a region free.
func (v *native) release(id int32) {
	v.regions[id].free = true
	v.free = append(v.free, id)
}

// drop forgets the regions of a row that goes. Files may still have parts of it: of series that
// lead nowhere since.
func (v *native) drop(n int32) {
	if int(n) < len(v.of) {
		v.of[n] = 0
	}
	if int(n) >= len(v.first) {
		return
	}
	for id := v.first[n] - 1; id >= 0; {
		r := &v.regions[id]
		next := r.next - 1
		clear(v.counts(id))
		delete(v.ids, r.key())
		if r.row, r.next = nowhere, 0; r.refs == 0 {
			v.release(id)
		}
		id = next
	}
	v.first[n] = 0
}

// merged returns what a row has.
func (f *family) merged(n int32) *histogram.Total {
	v, words := f.native, f.totals.of(int(n))
	t := &v.total
	t.Reset()
	if int(n) < len(v.of) && v.of[n] > 0 {
		t.DefineAll(v.definitions[v.of[n]-1])
	}
	t.Zero, t.NaN = words[nativeZero], words[nativeNaN]
	if int(n) < len(v.first) {
		for id := v.first[n] - 1; id >= 0; id = v.regions[id].next - 1 {
			r := &v.regions[id]
			t.AddRegion(int(r.schema), r.negative, r.number, (*[histogram.RegionBuckets]uint64)(v.counts(id)))
		}
	}
	t.Fit()
	return t
}

// fillNative writes the values of row n, whose sum is known.
func (f *family) fillNative(n int32, out *metric.Series, total float64) {
	count, ok := f.merged(n).Show(out.Native, math.IsNaN(total))
	if !ok { // only damage does that
		count, out.Native = math.MaxInt64, nil
	}
	out.Count, out.Sum = count, total
	var below uint64
	for i, c := range f.totals.of(int(n))[nativeClassic:] {
		// A part that was counted between its two loads may have more here than there.
		below += min(c, count-below)
		out.Buckets[i] = metric.Bucket{UpperBound: f.bounds[i], Count: below}
	}
	out.Buckets[len(f.bounds)] = metric.Bucket{UpperBound: math.Inf(1), Count: count}
}

// regionPlace is where a region of a file leads.
type regionPlace struct {
	family int32 // index in the part's families
	id     int32 // or nowhere
}

// extendRegions gives places to the regions of a file that have none yet, after its series.
func (t *Table) extendRegions(f *snapshot.File, p *part) {
	if n := len(p.regions); n < f.Regions.Len() {
		p.regionsAdded = append(p.regionsAdded, mpm.NumberRange{First: n, N: f.Regions.Len() - n})
		p.regions = append(p.regions, slices.Repeat([]regionPlace{{id: nowhere}}, f.Regions.Len()-n)...)
	}
	eachNumber(p.regionsAdded, len(p.regions), func(i int) {
		if f.Regions.Has(i) && p.regions[i].id == nowhere {
			p.regions[i] = t.placeRegion(f, p, i)
		}
	})
	p.regionsAdded = nil
}

// placeRegion finds the place of region i of a file, and adds its counts to totals that hold.
func (t *Table) placeRegion(f *snapshot.File, p *part, i int) regionPlace {
	of, series := &p.series, int(f.RegionOwners[i])
	if series < 0 {
		of, series = &p.removed, ^series
	}
	s := of.placeOf(series)
	if s.family == nil || s.family.native == nil {
		return regionPlace{id: nowhere}
	}
	v := s.family.native
	id := v.find(s.number, f.Regions.Schema(i), f.Regions.Negative(i), f.Regions.Number(i))
	v.regions[id].refs++
	switch counts := f.RegionValues[histogram.RegionBuckets*i:][:histogram.RegionBuckets]; {
	case of.gone:
		s.family.mark(s.number)
	case s.family.recompute:
		s.family.touch(int(s.number))
	case s.family.ends.counts(s.number, &f.Series, series, false):
		v.add(id, counts)
		s.family.touch(int(s.number))
	}
	family := slices.Index(p.families, s.family)
	if family < 0 {
		family, p.families = len(p.families), append(p.families, s.family)
	}
	return regionPlace{int32(family), id}
}

// releaseRegion notes that region i of a file no longer leads anywhere.
func (p *part) releaseRegion(i int) {
	to := p.regions[i]
	if to.id == nowhere {
		return
	}
	f := p.families[to.family]
	r := &f.native.regions[to.id]
	r.refs--
	if r.row != nowhere {
		f.mark(r.row) // the next Merge forgets the region, if nobody has it
	} else if r.refs == 0 {
		f.native.release(to.id)
	}
	p.regions[i].id = nowhere
}

// releaseRegions releases all regions. The next Plan places them again.
func (p *part) releaseRegions() {
	for i := range p.regions {
		p.releaseRegion(i)
	}
	p.regions, p.families, p.regionsAdded = nil, nil, nil
}

// moveRegions makes changes of regions part of the file's values, and moves the totals by them.
func (p *part) moveRegions(f *snapshot.File, d *snapshot.Delta, now int64) {
	for _, c := range d.Regions.Changes {
		old := f.RegionValues[c.At]
		f.RegionValues[c.At] = c.Word
		i := c.At / histogram.RegionBuckets
		if i >= len(p.regions) || p.regions[i].id == nowhere {
			continue
		}
		fam, id := p.families[p.regions[i].family], p.regions[i].id
		n := fam.native.regions[id].row
		if n == nowhere {
			continue
		}
		if p.series.watched || f.RegionOwners[i] < 0 || fam.ends.some > 0 {
			series := int(f.RegionOwners[i])
			if series < 0 { // code that holds a removed series may update it
				fam.mark(n)
				continue
			}
			if f.Series.Schema(series).TTL == 0 {
				fam.ends.see(n, now)
			}
			if !fam.recompute && !fam.ends.counts(n, &f.Series, series, false) {
				continue
			}
		}
		fam.touch(int(n))
		if !fam.recompute {
			fam.native.words[histogram.RegionBuckets*int(id)+c.At%histogram.RegionBuckets] += c.Word - old
		}
	}
}

// addRegions adds the regions of a file to the families that are marked.
func (p *part) addRegions(f *snapshot.File) {
	if !slices.ContainsFunc(p.families, func(f *family) bool { return f.recompute }) {
		return
	}
	for i, to := range p.regions {
		if to.id == nowhere {
			continue
		}
		fam := p.families[to.family]
		n := fam.native.regions[to.id].row
		if !fam.recompute || n == nowhere {
			continue
		}
		if fam.ends.some > 0 {
			list, owner := &f.Series, int(f.RegionOwners[i])
			gone := owner < 0
			if gone {
				list, owner = &f.Removed, ^owner
			}
			if !fam.ends.counts(n, list, owner, gone) {
				continue
			}
		}
		fam.native.add(to.id, f.RegionValues[histogram.RegionBuckets*i:][:histogram.RegionBuckets])
	}
}
