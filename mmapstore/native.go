package mmapstore

import (
	"fmt"
	"math"
	"runtime"
	"sync/atomic"

	"github.com/multiprom/multiprom/internal/mpm"
	"github.com/multiprom/multiprom/metric"
)

func readNative(path string, opts mpm.ReadOptions) (*File, error) {
	r, err := mpm.Open(path, opts)
	if err != nil {
		return nil, err
	}
	defer r.Close()
	alive, err := r.Locked()
	if err != nil {
		return nil, err
	}
	for range maxTries {
		if err := r.Refresh(); err != nil {
			return nil, err
		}
		var f *File
		whole := false
		err := mpm.Guard(path, func() error {
			f = newFile(r, alive)
			complete := f.addFamilies(r)
			valid, err := r.Valid()
			whole = complete && valid
			return err
		})
		if err != nil || whole {
			return f, err
		}
		runtime.Gosched()
	}
	return nil, fmt.Errorf("mmapstore: %s: %w", path, mpm.ErrStale)
}

// maxTries is how often a file is read whose values may belong to other series by now.
const maxTries = 64

// newFile reads what a native file says of its process.
func newFile(r *mpm.Reader, alive bool) *File {
	h := r.Header()
	damage, _ := r.Damaged()
	return &File{
		Damage: damage, Bytes: r.Bytes(),
		ProcessID: h.Label, PID: h.PID, Created: h.Created, Incarnation: h.Incarnation,
		Alive: alive && !r.Closed() && !r.Marked(), Closed: r.Closed(), MarkedDead: r.Marked(),
		InvalidUpdates: r.Count(mpm.InvalidUpdates), OverflowSeries: r.Count(mpm.OverflowSeries),
		FallbackSeries: r.Count(mpm.FallbackSeries), DiscardedCalls: r.Count(mpm.DiscardedCalls),
	}
}

// addFamilies reads the values. ok is false if a value changed too fast.
func (f *File) addFamilies(r *mpm.Reader) (ok bool) {
	families := map[*metric.Schema]*metric.Family{}
	for _, s := range r.Schemas() {
		families[s] = &metric.Family{Name: s.Name, Help: s.Help, Unit: s.Unit, Type: s.Type}
		f.Families = append(f.Families, families[s])
	}
	exemplars := map[int][]mpm.ExemplarInfo{}
	for _, e := range r.Exemplars() {
		exemplars[e.Series] = append(exemplars[e.Series], e)
	}
	regions := r.LiveRegions()
	for _, info := range r.Series() {
		s := metric.Series{Labels: info.Labels()}
		if info.Schema.Native != nil {
			mpm.ReadNative(&s, info.Schema, info.Words(), regions[info.Number()])
		} else if !setValue(&s, info.Schema, info.Words()) {
			return false
		}
		switch info.Schema.Type {
		case metric.Counter, metric.Histogram, metric.Summary:
			s.Created = info.Created()
		}
		for _, e := range exemplars[info.Number()] {
			x, _ := e.Load()
			switch {
			case info.Schema.Type == metric.Counter:
				s.Exemplar = x
			case e.Bucket < len(s.Buckets):
				s.Buckets[e.Bucket].Exemplar = x
			case s.Native != nil && x != nil:
				s.Native.Exemplars = append(s.Native.Exemplars, x)
			}
		}
		to := families[info.Schema]
		to.Series = append(to.Series, s)
	}
	metric.SortFamilies(f.Families)
	return true
}

// setValue decodes the words of a series. ok is false if they changed too fast.
func setValue(s *metric.Series, schema *metric.Schema, words []uint64) (ok bool) {
	word := func(i int) uint64 { return atomic.LoadUint64(&words[i]) }
	float := func(i int) float64 { return math.Float64frombits(word(i)) }
	switch {
	case schema.Timed():
		bits, _, ok := mpm.LoadRecent(words)
		if !ok {
			return false
		}
		if schema.Type == metric.StateSet {
			s.States = states(schema, math.Float64frombits(bits))
		} else {
			s.Value = math.Float64frombits(bits)
		}
	case schema.Type == metric.Counter:
		s.Value = mpm.CounterValue(word(mpm.CellCounterInts), word(mpm.CellCounterFloat))
	case schema.Type == metric.StateSet:
		s.States = states(schema, float64(word(mpm.CellState)))
	case schema.Type == metric.Histogram:
		counts := make([]uint64, len(schema.Bounds)+1)
		for i := range counts {
			counts[i] = word(mpm.CellHistogramBuckets + i)
		}
		s.Buckets = metric.Cumulate(schema.Bounds, counts)
		s.Count, s.Sum = s.Buckets[len(counts)-1].Count, float(mpm.CellHistogramSum)
	case schema.Type == metric.Summary:
		s.Count, s.Sum = word(mpm.CellSummaryCount), float(mpm.CellSummarySum)
	case schema.Type == metric.Info:
		s.Value = 1
	case word(mpm.CellGauge) != mpm.UnsetBits: // else it was never set and is shown as 0
		s.Value = float(mpm.CellGauge)
	}
	return true
}

func states(schema *metric.Schema, on float64) []metric.State {
	out := make([]metric.State, len(schema.States))
	for i, name := range schema.States {
		out[i] = metric.State{Name: name, On: float64(i) == on}
	}
	return out
}
