package options

import (
	"errors"
	"fmt"
	"strings"
)

// Values of an option with a special meaning. They are untyped, so that they fit numbers
// and durations.
const (
	NoLimit  = -1
	KeepNone = -2
)

// ErrInvalid: a field has an invalid value.
var ErrInvalid = errors.New("invalid option")

// Checker collects the errors of the fields of a struct.
type Checker struct{ errs []error }

// Failf notes that a field is invalid. The text says why, and what to do.
func (c *Checker) Failf(field, format string, args ...any) {
	c.errs = append(c.errs, fmt.Errorf("%w: %s %s", ErrInvalid, field, fmt.Sprintf(format, args...)))
}

// Err returns all errors, or nil.
func (c *Checker) Err() error { return errors.Join(c.errs...) }

// Number sets a field that is 0 to its default. A negative value is invalid unless it is
// NoLimit or KeepNone and among special.
func Number[T ~int | ~int64](c *Checker, field string, value *T, def T, special ...T) {
	if *value == 0 {
		*value = def
		return
	}
	if *value > 0 {
		return
	}
	allowed := []string{"positive"}
	for _, s := range special {
		if *value == s {
			return
		}
		switch s {
		case NoLimit:
			allowed = append(allowed, "metric.NoLimit")
		case KeepNone:
			allowed = append(allowed, "metric.KeepNone")
		}
	}
	allowed = append(allowed, "0 for the default")
	c.Failf(field, "is %v: it must be %s", *value, strings.Join(allowed, ", or "))
}
