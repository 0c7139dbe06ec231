package multiproc

import (
	"errors"
	"fmt"
	"slices"

	"github.com/multiprom/multiprom/internal/form"
	"github.com/multiprom/multiprom/metric"
)

// ErrConflict: another schema has the name, or that of one of its samples. What is not valid
// at all matches metric.ErrInvalid.
var ErrConflict = errors.New("conflicting metric schema")

// MustNew returns what a constructor of a Set returned, and panics if there is an error. It
// is for package variables, whose options are known to be valid.
func MustNew[T any](instrument T, err error) T { return must(instrument, err) }

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

func labelsError(name, format string, args ...any) error {
	return fmt.Errorf("multiproc: %s: %w: %s", name, form.ErrLabelValues, fmt.Sprintf(format, args...))
}

// conflict names both schemas and what tells them apart.
func conflict(old, new *metric.Schema) error {
	var differ string
	switch {
	case old.Name != new.Name || old.Type != new.Type:
		differ = "they share a sample's name"
	case old.Help != new.Help:
		differ = fmt.Sprintf("the help is %q, not %q", new.Help, old.Help)
	case old.Unit != new.Unit:
		differ = fmt.Sprintf("the unit is %q, not %q", new.Unit, old.Unit)
	case old.Mode != new.Mode:
		differ = fmt.Sprintf("the mode is %s, not %s", new.Mode, old.Mode)
	case !slices.Equal(old.Labels, new.Labels):
		differ = fmt.Sprintf("the labels are %q, not %q", new.Labels, old.Labels)
	case !slices.Equal(old.Bounds, new.Bounds):
		differ = fmt.Sprintf("the buckets are %v, not %v", new.Bounds, old.Bounds)
	case old.Native == nil && new.Native != nil:
		differ = "it has native buckets"
	case old.Native != nil && new.Native == nil:
		differ = "it has no native buckets"
	case old.Native != nil && *old.Native != *new.Native:
		differ = fmt.Sprintf("the native buckets are %+v, not %+v", *new.Native, *old.Native)
	case !slices.Equal(old.States, new.States):
		differ = fmt.Sprintf("the states are %q, not %q", new.States, old.States)
	case old.TTL != new.TTL:
		differ = fmt.Sprintf("the TTL is %v, not %v", new.TTL, old.TTL)
	case !old.Const.Equal(new.Const):
		differ = fmt.Sprintf("the constant labels are %s, not %s", new.Const, old.Const)
	default:
		differ = "one is a Vec or a function, the other is not"
	}
	return fmt.Errorf("multiproc: %w: %s %q, and %s %q was declared before: %s", ErrConflict, new.Type, new.Name, old.Type, old.Name, differ)
}
