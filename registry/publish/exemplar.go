package publish

import (
	"slices"
	"strings"
	"time"

	"github.com/multiprom/multiprom/internal/histogram"
	"github.com/multiprom/multiprom/internal/mpm"
	"github.com/multiprom/multiprom/internal/openmetrics"
	"github.com/multiprom/multiprom/metric"
)

// exemplars stores the exemplars of a counter or histogram that are new since the last
// publication. An old one must not become the newest of all processes by being published
// again. An invalid one is dropped and counted as an invalid update.
func (b *book) exemplars(e *series, s *metric.Series, now time.Time) {
	switch e.shape.schema.Type {
	case metric.Counter:
		b.exemplar(e, 0, 1, s.Exemplar, now)
	case metric.Histogram:
		places := len(s.Buckets)
		if s.Native != nil {
			places += histogram.MostExemplars
		}
		for i := range s.Buckets {
			b.exemplar(e, i, places, s.Buckets[i].Exemplar, now)
		}
		if s.Native != nil {
			b.nativeExemplars(e, s, now)
		}
	}
}

func (b *book) exemplar(e *series, bucket, buckets int, x *metric.Exemplar, now time.Time) {
	if x == nil || len(x.Labels) == 0 {
		return
	}
	if e.shown == nil {
		e.shown = make([]metric.Exemplar, buckets)
	}
	last := &e.shown[bucket]
	if last.Value == x.Value && last.Timestamp.Equal(x.Timestamp) && last.Labels.Equal(x.Labels) {
		return
	}
	*last = *x
	labels := x.Labels
	if !slices.IsSortedFunc(labels, byName) {
		labels = slices.Clone(labels)
		labels.Sort()
	}
	if openmetrics.CheckExemplar(labels) != nil {
		b.store.Count(mpm.InvalidUpdates, 1)
		return
	}
	at := x.Timestamp
	if at.IsZero() {
		at = now
	}
	e.handle.SetExemplar(bucket, labels, x.Value, at.UnixNano())
}

func byName(a, b metric.Label) int { return strings.Compare(a.Name, b.Name) }
