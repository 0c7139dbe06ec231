// Package pyfiletest writes files like client_python's multiprocess mode, for tests of
// code that reads them.
//
//	b := pyfiletest.Timed.Content(pyfiletest.Sample{
//		Key: `["jobs", "jobs_total", {"queue": "mail"}, "Jobs done."]`, Value: 3,
//	})
//	err := os.WriteFile(filepath.Join(dir, "counter_4711.db"), b, 0o600)
package pyfiletest

import (
	"encoding/binary"
	"math"
	"strings"
)

// Stride is the size of a record's value in bytes.
type Stride int

const (
	Simple Stride = 8  // the value alone, before client_python 0.18
	Timed  Stride = 16 // value and time
)

// Sample is one record.
type Sample struct {
	Key   string
	Value float64
	Time  float64 // seconds since 1970
}

var native = binary.NativeEndian

// Content returns a file with these records, followed by unused bytes.
func (s Stride) Content(samples ...Sample) []byte {
	b := make([]byte, 8)
	for _, one := range samples {
		b = s.append(b, one)
	}
	native.PutUint32(b, uint32(len(b)))
	return append(b, make([]byte, 1000)...)
}

func (s Stride) append(b []byte, one Sample) []byte {
	b = native.AppendUint32(b, uint32(len(one.Key)))
	b = append(b, one.Key...)
	b = append(b, strings.Repeat(" ", 8-(len(one.Key)+4)%8)...)
	b = native.AppendUint64(b, math.Float64bits(one.Value))
	if s == Timed {
		b = native.AppendUint64(b, math.Float64bits(one.Time))
	}
	return b
}
