package metric

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"time"
	"unicode/utf8"

	"github.com/multiprom/multiprom/internal/form"
)

// ErrInvalid: a name, label, exemplar or schema is not valid. The text says which, and why.
var ErrInvalid = form.ErrInvalid

// Schema is everything that the series of a family have in common. A file has it once.
type Schema struct {
	Name   string // without _total and _info
	Help   string
	Unit   string
	Type   Type
	Mode   Mode     // gauges and state sets
	Labels []string // names of the variable labels, in the order of their values
	Const  Labels   // labels with the same value on every series

	Bounds []float64 // histogram: finite upper bounds, ascending
	States []string  // state set: the first is the initial one

	// Native is what a histogram with native buckets says of them; nil: it has none. Without
	// Bounds, its only classic bucket is +Inf.
	Native *NativeSchema

	// TTL is the time after which a series that nobody updates expires; 0: never. It counts
	// only with variable labels, and not for an info.
	TTL time.Duration
}

// Check returns nil, or an error that names the metric and what is wrong with it. The
// error matches ErrInvalid.
func (s *Schema) Check() error {
	return s.check(limits{
		name: form.MaxNameLen, help: form.MaxHelpLen, value: form.MaxLabelValueLen, labels: form.MaxLabels, bounds: form.MaxBounds, states: form.MaxStates,
	})
}

// CheckForm is Check without bounds, for a schema that is not of a native file. The size
// of the file that it comes from bounds its size.
func (s *Schema) CheckForm() error {
	const any = math.MaxInt
	return s.check(limits{name: any, help: any, value: any, labels: any, bounds: any, states: any})
}

// limits say how much of each a schema may have.
type limits struct{ name, help, value, labels, bounds, states int }

func (s *Schema) check(most limits) error {
	if err := form.CheckLongName(s.Name, most.name); err != nil {
		return err
	}
	if err := s.checkLabels(&most); err != nil {
		return fmt.Errorf("metric %q: %w", s.Name, err)
	}
	if err := s.checkType(&most); err != nil {
		return fmt.Errorf("metric %q: %w: %w", s.Name, form.ErrSchema, err)
	}
	return nil
}

func (s *Schema) checkLabels(most *limits) error {
	names := slices.Clone(s.Labels)
	for _, l := range s.Const {
		names = append(names, l.Name)
		if !utf8.ValidString(l.Value) || len(l.Value) > most.value {
			return fmt.Errorf("%w: the value of const label %q is not UTF-8 or longer than %d bytes", form.ErrLabel, l.Name, most.value)
		}
	}
	if len(names) > most.labels {
		return fmt.Errorf("%w: %d labels, the most is %d", form.ErrLabel, len(names), most.labels)
	}
	slices.Sort(names)
	for i, n := range names {
		if err := form.CheckLongLabelName(n, most.name); err != nil {
			return err
		}
		if i > 0 && names[i-1] == n {
			return fmt.Errorf("%w: %q is given twice", form.ErrLabel, n)
		}
		if n == s.Type.ReservedLabel(s.Name) {
			return fmt.Errorf("%w: %q is what a %s writes itself", form.ErrReserved, n, s.Type)
		}
	}
	return nil
}

// Timed reports whether each value is kept with the time at which it was set.
func (s *Schema) Timed() bool {
	return s.Type.HasMode() && s.Mode.Base() == ModeMostRecent
}

func (s *Schema) checkType(most *limits) error {
	switch {
	case !s.Type.Valid():
		return fmt.Errorf("unknown type %d", s.Type)
	case !s.Mode.Valid():
		return fmt.Errorf("unknown gauge mode %d", s.Mode)
	case s.TTL < 0:
		return fmt.Errorf("its TTL is %v", s.TTL)
	case len(s.Help) > most.help:
		return fmt.Errorf("its help has %d bytes, the most is %d", len(s.Help), most.help)
	case !utf8.ValidString(s.Help) || !utf8.ValidString(s.Unit):
		return errors.New("its help or unit is not UTF-8")
	case len(s.Unit) > most.name:
		return fmt.Errorf("its unit has %d bytes, the most is %d", len(s.Unit), most.name)
	}
	if s.Native != nil {
		if s.Type != Histogram {
			return fmt.Errorf("a %s has no native buckets", s.Type)
		}
		if err := s.Native.check(); err != nil {
			return err
		}
	}
	switch s.Type {
	case Histogram:
		return checkBounds(s.Bounds, most)
	case StateSet:
		return checkStates(s.States, most)
	}
	return nil
}

func checkBounds(bounds []float64, most *limits) error {
	if len(bounds) > most.bounds {
		return fmt.Errorf("%d bucket bounds, the most is %d", len(bounds), most.bounds)
	}
	for i, b := range bounds {
		if math.IsNaN(b) || math.IsInf(b, 0) {
			return fmt.Errorf("bucket bound %d is %v, only +Inf as the last is possible", i, b)
		}
		if i > 0 && b <= bounds[i-1] {
			return fmt.Errorf("bucket bounds must ascend: %v follows %v", b, bounds[i-1])
		}
	}
	return nil
}

func checkStates(states []string, most *limits) error {
	if len(states) == 0 || len(states) > most.states {
		return fmt.Errorf("%d states, from 1 to %d are possible", len(states), most.states)
	}
	there := make(map[string]bool, len(states))
	for i, st := range states {
		if !utf8.ValidString(st) || len(st) > most.name {
			return fmt.Errorf("state %d is not UTF-8 or longer than %d bytes", i, most.name)
		}
		if there[st] {
			return fmt.Errorf("state %q is given twice", st)
		}
		there[st] = true
	}
	return nil
}

// Equal reports whether s and o are the same in all fields.
func (s *Schema) Equal(o *Schema) bool {
	return s.Name == o.Name && s.Help == o.Help && s.Unit == o.Unit && s.Type == o.Type && s.Mode == o.Mode && s.TTL == o.TTL &&
		slices.Equal(s.Labels, o.Labels) && s.Const.Equal(o.Const) &&
		slices.Equal(s.Bounds, o.Bounds) && slices.Equal(s.States, o.States) && s.Native.equal(o.Native)
}
