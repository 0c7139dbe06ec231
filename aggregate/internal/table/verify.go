package table

import (
	"fmt"
	"slices"

	"github.com/multiprom/multiprom/aggregate/internal/snapshot"
	"github.com/multiprom/multiprom/aggregate/internal/sum"
)

// Verify returns an error if a total is not the sum of its parts. again is a table that has
// added up the same snapshot from the beginning. Tests call it after every step.
func (t *Table) Verify(again *Table) error {
	for name, fam := range t.byName {
		if fam.recompute {
			continue
		}
		other := again.byName[name]
		if other == nil {
			return fmt.Errorf("%s is not there again", name)
		}
		for _, n := range fam.order {
			if err := fam.verify(n, other); err != nil {
				return fmt.Errorf("%s, %v: %w", name, fam.appendLabels(nil, n), err)
			}
		}
	}
	return nil
}

func (f *family) verify(n int32, again *family) error {
	created := f.totals.created[n]
	m := again.find(f.appendLabels(nil, n))
	if m < 0 {
		if created != never { // else of files of client_python that are gone
			return fmt.Errorf("created %d, but nobody has it", created)
		}
		return nil
	}
	if was := again.totals.created[m]; was != created {
		return fmt.Errorf("created %d, not %d", created, was)
	}
	if a, b := f.totals.of(int(n)), again.totals.of(int(m)); !slices.Equal(a, b) {
		return fmt.Errorf("%v, not %v", a, b)
	}
	if f.native != nil {
		if a, b := f.merged(n).AppendWords(nil), again.merged(m).AppendWords(nil); !slices.Equal(a, b) {
			return fmt.Errorf("native buckets %v, not %v", a, b)
		}
	}
	// What is added up in another order may be more than two floats hold.
	hi, lo := again.totals.sum(int(m))
	want := []float64{hi, lo}
	switch {
	case again.recompute && f.acc.used():
		return nil // its accumulators have client_python's values too
	case again.recompute:
		total := again.sums(m).Sum
		want = append(slices.Clone(total.Rest), total.First)
	}
	var difference sum.Exact
	hi, lo = f.totals.sum(int(n))
	for _, part := range append(want, -hi, -lo) {
		difference.Add(part)
	}
	if difference.Round() != 0 {
		return fmt.Errorf("the sum is %v + %v, not that of %v", hi, lo, want)
	}
	return nil
}

// Falsify adds to a word of the totals of a family that is not marked, so that tests see
// whether the totals are added up again.
func (t *Table) Falsify(name string, word int, by uint64) {
	fam := t.byName[name]
	if fam.recompute {
		panic(name + " is added up again anyhow")
	}
	fam.totals.words[word] += by
}

// IsSpilled reports whether the totals of a family could not hold all of its last merge.
func (t *Table) IsSpilled(name string) bool { return t.byName[name].acc.used() }

// SpansOf returns how many spans lead the series of a file to their rows.
func (t *Table) SpansOf(f *snapshot.File) int { return len(t.part(f).series.all) }
