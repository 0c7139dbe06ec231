package lifetime

import (
	"fmt"
	"time"
)

// Bounds of a TTL.
const (
	Min = 10 * time.Second
	Max = 0x7FFF * time.Minute

	exact = 0x7FFF * time.Second // up to here a file has whole seconds, and minutes after that
)

// Check returns an error if a series cannot have this TTL. The text begins with "is" and
// continues the name of an option. 0 means that the series never expires.
func Check(d time.Duration) error {
	switch {
	case d < 0:
		return fmt.Errorf("is %v: it must not be negative", d)
	case d > 0 && d < Min:
		return fmt.Errorf("is %v: the shortest is %v", d, Min)
	case d > Max:
		return fmt.Errorf("is %v: the longest is %v", d, Max)
	}
	return nil
}

// Round returns the TTL that a file can have: whole seconds, or minutes if it is longer than
// 9 hours. It rounds up.
func Round(d time.Duration) time.Duration {
	unit := time.Second
	if d > exact {
		unit = time.Minute
	}
	return (d + unit - 1) / unit * unit
}

// Encode returns a rounded TTL in the form of a file.
func Encode(d time.Duration) uint16 {
	if d > exact {
		return 0x8000 | uint16(min(d/time.Minute, 0x7FFF))
	}
	return uint16(d / time.Second)
}

// Decode is the inverse of Encode.
func Decode(n uint16) time.Duration {
	if n >= 0x8000 {
		return time.Duration(n&0x7FFF) * time.Minute
	}
	return time.Duration(n) * time.Second
}
