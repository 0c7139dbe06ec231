package main

import (
	"fmt"
	"math"
	"path/filepath"
	"strconv"
	"time"

	"github.com/multiprom/multiprom/internal/form"
	"github.com/multiprom/multiprom/internal/mpm"
	"github.com/multiprom/multiprom/internal/pyfile"
	"github.com/multiprom/multiprom/metric"
)

// inspectedPython is the header of a file of client_python.
type inspectedPython struct {
	Process   string `json:"process"`
	Dead      bool   `json:"dead"`
	ValueSize int    `json:"value_size"` // in bytes, including the time; 0 if there is no record
	Used      int64  `json:"used"`       // bytes in use
}

func inspectPython(path string) (*inspection, error) {
	d, err := mpm.OpenDir(filepath.Dir(path))
	if err != nil {
		return nil, err
	}
	defer d.Close()
	r, err := pyfile.Open(d, filepath.Base(path), &pyfile.Keys{}, mpm.ReadOptions{})
	if err != nil {
		return nil, err
	}
	defer r.Close()
	if err := r.Refresh(d); err != nil {
		return nil, err
	}
	name := r.Name()
	in := &inspection{
		File: path, Kind: "python", Bytes: r.Bytes(), Series: r.Series(), Families: []inspectedFamily{},
		Python: &inspectedPython{Process: name.ID, Dead: name.Dead, ValueSize: r.Stride(), Used: r.Used()},
	}
	if r.Ruby() {
		in.Kind = "ruby"
	}
	for _, c := range r.Damaged() {
		in.Damage = append(in.Damage, inspectedDamage{c.Offset, c.Reason})
	}
	err = mpm.Guard(path, func() error {
		in.fillPython(r)
		return nil
	})
	return in, err
}

// fillPython joins the records of each series.
func (in *inspection) fillPython(r *pyfile.Reader) {
	name, keys, values := r.Name(), r.Keys(), r.AppendValues(nil)
	bounds := map[string][]float64{}
	for _, schema := range r.Schemas() {
		bounds[schema.Name] = schema.Bounds
	}
	families := map[int]int{}       // number of the keys' family -> in in.Families
	bySeries := map[uint32][2]int{} // number of the keys' series -> family and series
	for i, n := range r.Records() {
		key := &keys.Keys()[n]
		at, known := bySeries[key.Series]
		if !known {
			family := keys.FamilyOf(key.Series)
			f, known := families[family]
			if !known {
				f = len(in.Families)
				families[family] = f
				k := keys.Families()[family]
				in.Families = append(in.Families, describeFamily(&metric.Schema{Name: k.Name, Help: k.Help, Type: name.Type, Mode: name.Mode, Bounds: bounds[k.Name]}))
			}
			at = [2]int{f, len(in.Families[f].Series)}
			bySeries[key.Series] = at
			in.Families[f].Series = append(in.Families[f].Series, inspectedSeries{
				Labels: keys.AppendLabels(nil, key.Series).Map(), Offset: r.Offset(i),
			})
		}
		s := &in.Families[at[0]].Series[at[1]]
		s.addRecord(name.Type, key, values[i*r.Words():(i+1)*r.Words()])
	}
}

// addRecord adds the value of one record and, in the mostrecent modes, its time.
func (s *inspectedSeries) addRecord(of metric.Type, k *pyfile.Key, w []uint64) {
	s.Words = append(s.Words, hex(w)...)
	value := form.FormatFloat(math.Float64frombits(w[0]))
	switch {
	case k.Part == pyfile.Bucket:
		s.Buckets = append(s.Buckets, inspectedBucket{string(form.AppendBound(nil, k.Bound)), value})
	case k.Part == pyfile.Count:
		s.Count = value
	case of == metric.Summary, of == metric.Histogram:
		s.Sum = value
	default:
		s.Value = value
	}
	if seconds := math.Float64frombits(w[len(w)-1]); len(w) == 2 && seconds > 0 {
		s.Time = time.Unix(0, int64(seconds*1e9)).UTC()
	}
}

func (p *inspectedPython) rows() [][]string {
	process := p.Process
	if p.Dead {
		process += ", marked dead"
	}
	return [][]string{
		{"process", process},
		{"bytes in use", fmt.Sprint(p.Used)},
		{"bytes of a value", strconv.Itoa(p.ValueSize)},
	}
}
