package send

import (
	"context"
	"net/url"
	"sync"
	"time"

	"github.com/multiprom/multiprom/metric"
)

// stats are the metrics of an exit.
type stats struct {
	mu      sync.Mutex
	labels  metric.Labels
	samples int
	bytes   int
	retries int
	dropped map[string]int // by reason
	success time.Time
	failed  bool // since the last success
	started time.Time
	queue   *queueState // nil without a queue
}

// queueState is what is in the queue.
type queueState struct {
	rounds, bytes int
	oldest        time.Time
}

// reasons why samples are dropped.
var reasons = []string{"refused", "superseded", "queue_age", "queue_bytes", "queue_error"}

func (s *stats) init(name string, target *url.URL) {
	s.labels = metric.MakeLabels("exit", name, "endpoint", target.Host+target.Path)
	s.dropped = map[string]int{}
	s.started = time.Now()
}

// sent notes a batch and reports whether it is the first after a failure.
func (s *stats) sent(b *Batch, rejected int, at time.Time) (again bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.samples += b.Samples - rejected
	s.bytes += len(b.Body)
	s.dropped["refused"] += rejected
	again = s.failed
	s.success, s.failed = at, false
	return again
}

func (s *stats) refused(b *Batch, rejected int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.samples += b.Samples - rejected
	s.bytes += len(b.Body)
	s.dropped["refused"] += rejected
}

func (s *stats) drop(reason string, samples int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.dropped[reason] += samples
}

func (s *stats) retry() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.retries++
}

// failing notes a failure and reports whether it is the first since a success.
func (s *stats) failing() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	first := !s.failed
	s.failed = true
	return first
}

func (s *stats) setQueue(q queueState) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.queue = &q
}

// Gather returns the exit's own metrics.
func (p *Pipe) Gather(context.Context) ([]*metric.Family, error) {
	s := &p.stats
	s.mu.Lock()
	defer s.mu.Unlock()
	var out []*metric.Family
	add := func(name, help, unit string, t metric.Type, v float64) {
		series := metric.Series{Labels: s.labels, Value: v}
		if t == metric.Counter {
			series.Created = s.started
		}
		out = append(out, &metric.Family{Name: "multiprom_exit_" + name, Help: help, Unit: unit, Type: t, Series: []metric.Series{series}})
	}
	dropped := &metric.Family{Name: "multiprom_exit_dropped_samples", Help: "Samples that were not stored by the receiver, by reason.", Type: metric.Counter}
	for _, reason := range reasons {
		dropped.Series = append(dropped.Series, metric.Series{Labels: s.labels.With("reason", reason), Value: float64(s.dropped[reason]), Created: s.started})
	}
	out = append(out, dropped)
	if !s.success.IsZero() {
		add("last_success_timestamp_seconds", "When the receiver last accepted a request.", "seconds", metric.Gauge, float64(s.success.UnixMilli())/1000)
	}
	if q := s.queue; q != nil {
		add("queue_bytes", "Size of the rounds in the queue.", "bytes", metric.Gauge, float64(q.bytes))
		age := 0.0
		if q.rounds > 0 {
			age = max(0, p.opts.Now().Sub(q.oldest).Seconds())
		}
		add("queue_oldest_age_seconds", "Age of the oldest round in the queue.", "seconds", metric.Gauge, age)
		add("queue_rounds", "Rounds in the queue.", "", metric.Gauge, float64(q.rounds))
	}
	add("retries", "Requests that failed and may be sent again.", "", metric.Counter, float64(s.retries))
	add("sent_bytes", "Bytes of requests that were answered, compressed.", "bytes", metric.Counter, float64(s.bytes))
	add("sent_samples", "Samples that the receiver accepted.", "", metric.Counter, float64(s.samples))
	metric.SortFamilies(out)
	return out, nil
}
