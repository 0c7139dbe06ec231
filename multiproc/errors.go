package multiproc

import (
	"errors"
	"fmt"
)

// Errors of constructors and lookups; match them with errors.Is. Invalid
// names, labels and definitions match the errors of package metric.
var (
	// ErrConflict: the name, or one that a sample of it has, is taken by
	// another definition.
	ErrConflict = errors.New("conflicting definition")
	// ErrLabels: the label values do not fit the instrument's labels.
	ErrLabels = errors.New("wrong label values")
	// ErrUnknownState: an Enum has no such state.
	ErrUnknownState = errors.New("unknown state")
)

// Must returns v, and panics on an error: for definitions that are known to be
// valid, in package variables.
func Must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

func labelsError(name, format string, args ...any) error {
	return fmt.Errorf("multiproc: %s: %w: %s", name, ErrLabels, fmt.Sprintf(format, args...))
}
