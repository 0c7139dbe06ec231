package main

import (
	"fmt"
	"io"
	"math"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/spf13/cobra"

	"github.com/multiprom/multiprom/metric"
	"github.com/multiprom/multiprom/mmapstore"
)

// inspection is a file as `mpctl inspect` shows it.
type inspection struct {
	File     string            `json:"file"`
	Header   inspectedHeader   `json:"header"`
	Families []inspectedFamily `json:"families"`
	Damage   []inspectedDamage `json:"damage,omitempty"`
	Unknown  int               `json:"unknown_records"`
	Counters map[string]uint64 `json:"counters"`
}

type inspectedHeader struct {
	Version      uint32    `json:"version"`
	PID          int       `json:"pid"`
	Label        string    `json:"label"`
	Incarnation  string    `json:"incarnation"`
	Created      time.Time `json:"created"`
	StartTime    uint64    `json:"start_time_ticks"`
	PIDNamespace uint64    `json:"pid_namespace"`
	Liveness     string    `json:"liveness"`
	Locked       bool      `json:"locked"`
	Closed       bool      `json:"closed"`
	Marked       bool      `json:"marked"`
	Bytes        int64     `json:"bytes"`
}

type inspectedFamily struct {
	Name   string            `json:"name"`
	Type   string            `json:"type"`
	Mode   string            `json:"mode,omitempty"`
	Unit   string            `json:"unit,omitempty"`
	Help   string            `json:"help"`
	Labels []string          `json:"labels,omitempty"`
	Bounds []float64         `json:"bounds,omitempty"`
	States []string          `json:"states,omitempty"`
	Series []inspectedSeries `json:"series"`
}

type inspectedSeries struct {
	Labels  map[string]string `json:"labels"`
	Created time.Time         `json:"created"`
	Offset  int64             `json:"offset"`
	Words   []string          `json:"words"` // hexadecimal: a float64 may be NaN, which JSON lacks
	Value   string            `json:"value"`

	Exemplars []inspectedExemplar `json:"exemplars,omitempty"`
}

type inspectedExemplar struct {
	Bucket int               `json:"bucket"`
	Labels map[string]string `json:"labels"`
	Value  string            `json:"value"`
	Time   time.Time         `json:"time"`
}

type inspectedDamage struct {
	Offset int64  `json:"offset"`
	Reason string `json:"reason"`
}

func newInspect() *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:     "inspect FILE",
		Short:   "show one file: header, definitions, series, raw values",
		Example: "  mpctl inspect /dev/shm/app/4711-*.mpm\n  mpctl inspect /dev/shm/app/counter_4711.db --json",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			in, err := inspect(args[0])
			if err != nil {
				return err
			}
			if asJSON {
				return printJSON(cmd.OutOrStdout(), in)
			}
			return in.print(cmd.OutOrStdout())
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print it as JSON")
	return cmd
}

// inspect looks at a native file, one of client_python, or the archive.
func inspect(path string) (interface{ print(io.Writer) error }, error) {
	switch {
	case filepath.Base(path) == mmapstore.ArchiveName:
		return inspectArchive(path)
	case filepath.Ext(path) == ".db":
		return inspectPython(path)
	}
	return inspectFile(path)
}

func inspectFile(path string) (*inspection, error) {
	r, err := mmapstore.Open(path, mmapstore.ReadOptions{})
	if err != nil {
		return nil, err
	}
	defer r.Close()
	if err := r.Refresh(); err != nil {
		return nil, err
	}
	in := &inspection{File: path}
	err = mmapstore.Guard(path, func() error { return in.fill(r) })
	return in, err
}

func (in *inspection) fill(r *mmapstore.Reader) error {
	locked, err := r.Locked()
	if err != nil {
		return err
	}
	h := r.Header()
	in.Header = inspectedHeader{
		Version: h.Version, PID: h.PID, Label: h.Label, Incarnation: h.Incarnation.String(), Created: h.Created.UTC(),
		StartTime: h.StartTime, PIDNamespace: h.PIDNamespace, Liveness: h.Liveness.String(),
		Locked: locked, Closed: r.Closed(), Marked: r.Marked(), Bytes: r.Bytes(),
	}
	in.Counters = map[string]uint64{
		"invalid_updates": r.Count(mmapstore.InvalidUpdates), "overflow_series": r.Count(mmapstore.OverflowSeries),
		"fallback_series": r.Count(mmapstore.FallbackSeries), "discarded_calls": r.Count(mmapstore.DiscardedCalls),
	}
	in.Unknown = r.Unknown()
	damage, _ := r.Damaged()
	for _, d := range damage {
		in.Damage = append(in.Damage, inspectedDamage{d.Offset, d.Reason})
	}
	exemplars := map[int][]inspectedExemplar{}
	for _, e := range r.Exemplars() {
		if x, _ := e.Load(); x != nil {
			exemplars[e.Series] = append(exemplars[e.Series], inspectedExemplar{
				e.Bucket, x.Labels.Map(), metric.FormatFloat(x.Value), x.Timestamp.UTC(),
			})
		}
	}
	byFamily := map[*metric.Schema][]inspectedSeries{}
	for n, s := range r.Series() {
		one := inspectedSeries{Labels: s.Labels().Map(), Created: s.Created().UTC(), Offset: s.Offset(), Words: []string{}}
		live := s.Words()
		w := make([]uint64, len(live))
		for i := range w {
			w[i] = atomic.LoadUint64(&live[i])
			one.Words = append(one.Words, fmt.Sprintf("%#x", w[i]))
		}
		one.Value, one.Exemplars = describe(s.Family, w), exemplars[n]
		byFamily[s.Family] = append(byFamily[s.Family], one)
	}
	for _, f := range r.Families() {
		out := describeFamily(f)
		out.Series = append(out.Series, byFamily[f]...)
		in.Families = append(in.Families, out)
	}
	return nil
}

