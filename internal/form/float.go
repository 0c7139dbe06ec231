package form

import (
	"bytes"
	"math"
	"strconv"
)

// AppendFloat appends v as both text formats write a value: the shortest decimal that
// reads back as v, or +Inf, -Inf, NaN. Whole numbers below 1e15 have no exponent, since
// counters hold them and people read them.
func AppendFloat(dst []byte, v float64) []byte {
	if i := int64(v); float64(i) == v && i > -1e15 && i < 1e15 {
		if i == 0 && math.Signbit(v) {
			return append(dst, "-0"...)
		}
		return strconv.AppendInt(dst, i, 10)
	}
	switch {
	case v != v:
		return append(dst, "NaN"...)
	case v > math.MaxFloat64:
		return append(dst, "+Inf"...)
	case v < -math.MaxFloat64:
		return append(dst, "-Inf"...)
	}
	return strconv.AppendFloat(dst, v, 'g', -1, 64)
}

// FormatFloat is AppendFloat as a string.
func FormatFloat(v float64) string { return string(AppendFloat(nil, v)) }

// AppendBound appends v as the value of a label le or quantile, as Prometheus' own text
// writer (expfmt) does. The label is part of a series' identity, and a program that moves
// from one writer to the other keeps its series. A million is 1e+06, and there is no -0.
func AppendBound(dst []byte, v float64) []byte {
	if v == 0 || math.IsNaN(v) || math.IsInf(v, 0) {
		return AppendFloat(dst, v+0) // -0 + 0 is 0
	}
	return strconv.AppendFloat(dst, v, 'g', -1, 64)
}

// AppendCanonical appends a bound as in OpenMetrics' "Canonical Numbers", so that it can be
// recognized as a float.
func AppendCanonical(dst []byte, v float64) []byte {
	n := len(dst)
	dst = AppendBound(dst, v)
	if !bytes.ContainsAny(dst[n:], ".eIN") {
		dst = append(dst, ".0"...)
	}
	return dst
}
