package mmapstore

import (
	"cmp"
	"math"
	"path/filepath"
	"slices"

	"github.com/multiprom/multiprom/internal/mpm"
	"github.com/multiprom/multiprom/internal/pyfile"
	"github.com/multiprom/multiprom/metric"
)

func readPython(path string, opts mpm.ReadOptions) (*File, error) {
	d, err := mpm.OpenDir(filepath.Dir(path))
	if err != nil {
		return nil, err
	}
	defer d.Close()
	r, err := pyfile.Open(d, filepath.Base(path), &pyfile.Keys{}, opts)
	if err != nil {
		return nil, err
	}
	defer r.Close()
	if err := r.Refresh(d); err != nil {
		return nil, err
	}
	f := &File{Damage: r.Damaged(), Bytes: r.Used(), ProcessID: r.Name().ID, Alive: !r.Name().Dead}
	err = mpm.Guard(path, func() error {
		f.addPython(r)
		return nil
	})
	return f, err
}

// addPython joins the records of each series. If a counter's key is there twice, both
// count, as in the merged view.
func (f *File) addPython(r *pyfile.Reader) {
	kind, keys, values, perRecord := r.Name(), r.Keys(), r.AppendValues(nil), r.Words()
	families, series := map[string]*metric.Family{}, map[uint32]*metric.Series{}
	var order []uint32
	for i, n := range r.Records() {
		k := &keys.Keys()[n]
		s := series[k.Series]
		if s == nil {
			s = &metric.Series{Labels: keys.AppendLabels(nil, k.Series)}
			series[k.Series] = s
			order = append(order, k.Series)
		}
		switch v := math.Float64frombits(values[i*perRecord]); {
		case k.Part == pyfile.Count:
			s.Count += whole(v)
		case k.Part == pyfile.Bucket:
			s.Buckets = append(s.Buckets, metric.Bucket{UpperBound: k.Bound, Count: whole(v)})
		case k.Part == pyfile.Ignored:
		case kind.Type == metric.Histogram, kind.Type == metric.Summary:
			s.Sum += v
		case kind.Type == metric.Counter:
			s.Value += v
		default:
			s.Value = v
		}
	}
	for _, n := range order {
		of := keys.Families()[keys.FamilyOf(n)]
		to := families[of.Name]
		if to == nil {
			to = &metric.Family{Name: of.Name, Help: of.Help, Type: kind.Type}
			families[of.Name] = to
			f.Families = append(f.Families, to)
		}
		s := series[n]
		if kind.Type == metric.Histogram {
			cumulate(s)
		}
		to.Series = append(to.Series, *s)
	}
	metric.SortFamilies(f.Families)
}

// cumulate sorts a histogram's buckets and adds up their counts.
func cumulate(s *metric.Series) {
	slices.SortFunc(s.Buckets, func(b, o metric.Bucket) int { return cmp.Compare(b.UpperBound, o.UpperBound) })
	if n := len(s.Buckets); n == 0 || !math.IsInf(s.Buckets[n-1].UpperBound, 1) {
		s.Buckets = append(s.Buckets, metric.Bucket{UpperBound: math.Inf(1)})
	}
	var sum uint64
	out := s.Buckets[:0]
	for _, b := range s.Buckets {
		sum += b.Count
		b.Count = sum
		if n := len(out); n > 0 && out[n-1].UpperBound == b.UpperBound {
			out = out[:n-1]
		}
		out = append(out, b)
	}
	s.Buckets, s.Count = out, sum
}

// whole returns a count that a client wrote as a float.
func whole(v float64) uint64 {
	if !(v > 0) {
		return 0
	}
	return uint64(min(v, 1<<63))
}
