package main

import (
	"fmt"
	"math"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/multiprom/multiprom/internal/form"
	"github.com/multiprom/multiprom/internal/mpm"
	"github.com/multiprom/multiprom/metric"
)

// inspectedNative is the header of a native file.
type inspectedNative struct {
	Version      uint32    `json:"version"`
	PID          int       `json:"pid"`
	Label        string    `json:"process_id"`
	Incarnation  string    `json:"incarnation"`
	Created      time.Time `json:"created"`
	StartTime    uint64    `json:"start_time_ticks"`
	PIDNamespace uint64    `json:"pid_namespace"`
	Liveness     string    `json:"liveness"`
	Locked       bool      `json:"locked"`
	Closed       bool      `json:"closed"`
	Marked       bool      `json:"marked"`
	Unknown      int       `json:"unknown_records"`

	// Space of series that were removed, and of none.
	RemovedSeries int   `json:"removed_series"`
	RemovedBytes  int64 `json:"removed_bytes"`
	FreeBytes     int64 `json:"free_bytes"`

	Counters map[string]uint64 `json:"counters"`
}

func inspectNative(path string) (*inspection, error) {
	r, err := mpm.Open(path, mpm.ReadOptions{})
	if err != nil {
		return nil, err
	}
	defer r.Close()
	for range maxInspections {
		if err := r.Refresh(); err != nil {
			return nil, err
		}
		in := &inspection{File: path, Kind: "native", Families: []inspectedFamily{}}
		valid := false
		err = mpm.Guard(path, func() (err error) {
			if err = in.fillNative(r); err == nil {
				valid, err = r.Valid()
			}
			return err
		})
		if err != nil || valid {
			return in, err
		}
	}
	return nil, fmt.Errorf("%s: %w", path, mpm.ErrStale)
}

// maxInspections is how often a file is read whose values may belong to other series by now.
const maxInspections = 64

func (in *inspection) fillNative(r *mpm.Reader) error {
	locked, err := r.Locked()
	if err != nil {
		return err
	}
	h := r.Header()
	in.Bytes = r.Bytes()
	in.Native = &inspectedNative{
		Version: h.Version, PID: h.PID, Label: h.Label, Incarnation: h.Incarnation.String(), Created: h.Created.UTC(),
		StartTime: h.StartTime, PIDNamespace: h.PIDNamespace, Liveness: h.Liveness.String(),
		Locked: locked, Closed: r.Closed(), Marked: r.Marked(), Unknown: r.Unknown(),
		Counters: map[string]uint64{
			"invalid_updates": r.Count(mpm.InvalidUpdates), "overflow_series": r.Count(mpm.OverflowSeries),
			"fallback_series": r.Count(mpm.FallbackSeries), "discarded_calls": r.Count(mpm.DiscardedCalls),
		},
	}
	removed, space := r.RemovedList(), r.Space()
	in.Native.RemovedSeries, in.Native.RemovedBytes, in.Native.FreeBytes = removed.Len(), space.Removed, space.Free
	damage, _ := r.Damaged()
	for _, d := range damage {
		in.Damage = append(in.Damage, inspectedDamage{d.Offset, d.Reason})
	}
	exemplars := map[int][]mpm.ExemplarInfo{}
	for _, e := range r.Exemplars() {
		exemplars[e.Series] = append(exemplars[e.Series], e)
	}
	byFamily, regions := map[*metric.Schema][]inspectedSeries{}, r.LiveRegions()
	for _, s := range r.Series() {
		one := inspectedSeries{Labels: s.Labels().Map(), Created: s.Created().UTC(), Offset: s.Offset()}
		one.setActive(s.ActiveNanos(), s.Schema)
		live := s.Words()
		w := make([]uint64, len(live))
		for i := range w {
			w[i] = atomic.LoadUint64(&live[i])
		}
		one.Words = hex(w)
		if s.Schema.Native != nil {
			one.fillNative(s.Schema, w, regions[s.Number()])
		} else {
			one.fill(s.Schema, w)
		}
		for i := range exemplars[s.Number()] {
			e := &exemplars[s.Number()][i]
			if x, _ := e.Load(); x != nil {
				one.Exemplars = append(one.Exemplars, inspectedExemplar{
					bucketLabel(s.Schema, e.Bucket), x.Labels.Map(), form.FormatFloat(x.Value), x.Timestamp.UTC(),
				})
			}
		}
		byFamily[s.Schema] = append(byFamily[s.Schema], one)
		in.Series++
	}
	for _, f := range r.Schemas() {
		out := describeFamily(f)
		out.Series = append(out.Series, byFamily[f]...)
		in.Families = append(in.Families, out)
	}
	return nil
}

// bucketLabel returns the upper bound of a histogram's bucket. For other types it
// returns "".
func bucketLabel(f *metric.Schema, bucket int) string {
	switch {
	case f.Type != metric.Histogram:
		return ""
	case bucket < len(f.Bounds):
		return string(form.AppendBound(nil, f.Bounds[bucket]))
	case bucket > len(f.Bounds):
		return "" // of the native ones
	}
	return "+Inf"
}

// fill decodes the words of a native series.
func (s *inspectedSeries) fill(f *metric.Schema, w []uint64) {
	float := func(bits uint64) string { return form.FormatFloat(math.Float64frombits(bits)) }
	if f.Timed() {
		bits, nanos, ok := mpm.LoadRecent(w)
		switch {
		case !ok:
			s.Value = "busy"
		case nanos == 0:
			s.Value = "unset"
		default:
			s.Value, s.Time = float(bits), time.Unix(0, nanos).UTC()
		}
		return
	}
	switch f.Type {
	case metric.Counter:
		s.Value = form.FormatFloat(mpm.CounterValue(w[mpm.CellCounterInts], w[mpm.CellCounterFloat]))
	case metric.Gauge:
		if s.Value = "unset"; w[mpm.CellGauge] != mpm.UnsetBits {
			s.Value = float(w[mpm.CellGauge])
		}
	case metric.Histogram:
		count := uint64(0)
		for i, n := range w[mpm.CellHistogramBuckets:] {
			count += n
			s.Buckets = append(s.Buckets, inspectedBucket{bucketLabel(f, i), strconv.FormatUint(n, 10)})
		}
		s.Count, s.Sum = strconv.FormatUint(count, 10), float(w[mpm.CellHistogramSum])
	case metric.Summary:
		s.Count, s.Sum = strconv.FormatUint(w[mpm.CellSummaryCount], 10), float(w[mpm.CellSummarySum])
	case metric.StateSet:
		if n := w[mpm.CellState]; n < uint64(len(f.States)) {
			s.Value = f.States[n]
		}
	}
}

func (n *inspectedNative) rows() [][]string {
	state := "free: its process is dead"
	switch {
	case n.Liveness == "none":
		state = "none: alive until marked dead"
	case n.Locked:
		state = "held: its process is alive"
	}
	return [][]string{
		{"pid", strconv.Itoa(n.PID)},
		{"process ID", n.Label},
		{"incarnation", n.Incarnation},
		{"created", n.Created.Format(time.RFC3339)},
		{"lock", n.Liveness + ", " + state},
		{"closed, marked", fmt.Sprintf("%t, %t", n.Closed, n.Marked)},
		{"invalid updates", strconv.FormatUint(n.Counters["invalid_updates"], 10)},
		{"series on the heap", strconv.FormatUint(n.Counters["fallback_series"], 10)},
		{"removed series", fmt.Sprintf("%d, with %d bytes", n.RemovedSeries, n.RemovedBytes)},
		{"free bytes", strconv.FormatInt(n.FreeBytes, 10)},
	}
}
