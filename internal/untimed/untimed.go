package untimed

import (
	"errors"

	"github.com/multiprom/multiprom/exposition"
	"github.com/multiprom/multiprom/metric"
)

// Append is exposition.Append for the series that have no timestamp. Its error is an
// *exposition.OmissionError that also counts the series with one.
func Append(families []*metric.Family, opts exposition.Options) ([]byte, error) {
	kept, timed := make([]*metric.Family, 0, len(families)), 0
	for _, f := range families {
		f, n := without(f)
		kept, timed = append(kept, f), timed+n
	}
	body, err := exposition.Append(nil, kept, opts)
	omitted := &exposition.OmissionError{}
	if err != nil && !errors.As(err, &omitted) {
		return nil, err
	}
	omitted.Timestamps = timed
	return body, omitted.OrNil()
}

// without returns the family without the series that have a timestamp, and their number.
func without(f *metric.Family) (*metric.Family, int) {
	n := 0
	for i := range f.Series {
		if !f.Series[i].Timestamp.IsZero() {
			n++
		}
	}
	if n == 0 {
		return f, 0
	}
	out := &metric.Family{Name: f.Name, Help: f.Help, Unit: f.Unit, Type: f.Type}
	for _, s := range f.Series {
		if s.Timestamp.IsZero() {
			out.Series = append(out.Series, s)
		}
	}
	return out, n
}
