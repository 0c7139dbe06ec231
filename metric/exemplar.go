package metric

import (
	"cmp"
	"time"
)

// Exemplar points from a value to something outside, such as a trace.
type Exemplar struct {
	Labels    Labels
	Value     float64
	Timestamp time.Time // zero when none was given
}

// Compare orders exemplars by age, the oldest first, and those of the same age by value
// and labels, so that the choice between two never depends on which was read first.
func (e *Exemplar) Compare(o *Exemplar) int {
	return cmp.Or(e.Timestamp.Compare(o.Timestamp), cmp.Compare(e.Value, o.Value), e.Labels.Compare(o.Labels))
}
