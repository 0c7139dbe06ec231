package multiproc

import (
	"fmt"
	"math"
	"slices"
	"sync/atomic"

	"github.com/multiprom/multiprom/internal/form"
	"github.com/multiprom/multiprom/metric"
)

// Enum is one of a fixed list of states: a state set of OpenMetrics with exactly one state
// on.
type Enum struct {
	s      series
	recent recent
}

// NewEnum declares an enum in the default Set. It panics if the options are
// invalid.
func NewEnum(opts EnumOpts) *Enum { return must(Default().NewEnum(opts)) }

// NewEnum declares an enum. The error matches ErrConflict or an error of
// package metric.
func (s *Set) NewEnum(opts EnumOpts) (*Enum, error) {
	schema, err := opts.schema(nil)
	if err != nil {
		return nil, err
	}
	return declare(s, schema, opts.MaxSeries, false, single[Enum])
}

func (e *Enum) init(in *instrument, values []string) {
	e.recent.init(in)
	e.s.init(in, values, e)
}

func (e *Enum) bindLocked(values []string) {
	e.recent.init(e.s.in) // see Gauge.bindLocked
	e.s.bindLocked(values)
}

func (o EnumOpts) schema(labels []string) (*metric.Schema, error) {
	mode := metric.ModeLiveAll
	switch {
	case o.MostRecent && o.PerProcess:
		return nil, fmt.Errorf("multiproc: define %q: %w: PerProcess and MostRecent exclude each other", o.Name, form.ErrSchema)
	case o.MostRecent:
		mode = metric.ModeMostRecent
	case o.PerProcess:
		mode = metric.ModeAll
	}
	common := Opts{o.Namespace, o.Subsystem, o.Name, o.Help, "", o.ConstLabels, o.MaxSeries, false, o.TTL}
	s, err := common.schema(metric.StateSet, mode, labels)
	if err != nil {
		return nil, err
	}
	s.States = slices.Clone(o.States)
	return s, nil
}

// Set sets the state. If there is no such state, it returns an error and changes nothing.
func (e *Enum) Set(state string) error {
	i := slices.Index(e.s.in.schema.States, state)
	if i < 0 {
		return fmt.Errorf("multiproc: %s: unknown state %q", e.s.in.schema.Name, state)
	}
	w := e.s.word() // first, see Gauge.set
	switch {
	case !e.recent.on:
		atomic.StoreUint64(w, uint64(i))
	case e.recent.timed:
		e.recent.store(e.s.in.set, e.s.load(), math.Float64bits(float64(i)))
	default:
		atomic.StoreUint64(w, uint64(i))
		e.recent.count(e.s.load())
	}
	e.s.keepAlive()
	return nil
}

func (e *Enum) remove() { e.s.removeAs(e) }

// EnumVec has one Enum for each set of label values. In the methods that all Vecs
// share, T is Enum.
type EnumVec struct{ metricVec[Enum] }

// NewEnumVec declares an enum with labels in the default Set. It panics if the options are
// invalid.
func NewEnumVec(opts EnumOpts, labels []string) *EnumVec {
	return must(Default().NewEnumVec(opts, labels))
}

// NewEnumVec declares an enum with labels. The error matches ErrConflict or an
// error of package metric.
func (s *Set) NewEnumVec(opts EnumOpts, labels []string) (*EnumVec, error) {
	schema, err := opts.schema(labels)
	if err != nil {
		return nil, err
	}
	return declare(s, schema, opts.MaxSeries, false, func(in *instrument) *EnumVec {
		return &EnumVec{metricVec[Enum]{v: newVec[Enum](in)}}
	})
}

// CurryWith returns a view of the Vec in which these labels have fixed values. The error
// matches metric.ErrInvalid.
func (v *EnumVec) CurryWith(labels Labels) (*EnumVec, error) {
	c, err := v.curryWith(labels)
	if err != nil {
		return nil, err
	}
	return &EnumVec{c}, nil
}

// MustCurryWith is CurryWith, but panics if there is an error.
func (v *EnumVec) MustCurryWith(labels Labels) *EnumVec { return must(v.CurryWith(labels)) }
