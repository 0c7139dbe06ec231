package mpm

import (
	"time"

	"github.com/multiprom/multiprom/metric"
)

// SeriesInfo is a series as a reader sees it.
type SeriesInfo struct {
	Schema *metric.Schema

	encoded          string // the values and further labels, encoded as in the record
	created, removed int64
	active           int64      // 0 without a TTL
	words            []uint64   // nil of a SeriesList
	record           wordOffset // of its record
	number           int
}

// Number returns its number in the list.
func (s *SeriesInfo) Number() int { return s.number }

// EncodedLabels returns the label values and further labels, encoded as in the file
// (docs/format.md, "Series (kind 2)"). Two series of one schema have the same labels if the
// results are equal.
func (s *SeriesInfo) EncodedLabels() string { return s.encoded }

// AppendString appends a string of at most MaxStringLen bytes in the form of encoded labels.
func AppendString(dst []byte, s string) []byte {
	return append(le.AppendUint16(dst, uint16(len(s))), s...)
}

// CutString splits the first string off encoded labels. If the labels end within it, it
// returns what there is.
func CutString(encoded string) (s, rest string) {
	if len(encoded) < 2 {
		return "", ""
	}
	n := min(2+int(encoded[0])+int(encoded[1])<<8, len(encoded))
	return encoded[2:n], encoded[n:]
}

// Values returns the values of the family's variable labels, in their order.
func (s *SeriesInfo) Values() []string {
	out, encoded := make([]string, len(s.Schema.Labels)), s.encoded
	for i := range out {
		out[i], encoded = CutString(encoded)
	}
	return out
}

// Extra returns an info's content.
func (s *SeriesInfo) Extra() (out metric.Labels) {
	encoded := s.encoded
	for range s.Schema.Labels {
		_, encoded = CutString(encoded)
	}
	return appendLabels(nil, encoded)
}

// appendLabels appends labels in the form of a record.
func appendLabels(out metric.Labels, encoded string) metric.Labels {
	for encoded != "" {
		var l metric.Label
		l.Name, encoded = CutString(encoded)
		l.Value, encoded = CutString(encoded)
		out = append(out, l)
	}
	return out
}

// Labels returns all labels of the series: constant, variable and further
// ones, sorted.
func (s *SeriesInfo) Labels() metric.Labels {
	ls := make(metric.Labels, 0, len(s.Schema.Const)+len(s.Schema.Labels))
	ls = append(ls, s.Schema.Const...)
	encoded := s.encoded
	for _, name := range s.Schema.Labels {
		l := metric.Label{Name: name}
		l.Value, encoded = CutString(encoded)
		ls = append(ls, l)
	}
	ls = appendLabels(ls, encoded)
	ls.Sort()
	return ls
}

// Created returns when the series was created or last reset.
func (s *SeriesInfo) Created() time.Time { return time.Unix(0, s.created) }

// CreatedNanos is Created in nanoseconds since 1970.
func (s *SeriesInfo) CreatedNanos() int64 { return s.created }

// Removed returns when the series was removed, or the zero time if it was not.
func (s *SeriesInfo) Removed() time.Time {
	if s.removed == 0 {
		return time.Time{}
	}
	return time.Unix(0, s.removed)
}

// RemovedNanos is Removed in nanoseconds since 1970, or 0 if it was not removed.
func (s *SeriesInfo) RemovedNanos() int64 { return s.removed }

// Active returns when the series was last seen to change, or the zero time if it has no TTL.
// See SeriesList.ActiveNanos.
func (s *SeriesInfo) Active() time.Time {
	if s.active == 0 {
		return time.Time{}
	}
	return time.Unix(0, s.active)
}

// ActiveNanos is SeriesList.ActiveNanos.
func (s *SeriesInfo) ActiveNanos() int64 { return s.active }

// Offset returns the offset of its record in the file.
func (s *SeriesInfo) Offset() int64 { return 8 * int64(s.record) }

// Words returns the live cells, which change while they are read. Access them atomically and
// within Guard. They are valid until the Reader is closed. A series of a SeriesList has
// none.
func (s *SeriesInfo) Words() []uint64 { return s.words }
