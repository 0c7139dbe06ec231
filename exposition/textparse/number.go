package textparse

import (
	"bytes"
	"math"
	"strconv"
	"time"
)

// parseFloat reads a number as both formats write it: decimal, or an infinity or NaN in
// any case. It rejects Go's hexadecimal numbers and underscores.
func parseFloat(b []byte) (float64, bool) {
	if bytes.ContainsAny(b, "xXpP_") {
		return 0, false
	}
	v, err := strconv.ParseFloat(string(b), 64)
	return v, err == nil
}

// parseCount reads a whole number that is not negative, such as 3, 3.0 or 3e5.
func parseCount(b []byte) (uint64, bool) {
	if n, err := strconv.ParseUint(string(b), 10, 64); err == nil {
		return n, true
	}
	v, ok := parseFloat(b)
	if !ok || !(v >= 0 && v < 1<<64) || v != math.Trunc(v) {
		return 0, false
	}
	return uint64(v), true
}

// parseMillis reads a timestamp of the text format.
func parseMillis(b []byte) (time.Time, bool) {
	ms, err := strconv.ParseInt(string(b), 10, 64)
	return time.UnixMilli(ms), err == nil
}

// lastSecond is where Prometheus' milliseconds end, as an even number, because a
// float64 of that size must be even. Later times are cut to it: the grammar sets no
// bound.
const lastSecond = math.MaxInt64 / 2000 * 2

// parseSeconds reads a timestamp of OpenMetrics digit by digit, because a float64
// cannot hold its nanoseconds. Finer digits are dropped.
func parseSeconds(b []byte) (time.Time, bool) {
	v, ok := parseFloat(b)
	if !ok || math.IsNaN(v) || math.IsInf(v, 0) {
		return time.Time{}, false
	}
	if math.Abs(v) >= lastSecond {
		return time.Unix(int64(math.Copysign(lastSecond, v)), 0), true
	}
	if bytes.ContainsAny(b, "eE") {
		whole, fraction := math.Modf(v)
		return time.Unix(int64(whole), int64(fraction*1e9)), true
	}
	whole, fraction, _ := bytes.Cut(bytes.TrimLeft(b, "+-"), []byte("."))
	var seconds, nanos int64
	for _, digit := range whole {
		seconds = seconds*10 + int64(digit-'0')
	}
	for i := range 9 {
		nanos *= 10
		if i < len(fraction) {
			nanos += int64(fraction[i] - '0')
		}
	}
	if b[0] == '-' {
		seconds, nanos = -seconds, -nanos
	}
	return time.Unix(seconds, nanos), true
}
