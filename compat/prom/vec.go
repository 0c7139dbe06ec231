package prom

import (
	"strings"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
	"google.golang.org/protobuf/types/known/timestamppb"
)

// base is what each metric of one label set has.
type base struct {
	desc    *prometheus.Desc
	labels  []*dto.LabelPair // constant and variable ones, sorted
	created *timestamppb.Timestamp

	// Of a metric in a Vec.
	values []string // of the variable labels
	born   uint64   // round in which it was made; guarded by vec.mu
	seen   uint64   // last round that found it; guarded by vec.sweeping
}

func newBase(desc *prometheus.Desc, values []string) base {
	return base{desc: desc, labels: prometheus.MakeLabelPairs(desc, values), created: timestamppb.Now(), values: values}
}

// Desc returns the description.
func (b *base) Desc() *prometheus.Desc { return b.desc }

// Describe sends the description.
func (b *base) Describe(ch chan<- *prometheus.Desc) { ch <- b.desc }

func (b *base) common() *base { return b }

type child interface {
	prometheus.Metric
	common() *base
}

// vec takes out of the store what was deleted from a MetricVec, which tells
// nobody: from time to time it compares the series that it has made with those
// that are left.
//
// Locks are taken in this order: sweeping, the MetricVec's, mu.
type vec struct {
	*prometheus.MetricVec
	remove func(values ...string) bool // from the store

	sweeping sync.Mutex

	mu       sync.Mutex
	round    uint64 // number of the last sweep
	children map[string]*base
}

// newMetricVec returns a MetricVec whose metrics make makes. remove takes a
// series out of the store.
func newMetricVec(f *Factory, desc *prometheus.Desc, remove func(...string) bool, make func(values []string) child) *prometheus.MetricVec {
	v := &vec{remove: remove, children: map[string]*base{}}
	v.MetricVec = prometheus.NewMetricVec(desc, func(values ...string) prometheus.Metric {
		f.watch()
		return v.add(values, make)
	})
	f.vecs = append(f.vecs, v) // once holds the lock
	return v.MetricVec
}

// key joins label values with a byte that UTF-8 has not.
func key(values []string) string { return strings.Join(values, "\xff") }

// add makes a metric. The MetricVec holds its lock and has none of these values:
// where there was one, it was deleted, and the new one begins at 0.
func (v *vec) add(values []string, make func([]string) child) child {
	v.mu.Lock()
	defer v.mu.Unlock()
	k := key(values)
	if v.children[k] != nil {
		v.remove(values...)
	}
	c := make(values)
	c.common().born = v.round
	v.children[k] = c.common()
	return c
}

// sweep removes from the store what is no longer in the MetricVec.
func (v *vec) sweep() {
	v.sweeping.Lock()
	defer v.sweeping.Unlock()
	v.mu.Lock()
	v.round++
	round, some := v.round, len(v.children) > 0
	v.mu.Unlock()
	if !some {
		return
	}
	// A metric of an earlier round is in the MetricVec by now, or deleted: it
	// was made under the lock that Collect takes.
	metrics := make(chan prometheus.Metric, 128)
	go func() {
		v.Collect(metrics)
		close(metrics)
	}()
	for m := range metrics {
		m.(child).common().seen = round
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	for k, c := range v.children {
		if c.born < round && c.seen != round {
			v.remove(c.values...)
			delete(v.children, k)
		}
	}
}

// Reconcile removes from the store the series that were deleted from a Vec, now
// and not only after Options.Period. The gatherer and handler of this module
// call it before they show the merged view.
func (f *Factory) Reconcile() {
	f.mu.Lock()
	vecs := f.vecs[:len(f.vecs):len(f.vecs)]
	f.mu.Unlock()
	for _, v := range vecs {
		v.sweep()
	}
}

// Reconcile is that of the default Factory.
func Reconcile() { Default().Reconcile() }

// Close reconciles once more and stops doing so at the period. A process that
// deletes series and ends at once calls it before it closes the Set; others
// need not. Closing twice does nothing.
func (f *Factory) Close() {
	f.mu.Lock()
	closed := f.closed
	f.closed = true
	if !closed && f.ended != nil {
		close(f.ended)
	}
	f.mu.Unlock()
	if !closed {
		f.Reconcile()
	}
}

// watch starts reconciling at the period, at the first series of a Vec: a
// program that only declares has no goroutine.
func (f *Factory) watch() {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.ended != nil || f.closed {
		return
	}
	f.ended = make(chan struct{})
	go func() {
		tick := time.NewTicker(f.opts.Period)
		defer tick.Stop()
		for {
			select {
			case <-f.ended:
				return
			case <-tick.C:
				f.Reconcile()
			}
		}
	}()
}
