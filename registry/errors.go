package registry

import (
	"errors"
	"fmt"

	"github.com/multiprom/multiprom/metric"
)

// Errors of Register and SetTargetInfo; match them with errors.Is. An invalid collector,
// family or label matches metric.ErrInvalid.
var (
	// ErrAlreadyRegistered says that this collector is in the registry already.
	ErrAlreadyRegistered = errors.New("collector is registered already")
	// ErrDuplicate says that two families have the same name, or a sample name in
	// common: a counter x and a gauge x_total both have the sample x_total. What a Merge
	// reports of families that cannot be merged matches it too.
	ErrDuplicate = errors.New("duplicate metric")

	errInvalidCollector = fmt.Errorf("%w collector", metric.ErrInvalid)
	errInvalidFamily    = fmt.Errorf("%w metric family", metric.ErrInvalid)
)

// Errors of a scrape.
var (
	errTimeout      = errors.New("collector timed out")
	errStillRunning = errors.New("collector is still busy with an abandoned run")
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

// PanicError is a collector's panic. It matches the panic's value if that is an error.
type PanicError struct {
	Value any
	Stack []byte // of the panicking goroutine, as debug.Stack writes it
}

// Error returns the value of the panic. The stack is for a log.
func (e *PanicError) Error() string { return fmt.Sprintf("collector panicked: %v", e.Value) }

// Unwrap returns the panic's value if it is an error.
func (e *PanicError) Unwrap() error {
	err, _ := e.Value.(error)
	return err
}

// claimant is a family and who yields it.
type claimant struct {
	Collector Collector // nil for the registry's own target_info
	Family    string
	Type      metric.Type
}

// String gives the claimant as an error message names it.
func (c claimant) String() string {
	return fmt.Sprintf("%s %q of %s", c.Type, c.Family, collectorName(c.Collector))
}

// duplicateError says that two families have a sample name in common. It matches
// ErrDuplicate.
type duplicateError struct {
	SampleName string   // the name that both have
	New        claimant // refused
	Old        claimant // was there before
}

// Error names both families, their collectors and the shared name.
func (e *duplicateError) Error() string {
	return fmt.Sprintf("%v: %v has the name %q, as has %v", ErrDuplicate, e.New, e.SampleName, e.Old)
}

// Unwrap returns ErrDuplicate.
func (e *duplicateError) Unwrap() error { return ErrDuplicate }

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
