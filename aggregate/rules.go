package aggregate

import (
	"fmt"
	"slices"

	"github.com/multiprom/multiprom/metric"
)

// How the parts of a series merge follows from its schema. Each rule stands here, and
// nowhere else.

// compatible reports whether two schemas of one name merge into one family.
func compatible(a, b *metric.Schema) bool {
	return a.Type == b.Type && a.Mode == b.Mode && (a.Type != metric.StateSet || slices.Equal(a.States, b.States))
}

// hasMode reports whether the mode of the schema says something: a mode of a counter says
// nothing.
func hasMode(s *metric.Schema) bool { return s.Type.LikeGauge() || s.Type == metric.StateSet }

// summed reports whether a series is the sum of its parts. If not, it is a pick.
func summed(s *metric.Schema) bool {
	return cumulative(s) || s.Type.LikeGauge() && s.Mode.Base() == metric.ModeSum
}

// perProcess reports whether each process has a series of its own.
func perProcess(s *metric.Schema) bool { return hasMode(s) && s.Mode.Base() == metric.ModeAll }

// isLive reports whether only the parts of living processes count.
func isLive(s *metric.Schema) bool { return hasMode(s) && s.Mode.Live() }

// shared reports whether a series is of all processes together. One of a single process,
// or an info, goes when its process removes it.
func shared(s *metric.Schema) bool { return !perProcess(s) && s.Type != metric.Info }

// cumulative reports whether values only grow, so that the part of a process that has
// removed the series counts on.
func cumulative(s *metric.Schema) bool {
	return s.Type == metric.Counter || s.Type == metric.Histogram || s.Type == metric.Summary
}

// seriesKey tells a series from those of all other schemas and labels.
func seriesKey(s *metric.Schema, labels metric.Labels) string {
	return fmt.Sprintf("%s\xff%d %d %q %s", s.Name, s.Type, s.Mode, s.States, labels)
}
