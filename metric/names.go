package metric

import (
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"
)

// Errors of names and labels; match them with errors.Is.
var (
	ErrInvalidName   = errors.New("invalid metric name")
	ErrInvalidLabel  = errors.New("invalid label name")
	ErrReservedLabel = errors.New("reserved label name")
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
func CheckName(s string) error { return checkName(s, MaxNameLen) }

func checkName(s string, most int) error {
	switch {
	case s == "":
		return fmt.Errorf("%w: it is empty", ErrInvalidName)
	case len(s) > most:
		return fmt.Errorf("%w: %.40q… has %d bytes, the most is %d", ErrInvalidName, s, len(s), most)
	case !utf8.ValidString(s):
		return fmt.Errorf("%w: %q is not UTF-8", ErrInvalidName, s)
	}
	return nil
}

// CheckLabelName returns nil if s may name a label: UTF-8, not empty, at most MaxNameLen
// bytes, and without two underscores at the start, which Prometheus reserves.
func CheckLabelName(s string) error { return checkLabelName(s, MaxNameLen) }

func checkLabelName(s string, most int) error {
	switch {
	case s == "":
		return fmt.Errorf("%w: it is empty", ErrInvalidLabel)
	case len(s) > most:
		return fmt.Errorf("%w: %.40q… has %d bytes, the most is %d", ErrInvalidLabel, s, len(s), most)
	case !utf8.ValidString(s):
		return fmt.Errorf("%w: %q is not UTF-8", ErrInvalidLabel, s)
	case strings.HasPrefix(s, "__"):
		return fmt.Errorf("%w: %q begins with __", ErrReservedLabel, s)
	}
	return nil
}