// describe returns the words of a series in the terms of its type.
func describe(f *metric.Schema, w []uint64) string {
	float := func(bits uint64) string { return metric.FormatFloat(math.Float64frombits(bits)) }
	if f.Mode.Base() == metric.ModeMostRecent && (f.Type == metric.Gauge || f.Type == metric.StateSet) {
		bits, nanos, ok := mmapstore.LoadRecent(w)
		switch {
		case !ok:
			return "busy"
		case nanos == 0:
			return "unset"
		}
		return float(bits) + " at " + time.Unix(0, nanos).UTC().Format(time.RFC3339Nano)
	}
	switch f.Type {
	case metric.Counter:
		return metric.FormatFloat(mmapstore.CounterValue(w[mmapstore.CellCounterInts], w[mmapstore.CellCounterFloat]))
	case metric.Gauge:
		if w[mmapstore.CellGauge] == mmapstore.UnsetBits {
			return "unset"
		}
		return float(w[mmapstore.CellGauge])
	case metric.Histogram:
		var counts []string
		for _, n := range w[mmapstore.CellHistogramBuckets:] {
			counts = append(counts, strconv.FormatUint(n, 10))
		}
		return "sum " + float(w[mmapstore.CellHistogramSum]) + " buckets " + strings.Join(counts, " ")
	case metric.Summary:
		return fmt.Sprintf("count %d sum %s", w[mmapstore.CellSummaryCount], float(w[mmapstore.CellSummarySum]))
	case metric.StateSet:
		if n := w[mmapstore.CellState]; n < uint64(len(f.States)) {
			return f.States[n]
		}
	}
	return ""
}

func (in *inspection) print(w io.Writer) error {
	h := &in.Header
	state := "free: its process is dead"
	switch {
	case h.Liveness == "none":
		state = "none: alive until marked dead"
	case h.Locked:
		state = "held: its process lives"
	}
	err := table(w, []string{"file", in.File}, [][]string{
		{"pid", strconv.Itoa(h.PID)},
		{"label", h.Label},
		{"incarnation", h.Incarnation},
		{"created", h.Created.Format(time.RFC3339)},
		{"lock", h.Liveness + ", " + state},
		{"closed, marked", fmt.Sprintf("%t, %t", h.Closed, h.Marked)},
		{"bytes", strconv.FormatInt(h.Bytes, 10)},
		{"invalid updates", strconv.FormatUint(in.Counters["invalid_updates"], 10)},
		{"series on the heap", strconv.FormatUint(in.Counters["fallback_series"], 10)},
	})
	if err != nil {
		return err
	}
	for _, f := range in.Families {
		fmt.Fprintf(w, "\n%s\n", printable(strings.TrimSpace(strings.Join([]string{f.Name, f.Type, f.Mode, f.Unit}, " "))+": "+f.Help))
		var rows [][]string
		for _, s := range f.Series {
			rows = append(rows, []string{strconv.FormatInt(s.Offset, 10), metric.LabelsFromMap(s.Labels).String(), s.Value})
			for _, x := range s.Exemplars {
				rows = append(rows, []string{"", "", fmt.Sprintf("exemplar of bucket %d: %s %s at %s",
					x.Bucket, metric.LabelsFromMap(x.Labels), x.Value, x.Time.Format(time.RFC3339Nano))})
			}
		}
		if err := table(w, []string{"OFFSET", "LABELS", "VALUE"}, rows); err != nil {
			return err
		}
	}
	for _, d := range in.Damage {
		fmt.Fprintf(w, "\ndamaged: offset %d: %s\n", d.Offset, printable(d.Reason))
	}
	return nil
}
