package snapshot

import (
	"github.com/multiprom/multiprom/internal/mpm"
	"github.com/multiprom/multiprom/metric"
)

// Exemplar is an exemplar of a file's series, as it was read last.
type Exemplar struct {
	Series int // its number in the file
	number uint64
	X      *metric.Exemplar // nil for none
}

// takeExemplars returns the exemplars that the reader leads to. old are those of
// the read before; where none has changed they are returned again.
func takeExemplars(r *mpm.Reader, old []Exemplar) []Exemplar {
	places := r.Exemplars()
	out, own := old, false // others hold the old ones
	for i := range places {
		if i < len(old) && old[i].number == places[i].Number() {
			continue
		}
		if !own {
			out, own = make([]Exemplar, len(places)), true
			copy(out, old)
		}
		out[i].Series = places[i].Series
		out[i].X, out[i].number = places[i].Load()
	}
	return out
}
