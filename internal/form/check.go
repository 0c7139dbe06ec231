package form

import (
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"
)

// ErrInvalid is metric.ErrInvalid. The other errors match it.
var (
	ErrInvalid     = errors.New("invalid")
	ErrName        = fmt.Errorf("%w metric name", ErrInvalid)
	ErrLabel       = fmt.Errorf("%w label", ErrInvalid)
	ErrReserved    = fmt.Errorf("%w: reserved", ErrLabel)
	ErrLabelValues = fmt.Errorf("%w label values", ErrInvalid)
	ErrExemplar    = fmt.Errorf("%w exemplar", ErrInvalid)
	ErrSchema      = fmt.Errorf("%w metric schema", ErrInvalid)
)

// Bounds of schemas and series in native files, in bytes if nothing else is said. With
// them each record of a file fits into one block (docs/format.md, "Bounds").
const (
	MaxNameLen       = 1024 // metric, label and state names, and units
	MaxHelpLen       = 8192
	MaxLabelValueLen = 4096
	MaxLabels        = 64   // labels of a series
	MaxBounds        = 4096 // finite bucket bounds of a histogram
	MaxStates        = 256  // states of an enum
)

// CheckName returns nil if s may name a metric: UTF-8, not empty, at most MaxNameLen
// bytes (Prometheus 3, "UTF-8 in metric and label names").
func CheckName(s string) error { return CheckLongName(s, MaxNameLen) }

// CheckLongName is CheckName with another bound.
func CheckLongName(s string, most int) error {
	switch {
	case s == "":
		return fmt.Errorf("%w: it is empty", ErrName)
	case len(s) > most:
		return fmt.Errorf("%w: %.40q… has %d bytes, the most is %d", ErrName, s, len(s), most)
	case !utf8.ValidString(s):
		return fmt.Errorf("%w: %q is not UTF-8", ErrName, s)
	}
	return nil
}

// CheckLabelName returns nil if s may name a label: UTF-8, not empty, at most MaxNameLen
// bytes, and without two underscores at the start, which Prometheus reserves.
func CheckLabelName(s string) error { return CheckLongLabelName(s, MaxNameLen) }

// CheckLongLabelName is CheckLabelName with another bound.
func CheckLongLabelName(s string, most int) error {
	switch {
	case s == "":
		return fmt.Errorf("%w: its name is empty", ErrLabel)
	case len(s) > most:
		return fmt.Errorf("%w: %.40q… has %d bytes, the most is %d", ErrLabel, s, len(s), most)
	case !utf8.ValidString(s):
		return fmt.Errorf("%w: %q is not UTF-8", ErrLabel, s)
	case strings.HasPrefix(s, "__"):
		return fmt.Errorf("%w: %q begins with __", ErrReserved, s)
	}
	return nil
}
