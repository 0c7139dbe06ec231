package record

import (
	"math"
	"slices"
	"time"

	"github.com/multiprom/multiprom/metric"
)

// Family is a family of a recording.
type Family struct {
	Name    string
	Type    metric.Type
	Bounds  []float64 // of a histogram
	Process bool      // each series is what a process has counted
}

// Series is a series of a recording. Its Values are a counter's or gauge's value; or a
// histogram's buckets, not cumulative, and sum; or a summary's count and sum.
type Series struct {
	Family *Family
	Labels metric.Labels
	Values []float64

	first int
	gone  bool
}

// Counted returns what a series has counted: a counter's value, or observations.
func (s *Series) Counted() (n float64) {
	switch s.Family.Type {
	case metric.Histogram:
		for _, v := range s.Values[:len(s.Values)-1] {
			n += v
		}
		return n
	}
	return s.Values[0]
}

// Death is a process that has died, and what its file had then. Samples are empty if the file
// was compacted before the recorder saw it.
type Death struct {
	Process string
	Samples []Sample
}

// Sample is a value by its name with labels.
type Sample struct {
	Name  string
	Value float64
}

// State is what a recording has of a second. It is valid until the function that gets it
// returns.
type State struct {
	Time   time.Time
	Deaths []Death // since the second before

	number   uint64
	known    bool
	begins   bool // the tick needed none before it
	families []*Family
	series   []*Series
	own      []*Series // what processes have counted
	last     []uint64
}

// Series yields the series that were there.
func (s *State) Series() []*Series {
	out := make([]*Series, 0, len(s.series))
	for _, one := range s.series {
		if !one.gone {
			one.Values = one.Values[:0]
			for _, bits := range s.last[one.first:][:one.Family.valuesOf()] {
				one.Values = append(one.Values, math.Float64frombits(bits))
			}
			out = append(out, one)
		}
	}
	return out
}

// apply brings the state to the next tick. It reports whether there is a state: a tick that
// belongs to another beginning is passed over, and so is one that was applied already.
func (s *State) apply(tick []byte) (applied bool, err error) {
	d := decoder{b: tick}
	number, at, first := d.uvarint(), d.uvarint(), d.uvarint()
	switch {
	case d.bad:
		return false, errFormat
	case first == 1:
		*s = State{known: true}
	case !s.known || number != s.number+1:
		return false, nil
	}
	s.number, s.Time, s.Deaths, s.begins = number, time.UnixMilli(int64(at)), nil, first == 1
	for range d.count() {
		f := &Family{Name: d.string(), Type: metric.Type(d.uvarint())}
		f.Process = d.uvarint() == 1
		for range d.count() {
			f.Bounds = append(f.Bounds, d.float())
		}
		s.families = append(s.families, f)
	}
	for range d.count() {
		family := d.uvarint()
		labels := d.labels()
		if d.bad || family >= uint64(len(s.families)) {
			return false, errFormat
		}
		f := s.families[family]
		one := &Series{Family: f, Labels: labels, first: len(s.last)}
		if s.series = append(s.series, one); f.Process {
			s.own = append(s.own, one)
		}
		s.last = append(s.last, make([]uint64, f.valuesOf())...)
	}
	at1 := 0
	for range d.count() {
		if at1 += d.varint(); at1 < 0 || at1 >= len(s.series) {
			return false, errFormat
		}
		s.series[at1].gone = true
	}
	positions := make([]int, 0, d.peekCount())
	for at, n := 0, d.count(); len(positions) < n && !d.bad; {
		if at += d.varint(); at < 0 || at >= len(s.last) {
			return false, errFormat
		}
		positions = append(positions, at)
	}
	for _, at := range positions {
		s.last[at] = d.change(s.last[at])
	}
	for range d.count() {
		death := Death{Process: d.string()}
		for range d.count() {
			death.Samples = append(death.Samples, Sample{d.string(), d.float()})
		}
		s.Deaths = append(s.Deaths, death)
	}
	if d.bad || len(d.b) > 0 {
		return false, errFormat
	}
	return true, nil
}

func (d *decoder) varint() int {
	v := d.uvarint()
	return int(int64(v>>1) ^ -int64(v&1))
}

// peekCount is count without reading it.
func (d *decoder) peekCount() int {
	c := *d
	return c.count()
}

// Families returns the merged view as families, sorted, without what processes have counted,
// and without states of state sets.
func (s *State) Families() []*metric.Family {
	byFamily := map[*Family]*metric.Family{}
	var out []*metric.Family
	for _, one := range s.Series() {
		if one.Family.Process {
			continue
		}
		f := byFamily[one.Family]
		if f == nil {
			f = &metric.Family{Name: one.Family.Name, Type: one.Family.Type}
			if f.Type == metric.StateSet {
				f.Type = metric.Gauge
			}
			byFamily[one.Family] = f
			out = append(out, f)
		}
		series := metric.Series{Labels: one.Labels}
		switch one.Family.Type {
		case metric.Histogram:
			n := len(one.Values) - 1
			counts := make([]uint64, n)
			for i, v := range one.Values[:n] {
				counts[i] = uint64(v)
				series.Count += counts[i]
			}
			series.Buckets, series.Sum = metric.Cumulate(one.Family.Bounds, counts), one.Values[n]
		case metric.Summary:
			series.Count, series.Sum = uint64(one.Values[0]), one.Values[1]
		default:
			series.Value = one.Values[0]
		}
		f.Series = append(f.Series, series)
	}
	metric.SortFamilies(out)
	return slices.DeleteFunc(out, func(f *metric.Family) bool { return len(f.Series) == 0 })
}
