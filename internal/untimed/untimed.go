package untimed

import (
	"errors"

	"github.com/multiprom/multiprom/exposition"
	"github.com/multiprom/multiprom/metric"
)

// Append returns what exposition.Append makes of the series that have no timestamp.
// The error is an *exposition.OmissionError that counts the others too.
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

// without returns the family without those series, and how many there were.
func without(f *metric.Family) (*metric.Family, int) {
	f = f.Whole()
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
