package prom

import (
	"slices"
	"strings"
	"sync"
	"time"
	"weak"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/multiprom/multiprom/internal/access"
)

// base is what each metric of one label set has.
type base struct {
	in      *instrument
	cells   any // an instrument of package multiproc
	desc    *prometheus.Desc
	labels  []*dto.LabelPair // constant and variable ones, sorted
	created *timestamppb.Timestamp

	// Of a metric in a Vec.
	values []string // of the variable labels
	born   uint64   // round in which it was made; guarded by vec.mu
	seen   uint64   // last round that found it; guarded by vec.sweeping
}

// newBase returns the base of a metric over cells, an instrument of package multiproc.
func newBase(in *instrument, cells any, values []string) base {
	desc := in.desc
	return base{in: in, cells: cells, desc: desc, labels: prometheus.MakeLabelPairs(desc, values), created: timestamppb.Now(), values: values}
}

// Desc returns the description.
func (b *base) Desc() *prometheus.Desc { return b.desc }

// Describe sends the description.
func (b *base) Describe(ch chan<- *prometheus.Desc) { ch <- b.desc }

func (b *base) common() *base { return b }

// amend has nothing to add but in a counter.
func (b *base) amend(*dto.Metric) {}

// child is a metric of one label set over the store.
type child interface {
	prometheus.Metric
	common() *base
	// amend adds to the merged series what the store does not hold of this one.
	amend(merged *dto.Metric)
}

// vec takes out of the store what was deleted from a MetricVec, which tells
// nobody: from time to time it compares the series that it has made with those
// that are left.
//
// Locks are taken in this order: sweeping, the MetricVec's, mu.
type vec struct {
	*prometheus.MetricVec
	in     *instrument
	remove func(values ...string) bool // from the store

	sweeping sync.Mutex

	mu       sync.Mutex
	round    uint64 // number of the last sweep
	children map[string]*base
}

// newMetricVec returns a MetricVec whose metrics make makes. remove takes a
// series out of the store.
func newMetricVec(f *Factory, in *instrument, remove func(...string) bool, make func(values []string) child) *prometheus.MetricVec {
	v := &vec{in: in, remove: remove, children: map[string]*base{}}
	m := f.made
	v.MetricVec = prometheus.NewMetricVec(in.desc, func(values ...string) prometheus.Metric {
		m.watch(f.opts.Period)
		return v.add(values, make)
	})
	in.vec = v
	f.vecs = append(f.vecs, weak.Make(v)) // inStore holds the lock
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
	for _, values := range v.settle(round) {
		v.DeleteLabelValues(values...)
	}
}

// settle removes from the store what that round has not found, and returns the label values of
// series that have expired. Nobody but the MetricVec may hold those, so it must forget them,
// or their space would never be used again. Who does hold one has the same series as the
// next lookup, as soon as it is updated.
func (v *vec) settle(round uint64) (expired [][]string) {
	v.mu.Lock()
	defer v.mu.Unlock()
	for k, c := range v.children {
		switch {
		case c.born >= round:
		case c.seen != round:
			v.remove(c.values...)
			delete(v.children, k)
		case access.Expired(c.cells):
			delete(v.children, k)
			expired = append(expired, c.values)
		}
	}
	return expired
}

// Reconcile removes from the store the series that were deleted from a Vec, now
// and not only after Options.Period. The gatherer and handler of this module
// call it before they show the merged view.
func (f *Factory) Reconcile() { f.reconcile(nil) }

// reconcile is Reconcile for these metrics, or for all if asked is nil.
func (m *made) reconcile(asked map[*instrument]int) {
	if asked == nil {
		for _, v := range m.living() {
			v.sweep()
		}
	}
	for in := range asked {
		if in.made == m && in.vec != nil {
			in.vec.sweep()
		}
	}
}

// living returns the Vecs that somebody can still reach.
func (m *made) living() (out []*vec) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.vecs = slices.DeleteFunc(m.vecs, func(w weak.Pointer[vec]) bool {
		v := w.Value()
		if v != nil {
			out = append(out, v)
		}
		return v == nil
	})
	return out
}

// Reconcile is that of the default Factory.
func Reconcile() { Default().Reconcile() }

// Reset begins again with all metrics of the Factory's Set in this process, those that
// variables hold too: Vecs lose their series, others are 0. It is for tests, each of
// which then begins as in a process of its own. What other processes have in the
// directory stays.
func (f *Factory) Reset() {
	for _, v := range f.living() {
		v.MetricVec.Reset()
	}
	f.set.Reset()
}

// Reset is that of the default Factory. Without a directory, where metrics are
// client_golang's, it does nothing: as there, a test has a registry of its own.
func Reset() {
	if f := Default(); !f.plain() {
		f.Reset()
	}
}

// Close reconciles once more and stops doing so at the period. A process that
// deletes series and ends at once calls it before it closes the Set; others
// need not. Closing twice does nothing.
func (f *Factory) Close() {
	f.mu.Lock()
	closed := f.closed
	f.closed = true
	if f.timer != nil {
		f.timer.Stop()
	}
	f.mu.Unlock()
	if !closed {
		f.Reconcile()
	}
}

// watch starts reconciling at the period, at the first series of a Vec. A goroutine
// lives as long as that takes.
func (m *made) watch(period time.Duration) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.timer != nil || m.closed {
		return
	}
	m.timer = time.AfterFunc(period, func() {
		m.reconcile(nil)
		m.mu.Lock()
		defer m.mu.Unlock()
		if !m.closed {
			m.timer.Reset(period)
		}
	})
}
