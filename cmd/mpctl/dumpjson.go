package main

import (
	"encoding/json"
	"fmt"
	"io"
	"strconv"
	"time"

	"github.com/multiprom/multiprom/internal/form"
	"github.com/multiprom/multiprom/metric"
)

// dumpedFamily is a family in the output of `mpctl dump --json`.
type dumpedFamily struct {
	Name   string         `json:"name"`
	Type   string         `json:"type"`
	Unit   string         `json:"unit,omitempty"`
	Help   string         `json:"help"`
	Series []dumpedSeries `json:"series"`
}

// dumpedSeries is one series. Numbers that may be NaN or infinite are strings, because JSON
// has neither.
type dumpedSeries struct {
	Labels    map[string]string  `json:"labels"`
	Value     string             `json:"value,omitempty"`
	Count     *uint64            `json:"count,omitempty"`
	Sum       string             `json:"sum,omitempty"`
	Buckets   []dumpedBucket     `json:"buckets,omitempty"`
	Native    *dumpedNative      `json:"native,omitempty"`
	Quantiles map[string]string  `json:"quantiles,omitempty"`
	States    map[string]bool    `json:"states,omitempty"`
	Created   time.Time          `json:"created,omitzero"`
	Exemplar  *inspectedExemplar `json:"exemplar,omitempty"` // of a counter
}

// dumpedBucket is a cumulative bucket.
type dumpedBucket struct {
	Le       string             `json:"le"`
	Count    uint64             `json:"count"`
	Exemplar *inspectedExemplar `json:"exemplar,omitempty"`
}

func dumped(families []*metric.Family) []dumpedFamily {
	out := []dumpedFamily{}
	for _, f := range families {
		d := dumpedFamily{Name: f.Name, Type: f.Type.String(), Unit: f.Unit, Help: f.Help, Series: []dumpedSeries{}}
		for i := range f.Series {
			d.Series = append(d.Series, dumpedOf(f, &f.Series[i]))
		}
		out = append(out, d)
	}
	return out
}

func dumpedOf(f *metric.Family, s *metric.Series) dumpedSeries {
	out := dumpedSeries{Labels: s.Labels.Map(), Created: s.Created.UTC(), Exemplar: dumpedExemplar(s.Exemplar)}
	switch f.Type {
	case metric.Histogram, metric.GaugeHistogram, metric.Summary:
		out.Count = &s.Count
		if !s.NoSum {
			out.Sum = form.FormatFloat(s.Sum)
		}
		for _, b := range s.Buckets {
			out.Buckets = append(out.Buckets, dumpedBucket{string(form.AppendBound(nil, b.UpperBound)), b.Count, dumpedExemplar(b.Exemplar)})
		}
		if f.Type == metric.Histogram {
			out.Native = dumpedNativeOf(s.Native)
		}
		for _, q := range s.Quantiles {
			if out.Quantiles == nil {
				out.Quantiles = map[string]string{}
			}
			out.Quantiles[string(form.AppendBound(nil, q.Q))] = form.FormatFloat(q.Value)
		}
	case metric.StateSet:
		out.States = map[string]bool{}
		for _, st := range s.States {
			out.States[st.Name] = st.On
		}
	default:
		out.Value = form.FormatFloat(s.Value)
	}
	return out
}

func dumpedExemplar(x *metric.Exemplar) *inspectedExemplar {
	if x == nil {
		return nil
	}
	return &inspectedExemplar{Labels: x.Labels.Map(), Value: form.FormatFloat(x.Value), Time: x.Timestamp.UTC()}
}

// readDumped reads what `mpctl dump --json` has printed, as far as samples need it.
func readDumped(r io.Reader) (families []*metric.Family, err error) {
	var all []dumpedFamily
	if err := json.NewDecoder(r).Decode(&all); err != nil {
		return nil, err
	}
	for i := range all {
		f := &metric.Family{Name: all[i].Name, Help: all[i].Help, Unit: all[i].Unit}
		for f.Type.Valid() && f.Type.String() != all[i].Type {
			f.Type++
		}
		if !f.Type.Valid() {
			return nil, fmt.Errorf("%s: there is no type %q", f.Name, all[i].Type)
		}
		for j := range all[i].Series {
			s, err := all[i].Series[j].series()
			if err != nil {
				return nil, fmt.Errorf("%s: %w", f.Name, err)
			}
			f.Series = append(f.Series, s)
		}
		families = append(families, f)
	}
	return families, nil
}

func (d *dumpedSeries) series() (s metric.Series, err error) {
	number := func(text string) float64 {
		v, bad := strconv.ParseFloat(text, 64)
		if bad != nil && err == nil {
			err = bad
		}
		return v
	}
	s.Labels, s.NoSum = metric.LabelsFromMap(d.Labels), d.Sum == ""
	if d.Value != "" {
		s.Value = number(d.Value)
	}
	if d.Count != nil {
		s.Count = *d.Count
	}
	if d.Sum != "" {
		s.Sum = number(d.Sum)
	}
	for _, b := range d.Buckets {
		s.Buckets = append(s.Buckets, metric.Bucket{UpperBound: number(b.Le), Count: b.Count})
	}
	if err == nil {
		s.Native, err = d.Native.native(s.Count, s.Sum)
	}
	for q, v := range d.Quantiles {
		s.Quantiles = append(s.Quantiles, metric.Quantile{Q: number(q), Value: number(v)})
	}
	for name, on := range d.States {
		s.States = append(s.States, metric.State{Name: name, On: on})
	}
	return s, err
}
