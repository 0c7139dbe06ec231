package multiproc

import (
	"fmt"
	"math"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/multiprom/multiprom/metric"
	"github.com/multiprom/multiprom/mmapstore"
)

// Enum is one of a fixed list of states: a state set of OpenMetrics, of which
// exactly one state is on.
type Enum struct {
	s      series[[]uint64]
	recent bool
	turn   sync.Mutex // of Set in the mostrecent mode
}

// NewEnum declares an enum in the default Set, and panics where the definition
// is invalid.
func NewEnum(opts EnumOpts) *Enum { return Must(Default().NewEnum(opts)) }

// NewEnum declares an enum. The error matches ErrConflict or an error of
// package metric.
func (s *Set) NewEnum(opts EnumOpts) (*Enum, error) {
	schema, err := opts.schema(nil)
	if err != nil {
		return nil, err
	}
	return declare(s, schema, 0, func(in *instrument) *Enum { return newEnum(in, nil) })
}

func newEnum(in *instrument, values []string) *Enum {
	e := &Enum{recent: in.schema.Mode.Base() == metric.ModeMostRecent}
	e.s.init(in, values, slice)
	return e
}

func (o EnumOpts) schema(labels []string) (*metric.Schema, error) {
	mode := metric.ModeLiveAll
	switch {
	case o.MostRecent:
		mode = metric.ModeMostRecent
	case o.PerProcess:
		mode = metric.ModeAll
	}
	common := Opts{o.Namespace, o.Subsystem, o.Name, o.Help, "", o.ConstLabels, o.MaxSeries}
	s, err := common.schema(metric.StateSet, mode, labels)
	if err != nil {
		return nil, err
	}
	s.States = slices.Clone(o.States)
	return s, nil
}

// Set sets the state. ErrUnknownState: there is none of that name, and
// nothing was changed.
func (e *Enum) Set(state string) error {
	i := slices.Index(e.s.in.schema.States, state)
	if i < 0 {
		return fmt.Errorf("multiproc: %s: %w: %q", e.s.in.schema.Name, ErrUnknownState, state)
	}
	w := *e.s.load()
	if e.recent {
		e.turn.Lock()
		mmapstore.StoreRecent(w, math.Float64bits(float64(i)), e.s.in.set.nanos())
		e.turn.Unlock()
	} else {
		atomic.StoreUint64(&w[mmapstore.CellState], uint64(i))
	}
	runtime.KeepAlive(e)
	return nil
}

func (e *Enum) remove() { e.s.remove() }

// EnumVec is a family of enums, one per set of label values.
type EnumVec struct{ metricVec[Enum, *Enum] }

// NewEnumVec declares an enum with labels in the default Set, and panics where
// the definition is invalid.
func NewEnumVec(opts EnumOpts, labels []string) *EnumVec {
	return Must(Default().NewEnumVec(opts, labels))
}

// NewEnumVec declares an enum with labels. The error matches ErrConflict or an
// error of package metric.
func (s *Set) NewEnumVec(opts EnumOpts, labels []string) (*EnumVec, error) {
	schema, err := opts.schema(labels)
	if err != nil {
		return nil, err
	}
	return declare(s, schema, opts.MaxSeries, func(in *instrument) *EnumVec {
		discard := &Enum{recent: in.schema.Mode.Base() == metric.ModeMostRecent}
		discard.s.discard(in, slice)
		return &EnumVec{metricVec[Enum, *Enum]{v: newVec(in, discard, func(values []string) *Enum {
			return newEnum(in, values)
		})}}
	})
}

// CurryWith returns a view with these labels fixed. The error matches
// ErrLabels.
func (v *EnumVec) CurryWith(labels Labels) (*EnumVec, error) {
	c, err := v.curryWith(labels)
	if err != nil {
		return nil, err
	}
	return &EnumVec{c}, nil
}

// MustCurryWith is CurryWith, and panics on an error.
func (v *EnumVec) MustCurryWith(labels Labels) *EnumVec { return Must(v.CurryWith(labels)) }
