package aggregate

import (
	"slices"

	"github.com/multiprom/multiprom/internal/mpm"
	"github.com/multiprom/multiprom/metric"
)

// steps are consecutive series of a file, of one definition, that go anywhere in one
// family: those that cannot be a run. Their values are added to the family's
// accumulators at every scrape.
type steps struct {
	family  *family
	schema  *metric.Schema
	bucket  []int   // of a histogram whose bounds are not the family's: where each bucket goes
	series  int     // number of the first in the file
	at      int     // of its values
	size    int     // values of each
	numbers []int32 // of the slots
}

// addStep plans series number i of a list, whose values begin at at.
func addStep(all []steps, to slot, schema *metric.Schema, i, at int) []steps {
	to.family.refs[to.number]++
	if n := len(all); n > 0 {
		st := &all[n-1]
		if st.family == to.family && st.schema == schema && st.series+len(st.numbers) == i {
			st.numbers = append(st.numbers, to.number)
			return all
		}
	}
	st := steps{
		family: to.family, schema: schema, series: i, at: at, size: mpm.ValuesPerSeries(schema), numbers: []int32{to.number},
	}
	if schema.Type == metric.Histogram && !slices.Equal(schema.Bounds, to.family.bounds) {
		st.bucket = placeBuckets(schema.Bounds, to.family.bounds)
	}
	return append(all, st)
}

// of returns the values of step i.
func (st *steps) of(values []uint64, i int) []uint64 { return values[st.at+i*st.size:][:st.size] }

// add adds the parts that count.
func (st *steps) add(f *file, from source) {
	for i, n := range st.numbers {
		if created := f.series.CreatedNanos(st.series + i); created >= st.family.since(n) {
			st.family.add(n, st.schema, st.of(f.values, i), st.bucket, created, from)
		}
	}
}
