package mmapstore

import (
	"time"

	"github.com/multiprom/multiprom/metric"
)

// SeriesInfo is a series as a reader sees it.
type SeriesInfo struct {
	Family *metric.Schema

	text             string // the values and further labels, as its record has them
	created, removed int64
	words            []uint64 // nil of a SeriesList
	place            place    // of its record
}

// Text returns the label values and further labels in the form that they have in
// the file (docs/format.md, "Series record"): of two series of one definition, the
// same text means the same labels.
func (s *SeriesInfo) Text() string { return s.text }

// AppendText appends a string, of at most MaxStringLen bytes, as a Text has it.
func AppendText(dst []byte, s string) []byte {
	return append(le.AppendUint16(dst, uint16(len(s))), s...)
}

// CutText cuts the first string off a Text.
func CutText(text string) (s, rest string) {
	n := 2 + int(text[0]) + int(text[1])<<8
	return text[2:n], text[n:]
}

// Values returns the values of the family's variable labels, in their order.
func (s *SeriesInfo) Values() []string {
	out, text := make([]string, len(s.Family.Labels)), s.text
	for i := range out {
		out[i], text = CutText(text)
	}
	return out
}

// Extra returns an info's content.
func (s *SeriesInfo) Extra() (out metric.Labels) {
	text := s.text
	for range s.Family.Labels {
		_, text = CutText(text)
	}
	return appendLabels(nil, text)
}

// appendLabels appends labels in the form of a record.
func appendLabels(out metric.Labels, text string) metric.Labels {
	for text != "" {
		var l metric.Label
		l.Name, text = CutText(text)
		l.Value, text = CutText(text)
		out = append(out, l)
	}
	return out
}

// Labels returns all labels of the series: constant, variable and further
// ones, sorted.
func (s *SeriesInfo) Labels() metric.Labels {
	ls := make(metric.Labels, 0, len(s.Family.Const)+len(s.Family.Labels))
	ls = append(ls, s.Family.Const...)
	text := s.text
	for _, name := range s.Family.Labels {
		l := metric.Label{Name: name}
		l.Value, text = CutText(text)
		ls = append(ls, l)
	}
	ls = appendLabels(ls, text)
	ls.Sort()
	return ls
}

// Created returns when the series was made, or was set back to zero.
func (s *SeriesInfo) Created() time.Time { return time.Unix(0, s.created) }

// CreatedNanos is Created in nanoseconds since 1970.
func (s *SeriesInfo) CreatedNanos() int64 { return s.created }

// Removed returns when the series was removed, the zero time where it was not.
func (s *SeriesInfo) Removed() time.Time {
	if s.removed == 0 {
		return time.Time{}
	}
	return time.Unix(0, s.removed)
}

// RemovedNanos is Removed in nanoseconds since 1970, 0 where it was not removed.
func (s *SeriesInfo) RemovedNanos() int64 { return s.removed }

// Offset returns where its record stands in the file, in bytes.
func (s *SeriesInfo) Offset() int64 { return 8 * int64(s.place) }

// Words returns the live cells: they change while they are read. Access them
// atomically and within Guard; they are valid until the Reader is closed. A series
// of a SeriesList has none.
func (s *SeriesInfo) Words() []uint64 { return s.words }
