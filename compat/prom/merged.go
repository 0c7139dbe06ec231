package prom

import (
	"cmp"
	"context"
	"slices"
	"strings"
	"sync"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"

	"github.com/multiprom/multiprom/aggregate"
	"github.com/multiprom/multiprom/compat/convert"
	"github.com/multiprom/multiprom/gather"
	"github.com/multiprom/multiprom/metric"
	"github.com/multiprom/multiprom/multiproc"
	"github.com/multiprom/multiprom/registry"
)

// merged is the view of a Set's directory, or of its heap.
type merged struct {
	once sync.Once
	view gather.Gatherer
	err  error
}

// gatherer returns the merged view of the Set.
func (m *made) gatherer() (gather.Gatherer, error) {
	m.once.Do(func() {
		switch dir := m.set.Dir(); {
		case dir == "":
			m.view = registry.Instruments(m.set)
		case m.set == multiproc.Default():
			m.view = registry.Default()
		default:
			m.view, m.err = aggregate.Open(dir, aggregate.Options{})
		}
	})
	return m.view, m.err
}

// snapshot is what the stores have at one gathering. Each is read once, when the
// first metric asks for it.
type snapshot struct {
	number uint64 // later ones have higher numbers
	// asked are the metrics that collectors have described. Others, which a collector
	// has not described or has made since, are read with all that the stores have.
	asked map[*instrument]int

	mu    sync.Mutex
	known map[*made]*storeSnapshot // of the metrics asked for
	all   map[*made]*storeSnapshot

	// written has the series of the stores as they are in the families that are
	// gathered. Nil if nobody asks.
	written *sync.Map // *dto.Metric
}

type storeSnapshot struct {
	once     sync.Once
	families map[string]*metric.Family
	err      error
}

// of returns the merged families of the store that a metric is in.
func (s *snapshot) of(in *instrument) *storeSnapshot {
	asked, stores := s.asked, &s.known
	if asked[in] == 0 {
		asked, stores = nil, &s.all
	}
	m := in.made
	s.mu.Lock()
	store := (*stores)[m]
	if store == nil {
		store = &storeSnapshot{}
		if *stores == nil {
			*stores = map[*made]*storeSnapshot{}
		}
		(*stores)[m] = store
	}
	s.mu.Unlock()
	store.once.Do(func() {
		m.reconcile(asked)
		var g gather.Gatherer
		if g, store.err = m.gatherer(); store.err != nil {
			return
		}
		if _, all := g.(*registry.DefaultRegistry); all {
			g = registry.Restrict(g, m.families(asked)...) // the collectors beside the directory cost time
		}
		store.take(g.Gather(context.Background()))
	})
	return store
}

// take keeps what a view has gathered.
func (s *storeSnapshot) take(families []*metric.Family, err error) {
	s.families = map[string]*metric.Family{}
	for _, f := range families {
		s.families[f.Name] = f
	}
	if len(families) == 0 {
		s.err = err
	}
}

// series returns the merged series of an instrument.
func (s *storeSnapshot) series(in *instrument) ([]*dto.Metric, error) {
	if s.err != nil {
		return nil, s.err
	}
	f := s.families[storedName(in.cells, in.family)]
	if f == nil {
		return nil, nil
	}
	own := *f
	own.Series = slices.DeleteFunc(slices.Clone(own.Series), func(row metric.Series) bool { return !in.has(row.Labels, own.Type) })
	if len(own.Series) == 0 {
		return nil, nil
	}
	out, err := convert.MetricFamilies([]*metric.Family{&own})
	if len(out) == 0 {
		return nil, err
	}
	return out[0].Metric, nil
}

// has reports whether a series with these labels is one of the instrument's: the
// family may have those of other metrics. A gauge may have the process label too.
func (in *instrument) has(labels metric.Labels, t metric.Type) bool {
	found := 0
	for _, l := range labels {
		value, constant := in.constant[l.Name]
		switch {
		case constant && value == l.Value, !constant && slices.Contains(in.variable, l.Name):
			found++
		case constant || t != metric.Gauge || !isProcessLabel(l.Name):
			return false
		}
	}
	return found == len(in.variable)+len(in.constant)
}

// isProcessLabel reports whether a gauge that has a series for each process has it as
// the label of these.
func isProcessLabel(name string) bool { return name == "pid" || name == "worker_pid" }

