package registry

import (
	"errors"
	"fmt"

	"github.com/multiprom/multiprom/metric"
)

// Errors of Register and SetTargetInfo; match them with errors.Is.
var (
	// ErrAlreadyRegistered says that this collector is in the registry already.
	ErrAlreadyRegistered = errors.New("collector is registered already")
	// ErrInvalidCollector says that a collector is nil, or of a type that cannot be
	// compared and therefore not found again.
	ErrInvalidCollector = errors.New("invalid collector")
	// ErrDuplicate is matched by each *DuplicateError, and by what a Merge reports of
	// families that cannot be merged.
	ErrDuplicate = errors.New("duplicate metric")
)

// Errors of a scrape, inside a *CollectError; match them with errors.Is.
var (
	// ErrTimeout says that a collector did not return within
	// Options.CollectTimeout and was abandoned.
	ErrTimeout = errors.New("collector timed out")
	// ErrStillRunning says that a collector was not started, because an abandoned run
	// of it has not returned yet.
	ErrStillRunning = errors.New("collector is still busy with an abandoned run")
	// ErrPanic says that a collector panicked; a *PanicError has the rest.
	ErrPanic = errors.New("collector panicked")
	// ErrInvalidFamily says that a family was left out because it is not
	// valid exposition.
	ErrInvalidFamily = errors.New("invalid metric family")
)

// ErrNoSample says that SampleValue found no sample of that name and labels.
var ErrNoSample = errors.New("no such sample")

// CollectError is what went wrong with one collector in one scrape. Gather
// joins one of them for each thing that is missing from its result.
type CollectError struct {
	Collector Collector
	Err       error
}

// Error names the collector and what went wrong.
func (e *CollectError) Error() string {
	return fmt.Sprintf("collector %s: %v", collectorName(e.Collector), e.Err)
}

// Unwrap returns e.Err.
func (e *CollectError) Unwrap() error { return e.Err }

// PanicError is a collector's panic. It matches ErrPanic and, if the collector panicked
// with an error, that error.
type PanicError struct {
	Value any
	Stack []byte // of the panicking goroutine, as debug.Stack writes it
}

// Error returns the value of the panic. The stack is for a log.
func (e *PanicError) Error() string { return fmt.Sprintf("%v: %v", ErrPanic, e.Value) }

// Unwrap returns ErrPanic and, if it is an error, the panic's value.
func (e *PanicError) Unwrap() []error {
	if err, ok := e.Value.(error); ok {
		return []error{ErrPanic, err}
	}
	return []error{ErrPanic}
}

// Owner is a family and who yields it.
type Owner struct {
	Collector Collector // nil for the registry's own target_info
	Family    string
	Type      metric.Type
}

// String gives the owner as an error message names it.
func (o Owner) String() string {
	return fmt.Sprintf("%s %q of %s", o.Type, o.Family, collectorName(o.Collector))
}

// DuplicateError says that two families have a sample name in common: a counter x and a
// gauge x_total both have the sample x_total. It matches ErrDuplicate.
type DuplicateError struct {
	SampleName string // the name that both have
	New        Owner  // refused
	Old        Owner  // was there before
}

// Error names both families, their collectors and the shared name.
func (e *DuplicateError) Error() string {
	return fmt.Sprintf("%v: %v has the name %q, as has %v", ErrDuplicate, e.New, e.SampleName, e.Old)
}

// Unwrap returns ErrDuplicate.
func (e *DuplicateError) Unwrap() error { return ErrDuplicate }

// collectorName returns c.String() if there is such a method, or c's type.
func collectorName(c Collector) string {
	switch c := c.(type) {
	case nil:
		return "the registry"
	case fmt.Stringer:
		return c.String()
	}
	return fmt.Sprintf("%T", c)
}
