package exposition

import (
	"fmt"
	"strings"
)

// OmissionError says what was left out, by an encoder or by one of the bridges,
// since the format or the receiver has no place for it. All else was written or
// sent.
type OmissionError struct {
	// Names of families, and of groups such as x_created, whose name was
	// taken, as escaping had made two names equal or because two families
	// share a sample name.
	Names []string
	// Series is the number of single series that were left out for it, of
	// families that were written.
	Series int
	// Values is the number of series whose value the format does not have: a
	// counter that is negative or NaN in OpenMetrics, any NaN in Graphite's.
	Values int
	// Timestamps is the number of series with a timestamp of their own, for which
	// a Pushgateway and node_exporter would refuse all others too.
	Timestamps int
	// Oversize is the number of samples whose line is too long for a UDP packet.
	Oversize int
}

// OrNil returns a copy of e as an error, or nil if nothing was left out.
func (e *OmissionError) OrNil() error {
	if len(e.Names) == 0 && e.Series+e.Values+e.Timestamps+e.Oversize == 0 {
		return nil
	}
	omitted := *e
	return &omitted
}

// Error counts them by reason, and names the first families.
func (e *OmissionError) Error() string {
	const shown = 5
	var parts []string
	add := func(n int, one, many, reason string) {
		switch {
		case n == 1:
			parts = append(parts, "1 "+one+reason)
		case n > 1:
			parts = append(parts, fmt.Sprint(n)+" "+many+reason)
		}
	}
	taken := fmt.Sprintf(" whose name is taken: %q", e.Names[:min(shown, len(e.Names))])
	if len(e.Names) > shown {
		taken += "…"
	}
	add(len(e.Names), "family", "families", taken)
	add(e.Series, "series", "series", " with the same name and labels as another")
	add(e.Values, "series", "series", " with a value that the format does not have, NaN or a negative counter")
	add(e.Timestamps, "series", "series", " with a timestamp, which the receiver refuses")
	add(e.Oversize, "line", "lines", " that a UDP packet cannot hold")
	return "exposition: left out: " + strings.Join(parts, "; ")
}
