package exposition

import (
	"fmt"
	"strings"
)

// OmissionError says what an encoder or a bridge left out because the format or the
// receiver cannot hold it. Everything else was written or sent.
type OmissionError struct {
	// Names are families, and groups such as x_created, whose name was taken: escaping
	// made two names equal, or two families share a sample name.
	Names []string
	// Series is the number of single series left out for that reason, from families
	// that were written.
	Series int
	// Values is the number of series whose value the format does not have: a negative
	// or NaN counter in OpenMetrics, any NaN in Graphite.
	Values int
	// Timestamps is the number of series with their own timestamp. A Pushgateway and
	// node_exporter would refuse all other series because of them.
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

// Error counts them by reason and names the first families.
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
