package multiproc

import (
	"fmt"
	"strings"
	"time"

	"github.com/multiprom/multiprom/internal/form"
	"github.com/multiprom/multiprom/internal/mpm"
	"github.com/multiprom/multiprom/metric"
)

// Labels are label values by name, as in client_golang.
type Labels = map[string]string

// Opts define an instrument. Name and Help are required.
type Opts struct {
	Namespace, Subsystem, Name string // joined by underscores; the first two may be empty
	Help                       string
	Unit                       string // appended to the name unless it ends with it; default none
	ConstLabels                Labels // the same on every series; default none
	MaxSeries                  int    // of a Vec; default SetOptions.MaxSeries; metric.NoLimit
	// Separate makes an instrument of its own: an equal schema that was given before
	// is a conflict, and not the same instrument. Separate instruments of the same name,
	// help, unit and type may have different labels.
	Separate bool
	// TTL (time to live) is the time after which a series of a Vec expires if no process has
	// updated it: it leaves the merged view, and its memory is used again. An update brings it
	// back, with a new created time. Default SetOptions.TTL; metric.NoLimit: never; at least 10
	// seconds. Instruments without labels and infos never expire, and have no TTL.
	TTL time.Duration
}

// CounterOpts define a counter. The name may have the suffix _total or not: samples have
// it.
type CounterOpts Opts

// SummaryOpts define a summary.
type SummaryOpts Opts

// InfoOpts define an info. The name may have the suffix _info or not: samples have it. Unit
// must be empty.
type InfoOpts Opts

// GaugeOpts define a gauge.
type GaugeOpts struct {
	Namespace, Subsystem, Name string // as in Opts
	Help                       string
	Unit                       string
	ConstLabels                Labels
	MaxSeries                  int
	// Mode says how the values of several processes merge, such as metric.ModeLiveSum.
	// Default metric.ModeAll.
	Mode metric.Mode
	// Separate is as in Opts. The mode must be the same too.
	Separate bool
	TTL      time.Duration // as in Opts; setting the same value is an update, too
}

// HistogramOpts define a histogram.
type HistogramOpts struct {
	Namespace, Subsystem, Name string // as in Opts
	Help                       string
	Unit                       string
	ConstLabels                Labels
	MaxSeries                  int
	// Buckets are the upper bounds, ascending. +Inf may be given or not. nil means
	// DefBuckets, and an empty slice is an error. +Inf alone is valid. With native buckets, nil
	// and an empty slice mean no others.
	Buckets []float64
	// Separate is as in Opts. The buckets may differ too.
	Separate bool
	TTL      time.Duration // as in Opts

	// NativeHistogramBucketFactor above 1 gives the histogram native buckets, each at most so
	// many times as wide as the one before; 1.1 is usual. They are made as values come, so no
	// bounds have to be chosen.
	NativeHistogramBucketFactor float64
	// NativeHistogramZeroThreshold is the largest magnitude of the values in the zero bucket.
	// 0 means 2^-128, and a negative number 0.
	NativeHistogramZeroThreshold float64
	// NativeHistogramMaxBucketNumber, up to 1024, bounds the native buckets that have
	// observations. If all processes together have more in a series, its buckets become twice
	// as wide as often as necessary. Default 160.
	NativeHistogramMaxBucketNumber uint32
	// NativeHistogramMaxExemplars, up to 16, is how many exemplars the native buckets of a
	// series have together. Default 10; negative: none.
	NativeHistogramMaxExemplars int
	// NativeHistogramExemplarTTL: if there is no place for another exemplar of native buckets,
	// the oldest one makes it if it is older than this. Otherwise the older one of the two
	// whose values are closest does. Default 5 minutes; negative: always the oldest.
	NativeHistogramExemplarTTL time.Duration
}

// EnumOpts define an enum. Unit must be empty.
type EnumOpts struct {
	Namespace, Subsystem, Name string // as in Opts
	Help                       string
	ConstLabels                Labels
	MaxSeries                  int
	// States are all states. The first is the initial one. They are required.
	States []string
	// PerProcess shows the state of each process, dead ones included (mode all).
	// MostRecent shows one state, the one that was set last. Both together are an error.
	// Default: the state of each live process (mode liveall).
	PerProcess, MostRecent bool
	TTL                    time.Duration // as in Opts; setting the same state is an update, too
}

// schema returns the schema, with the family's name.
func (o Opts) schema(t metric.Type, mode metric.Mode, labels []string) (*metric.Schema, error) {
	name := o.Name
	if o.Name == "" {
		return nil, fmt.Errorf("multiproc: %w: Name is empty", form.ErrName)
	}
	for _, part := range []struct{ field, value string }{{"Namespace", o.Namespace}, {"Subsystem", o.Subsystem}, {"Name", o.Name}, {"Unit", o.Unit}} {
		if part.value == "" {
			continue
		}
		if err := form.CheckName(part.value); err != nil {
			return nil, fmt.Errorf("multiproc: %s: %w", part.field, err)
		}
	}
	for _, prefix := range []string{o.Subsystem, o.Namespace} {
		if prefix != "" {
			name = prefix + "_" + name
		}
	}
	invalid := func(what string) (*metric.Schema, error) {
		return nil, fmt.Errorf("multiproc: metric %q: %w: %s", name, form.ErrSchema, what)
	}
	switch t {
	case metric.Counter:
		name = strings.TrimSuffix(name, "_total")
	case metric.Info:
		name = strings.TrimSuffix(name, "_info")
	}
	if o.Unit != "" {
		if t == metric.Info || t == metric.StateSet {
			return invalid("Unit is set, and an info or enum has none")
		}
		if !strings.HasSuffix(name, "_"+o.Unit) {
			name += "_" + o.Unit
		}
	}
	if o.TTL > 0 && (len(labels) == 0 || t == metric.Info) {
		return invalid("TTL is set, and infos and instruments without labels never expire")
	}
	if o.Help == "" {
		return invalid("Help is empty")
	}
	s := &metric.Schema{
		Name: name, Help: o.Help, Unit: o.Unit, Type: t, Mode: mode, TTL: o.TTL,
		Labels: append([]string(nil), labels...), Const: metric.LabelsFromMap(o.ConstLabels),
	}
	return s, nil
}

// checkSchema is mpm.CheckFits with an error that names the field of the options.
func checkSchema(s *metric.Schema) error {
	err := mpm.CheckFits(s)
	if err == nil {
		return nil
	}
	// Take over one field after the other, until the schema does not fit any more.
	probe := metric.Schema{Name: "x", Help: "x", Type: s.Type, States: []string{"x"}}
	for _, f := range []struct {
		field string
		take  func()
	}{
		{"Name", func() { probe.Name = s.Name }},
		{"Help", func() { probe.Help = s.Help }},
		{"Mode", func() { probe.Mode = s.Mode }},
		{"labels", func() { probe.Labels = s.Labels }},
		{"ConstLabels", func() { probe.Const = s.Const }},
		{"Buckets", func() { probe.Bounds = s.Bounds }},
		{"NativeHistogramBucketFactor", func() { probe.Native = s.Native }},
		{"States", func() { probe.States = s.States }},
	} {
		if f.take(); probe.Check() != nil {
			return fmt.Errorf("multiproc: define %q: %s: %w", s.Name, f.field, err)
		}
	}
	return fmt.Errorf("multiproc: define %q: %w", s.Name, err) // each fits, but not all together
}
