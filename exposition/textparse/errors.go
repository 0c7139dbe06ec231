package textparse

import (
	"errors"
	"fmt"
)

// Errors for which a caller can do something; match them with errors.Is. All others say
// that the input is wrong, and only its author can change that.
var (
	// ErrTruncated: the input ends too early, within a line or before OpenMetrics' #
	// EOF. Reading it again may help.
	ErrTruncated = errors.New("input is cut off")
	// ErrLimit: one of the limits of Options was exceeded.
	ErrLimit = errors.New("limit exceeded")
)

// Error says where an input is wrong and why.
type Error struct {
	// Line counts from 1. What is missing from a series, such as a bucket, is
	// reported at the line where the series began.
	Line int
	// Column counts bytes, from 1.
	Column int
	// Reason is a phrase without the position.
	Reason string
	// Err is ErrTruncated, ErrLimit, the reader's error, or nil.
	Err error
}

func (e *Error) Error() string {
	return fmt.Sprintf("textparse: line %d, column %d: %s", e.Line, e.Column, e.Reason)
}

// Unwrap returns Err.
func (e *Error) Unwrap() error { return e.Err }