// mergedMetric is a series of the merged view as one of client_golang's metrics.
type mergedMetric struct {
	desc    *prometheus.Desc
	dto     *dto.Metric
	written *sync.Map // of the snapshot
}

func (m *mergedMetric) Desc() *prometheus.Desc { return m.desc }

func (m *mergedMetric) Write(out *dto.Metric) error {
	out.Label = slices.Clone(m.dto.Label) // a wrapper adds to it
	out.Counter, out.Gauge, out.Summary = m.dto.Counter, m.dto.Gauge, m.dto.Summary
	out.Untyped, out.Histogram, out.TimestampMs = m.dto.Untyped, m.dto.Histogram, m.dto.TimestampMs
	if m.written != nil {
		m.written.Store(out, nil)
	}
	return nil
}

// proxy is a collector as a registry has it: of metrics over a store it collects
// the merged series, in place of those of this process.
type proxy struct {
	prometheus.Collector
	registry *Registry
	known    []*instrument // that it describes
	found    sync.Map      // *place of further ones that it has collected
}

// Collect is that of the collector outside of the registry's own Gather.
func (p *proxy) Collect(ch chan<- prometheus.Metric) {
	snap := p.registry.now()
	if snap == nil {
		p.Collector.Collect(ch)
		return
	}
	own := map[*instrument][]child{}
	order := slices.Clone(p.known)
	metrics, done := make(chan prometheus.Metric), make(chan struct{})
	go func() {
		defer close(done)
		for m := range metrics {
			c, ours := m.(child)
			if !ours {
				ch <- m
				continue
			}
			in := c.common().in
			if own[in] == nil && !slices.Contains(order, in) {
				order = append(order, in)
				if _, before := p.found.LoadOrStore(in.place, nil); !before {
					in.registered(p.registry, 1)
				}
			}
			own[in] = append(own[in], c)
		}
	}()
	func() {
		defer func() { // also where it panics, which is the registry's to handle
			close(metrics)
			<-done
		}()
		p.Collector.Collect(metrics)
	}()
	for _, in := range order {
		if in.vec == nil && own[in] == nil {
			continue // the collector has another metric in its place by now
		}
		in.collect(snap, own[in], ch)
	}
}

// collect sends the merged series of an instrument. own are those of this process.
func (in *instrument) collect(snap *snapshot, own []child, ch chan<- prometheus.Metric) {
	if in.gone.Load() {
		for _, c := range own {
			ch <- c
		}
		return
	}
	series, err := snap.of(in).series(in)
	if err != nil {
		ch <- prometheus.NewInvalidMetric(in.desc, err)
		return
	}
	there := map[string]*dto.Metric{}
	for _, m := range series {
		there[labelKey(m.Label)] = m
	}
	for _, c := range own {
		m := there[labelKey(c.common().labels)]
		if m == nil && !in.made.set.Opened() {
			ch <- c // nothing of this process is in the store before its first update
		}
		if m != nil {
			c.amend(m)
		}
	}
	for _, m := range series {
		in.project(m)
		ch <- &mergedMetric{in.desc, m, snap.written}
	}
}

// project leaves of a histogram's buckets those that the metric has: other metrics of
// the family may have others, and the family has all.
func (in *instrument) project(m *dto.Metric) {
	if m.Histogram != nil {
		m.Histogram.Bucket = slices.DeleteFunc(m.Histogram.Bucket, func(b *dto.Bucket) bool {
			_, found := slices.BinarySearch(in.bounds, b.GetUpperBound())
			return !found && !isInf(b.GetUpperBound())
		})
	}
	normalize(m)
}

// normalize leaves out the bucket +Inf where client_golang does.
func normalize(m *dto.Metric) {
	if h := m.Histogram; h != nil {
		if n := len(h.Bucket); n > 0 && isInf(h.Bucket[n-1].GetUpperBound()) && h.Bucket[n-1].Exemplar == nil {
			h.Bucket = h.Bucket[:n-1]
		}
	}
}

// labelKey tells label sets apart. A label without a value is none.
func labelKey(labels []*dto.LabelPair) string {
	sorted := slices.SortedFunc(slices.Values(labels), func(a, b *dto.LabelPair) int { return cmp.Compare(a.GetName(), b.GetName()) })
	var b strings.Builder
	for _, l := range sorted {
		if l.GetValue() != "" {
			b.WriteString(l.GetName() + "\xff" + l.GetValue() + "\xff")
		}
	}
	return b.String()
}
