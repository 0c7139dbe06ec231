package main

import (
	"fmt"
	"io"
	"math"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/multiprom/multiprom/metric"
	"github.com/multiprom/multiprom/mmapstore"
	"github.com/multiprom/multiprom/mmapstore/pyfile"
)

// pythonInspection is a file of client_python as `mpctl inspect` shows it.
type pythonInspection struct {
	File      string            `json:"file"`
	Kind      string            `json:"kind"` // python or ruby
	Type      string            `json:"type"`
	Mode      string            `json:"mode,omitempty"`
	Process   string            `json:"process"`
	Dead      bool              `json:"dead"`
	ValueSize int               `json:"value_size"` // in bytes, the time included; 0 without a record
	Used      int64             `json:"used"`
	Bytes     int64             `json:"bytes"`
	Series    int               `json:"series"`
	Families  []pythonFamily    `json:"families"`
	Damage    []inspectedDamage `json:"damage,omitempty"`
}

type pythonFamily struct {
	Name    string         `json:"name"`
	Help    string         `json:"help"`
	Records []pythonRecord `json:"records"`
}

type pythonRecord struct {
	Offset int64             `json:"offset"` // of the value
	Part   string            `json:"part"`
	Labels map[string]string `json:"labels"`
	Value  string            `json:"value"`
	Time   time.Time         `json:"time,omitzero"` // in the mostrecent modes
}

func inspectPython(path string) (*pythonInspection, error) {
	d, err := mmapstore.OpenDir(filepath.Dir(path))
	if err != nil {
		return nil, err
	}
	defer d.Close()
	r, err := pyfile.Open(d, filepath.Base(path), &pyfile.Keys{}, mmapstore.ReadOptions{})
	if err != nil {
		return nil, err
	}
	defer r.Close()
	if err := r.Refresh(d); err != nil {
		return nil, err
	}
	name := r.Name()
	in := &pythonInspection{
		File: path, Kind: "python", Type: name.Type.String(), Process: name.ID, Dead: name.Dead,
		ValueSize: r.Stride(), Used: r.Used(), Bytes: r.Bytes(), Series: r.Series(), Families: []pythonFamily{},
	}
	if name.Type == metric.Gauge {
		in.Mode = name.Mode.String()
	}
	if r.Ruby() {
		in.Kind = "ruby"
	}
	for _, c := range r.Damaged() {
		in.Damage = append(in.Damage, inspectedDamage{c.Offset, c.Reason})
	}
	err = mmapstore.Guard(path, func() error {
		in.fill(r)
		return nil
	})
	return in, err
}

func (in *pythonInspection) fill(r *pyfile.Reader) {
	values := r.AppendValues(nil)
	places := map[int]int{} // of families
	for i, n := range r.Records() {
		key := r.Keys().Keys()[n]
		family := r.Keys().FamilyOf(key.Series)
		at, known := places[family]
		if !known {
			at = len(in.Families)
			places[family] = at
			f := r.Keys().Families()[family]
			in.Families = append(in.Families, pythonFamily{Name: f.Name, Help: f.Help})
		}
		w := values[i*r.Words() : (i+1)*r.Words()]
		record := pythonRecord{
			Offset: r.Offset(i), Part: partName(in.Type, &key), Labels: r.Keys().AppendLabels(nil, key.Series).Map(), Value: metric.FormatFloat(math.Float64frombits(w[0])),
		}
		if seconds := math.Float64frombits(w[len(w)-1]); len(w) == 2 && seconds > 0 {
			record.Time = time.Unix(0, int64(seconds*1e9)).UTC()
		}
		in.Families[at].Records = append(in.Families[at].Records, record)
	}
}

// partName returns the suffix of the record's sample, with its bucket.
func partName(of string, k *pyfile.Key) string {
	switch {
	case k.Part == pyfile.Bucket:
		return "_bucket le=" + metric.FormatFloat(k.Bound)
	case k.Part == pyfile.Count:
		return "_count"
	case of == metric.Summary.String() || of == metric.Histogram.String():
		return "_sum"
	case of == metric.Counter.String():
		return "_total"
	}
	return "value"
}

func (in *pythonInspection) print(w io.Writer) error {
	process := in.Process
	if in.Dead {
		process += ", marked dead"
	}
	err := table(w, []string{"file", in.File}, [][]string{
		{"kind", in.Kind},
		{"type", strings.TrimSpace(in.Type + " " + in.Mode)},
		{"process", process},
		{"bytes", fmt.Sprintf("%d, %d in use", in.Bytes, in.Used)},
		{"bytes of a value", strconv.Itoa(in.ValueSize)},
		{"series", strconv.Itoa(in.Series)},
	})
	if err != nil {
		return err
	}
	for _, f := range in.Families {
		fmt.Fprintf(w, "\n%s\n", printable(f.Name+": "+f.Help))
		var rows [][]string
		for _, r := range f.Records {
			value := r.Value
			if !r.Time.IsZero() {
				value += " at " + r.Time.Format(time.RFC3339Nano)
			}
			rows = append(rows, []string{strconv.FormatInt(r.Offset, 10), r.Part, metric.LabelsFromMap(r.Labels).String(), value})
		}
		if err := table(w, []string{"OFFSET", "PART", "LABELS", "VALUE"}, rows); err != nil {
			return err
		}
	}
	for _, d := range in.Damage {
		fmt.Fprintf(w, "\ndamaged: offset %d: %s\n", d.Offset, printable(d.Reason))
	}
	return nil
}
