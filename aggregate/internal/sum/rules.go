package sum

import (
	"fmt"
	"slices"
	"time"

	"github.com/multiprom/multiprom/internal/histogram"
	"github.com/multiprom/multiprom/metric"
)

// How the parts of a series merge follows from its schema. Each rule is here and nowhere
// else.

// Compatible reports whether two schemas of one name merge into one family.
func Compatible(a, b *metric.Schema) bool {
	return a.Type == b.Type && a.Mode == b.Mode && (a.Type != metric.StateSet || slices.Equal(a.States, b.States)) &&
		histogram.KindOf(a) == histogram.KindOf(b)
}

// Summed reports whether a series is the sum of its parts. Otherwise it is a pick.
func Summed(s *metric.Schema) bool {
	return Cumulative(s) || s.Type.LikeGauge() && s.Mode.Base() == metric.ModeSum
}

// PerProcess reports whether each process has a series of its own.
func PerProcess(s *metric.Schema) bool { return s.Type.HasMode() && s.Mode.Base() == metric.ModeAll }

// IsLive reports whether only the parts of living processes count.
func IsLive(s *metric.Schema) bool { return s.Type.HasMode() && s.Mode.Live() }

// Shared reports whether a series belongs to all processes together. One that belongs to a
// single process goes when that process removes it, and so does an info.
func Shared(s *metric.Schema) bool { return !PerProcess(s) && s.Type != metric.Info }

// Cumulative reports whether values only grow. Then the part of a process that has removed
// the series continues to count.
func Cumulative(s *metric.Schema) bool {
	return s.Type == metric.Counter || s.Type == metric.Histogram || s.Type == metric.Summary
}

// IsNative reports whether series have native buckets.
func IsNative(s *metric.Schema) bool { return s.Native != nil }

// ClassicCounts returns how many counts of classic buckets a histogram with so many bounds
// has. A native one has none for +Inf, which is its count.
func ClassicCounts(s *metric.Schema, bounds int) int {
	if IsNative(s) {
		return bounds
	}
	return bounds + 1
}

// SeriesKey identifies a series among those of all schemas and labels.
func SeriesKey(s *metric.Schema, labels metric.Labels) string {
	return fmt.Sprintf("%s\xff%d %d %d %q %s", s.Name, s.Type, s.Mode, histogram.KindOf(s), s.States, labels)
}

// OverflowValue is the value of every label of an overflow series.
const OverflowValue = "__overflow__"

// NeverExpires reports whether a series with these labels stays although its family has a time
// to live: it has no labels, or it is an overflow series. process is the name of the process
// label if labels have it.
func NeverExpires(labels metric.Labels, process string) bool {
	for _, l := range labels {
		if l.Name != process {
			return l.Value == OverflowValue
		}
	}
	return true
}

// TTLOf returns the time to live that options, by name, have for a family; 0 is none.
func TTLOf(of map[string]time.Duration, s *metric.Schema) time.Duration {
	switch s.Type {
	case metric.Info:
		return 0
	case metric.Counter:
		return max(of[s.Name], of[s.Name+"_total"])
	}
	return of[s.Name]
}
