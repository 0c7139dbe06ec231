package aggregate

import (
	"github.com/multiprom/multiprom/internal/mpm"
	"github.com/multiprom/multiprom/metric"
)

// exemplar is an exemplar of a file's series, as it was read last.
type exemplar struct {
	series int // its number in the file
	number uint64
	x      *metric.Exemplar // nil for none
}

// takeExemplars returns the exemplars that the reader leads to. old are those of
// the read before; where none has changed they are returned again.
func takeExemplars(r *mpm.Reader, old []exemplar) []exemplar {
	places := r.Exemplars()
	out, own := old, false // others hold the old ones
	for i := range places {
		if i < len(old) && old[i].number == places[i].Number() {
			continue
		}
		if !own {
			out, own = make([]exemplar, len(places)), true
			copy(out, old)
		}
		out[i].series = places[i].Series
		out[i].x, out[i].number = places[i].Load()
	}
	return out
}
