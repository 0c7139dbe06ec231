package sum

import (
	"math"
	"math/bits"

	"github.com/multiprom/multiprom/internal/histogram"
	"github.com/multiprom/multiprom/internal/mpm"
	"github.com/multiprom/multiprom/metric"
)

// Accumulator is what any number of processes add up to in one series. The schema's type
// says which fields count. The result depends neither on the order in which processes are
// added nor on which of them were added up before, so compaction changes no value.
type Accumulator struct {
	Pick
	Sum      Exact            // counter: other increments; histogram, summary, gauge sum: the sum
	Hi, Ints uint64           // counter: whole increments, 128 bits; summary: count
	Counts   []uint64         // histogram: observations per classic bucket
	Native   *histogram.Total // of a native one; nil before the first part
	Recents  Recents          // mostrecent, in the archive: what the pick is picked from
}

// Source is the process whose words are added, and who adds them.
type Source struct {
	Live    bool
	Created int64 // when it opened its file
	Now     int64 // the reader's clock
}

// Add adds one process's words of a series of that schema. bucket says where each bucket
// goes; nil leaves each in its place (PlaceBuckets).
func (a *Accumulator) Add(schema *metric.Schema, w []uint64, bucket []int, created int64, from Source) {
	if !Summed(schema) {
		a.Pick.Add(schema, w, created, from)
		if schema.Timed() {
			a.Recents = a.Recents.Add(recentOf(w), from.Now)
		}
		return
	}
	if IsLive(schema) && !from.Live {
		return
	}
	a.Enter(created)
	switch schema.Type {
	case metric.Counter:
		a.AddInts(0, w[mpm.CellCounterInts])
		a.Sum.Add(Finite(w[mpm.CellCounterFloat])) // no writer of ours makes another: that would be damage
	case metric.Summary:
		a.Ints += w[mpm.CellSummaryCount]
		a.Sum.Add(math.Float64frombits(w[mpm.CellSummarySum]))
	case metric.Histogram:
		a.Sum.Add(math.Float64frombits(w[mpm.CellHistogramSum]))
		if !IsNative(schema) {
			AddCounts(a.Counts, w[mpm.CellHistogramBuckets:], bucket)
			return
		}
		total := a.native()
		total.Define(histogram.DefinitionOf(schema.Native))
		total.Zero += w[histogram.CellZero]
		total.NaN += w[histogram.CellNaN]
		AddCounts(a.Counts, w[mpm.CellNativeBuckets:], bucket)
	case metric.Gauge, metric.Unknown:
		if w[mpm.CellGauge] != mpm.UnsetBits {
			a.Sum.Add(math.Float64frombits(w[mpm.CellGauge]))
			a.Set = true
		}
	}
}

// Join adds what other processes add up to.
func (a *Accumulator) Join(schema *metric.Schema, o *Accumulator, bucket []int, now int64) {
	if !Summed(schema) {
		a.Pick.Join(schema, o, now)
		for _, r := range o.Recents {
			a.Recents = a.Recents.Add(r, now)
		}
		return
	}
	if !o.Present {
		return
	}
	a.Enter(o.Created)
	a.Set = a.Set || o.Set
	a.Sum.Join(&o.Sum)
	switch schema.Type {
	case metric.Counter:
		a.AddInts(o.Hi, o.Ints)
	case metric.Summary:
		a.Ints += o.Ints
	case metric.Histogram:
		AddCounts(a.Counts, o.Counts, bucket)
		if o.Native != nil {
			a.native().Merge(o.Native)
		}
	}
}

// native returns the total of a native histogram.
func (a *Accumulator) native() *histogram.Total {
	if a.Native == nil {
		a.Native = &histogram.Total{}
	}
	return a.Native
}

// AddRegion adds a region of a series of a native histogram, after the series.
func (a *Accumulator) AddRegion(list *mpm.RegionList, i int, counts []uint64) {
	a.Native.AddRegion(list.Schema(i), list.Negative(i), list.Number(i), (*[histogram.RegionBuckets]uint64)(counts))
}

// AddInts adds whole increments of a counter: hi times 2^64, and lo.
func (a *Accumulator) AddInts(hi, lo uint64) {
	var carry uint64
	a.Ints, carry = bits.Add64(a.Ints, lo, 0)
	a.Hi += hi + carry
}

// Counter returns a counter's value, rounded once.
func (a *Accumulator) Counter() float64 {
	const exact = 1 << 53
	if a.Hi == 0 && a.Ints <= exact && len(a.Sum.Rest) == 0 && !a.Sum.Odd {
		return float64(a.Ints) + a.Sum.First
	}
	var s Exact
	s.Join(&a.Sum)
	for i, word := range [2]uint64{a.Ints, a.Hi} {
		s.Add(math.Ldexp(float64(uint32(word)), 64*i))
		s.Add(math.Ldexp(float64(word>>32), 64*i+32))
	}
	return s.Round()
}
