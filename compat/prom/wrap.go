package prom

import (
	"errors"
	"fmt"
	"maps"
	"sync"

	"github.com/prometheus/client_golang/prometheus"
)

// ErrWrapped is matched by the error of a Registerer of WrapRegistererWith or
// WrapRegistererWithPrefix for a metric that was made without its labels and
// prefix: the merged view, which sees no registration, would show another name
// than the registry.
var ErrWrapped = errors.New("metric was made without the labels and prefix of its registerer")

// WrapRegistererWith returns a Registerer that adds labels to what is registered
// with it. Metrics of this module must be made with them: by a promauto.With of
// the Registerer, or with ConstLabels and reg itself. Else registering them is an
// error that matches ErrWrapped. Collectors of others are wrapped as in
// client_golang.
func WrapRegistererWith(labels Labels, reg Registerer) Registerer { return wrap("", labels, reg) }

// WrapRegistererWithPrefix is WrapRegistererWith with a prefix of names.
func WrapRegistererWithPrefix(prefix string, reg Registerer) Registerer {
	return wrap(prefix, nil, reg)
}

// wrapped is a Registerer that knows what it adds.
type wrapped struct {
	prometheus.Registerer // client_golang's, for the collectors of others

	base   prometheus.Registerer // without any wrapping; may be nil
	prefix string
	labels prometheus.Labels
}

func wrap(prefix string, labels prometheus.Labels, reg prometheus.Registerer) prometheus.Registerer {
	w := &wrapped{base: reg, prefix: prefix, labels: labels}
	w.Registerer = prometheus.WrapRegistererWithPrefix(prefix, prometheus.WrapRegistererWith(labels, reg))
	if inner, ok := reg.(*wrapped); ok {
		// The outer one comes first, so that the inner prefix is in front.
		w.base, w.prefix, w.labels = inner.base, inner.prefix+prefix, joined(inner.labels, labels)
	}
	return w
}

// joined returns both, and panics where a label is in both, as client_golang
// refuses it.
func joined(a, b prometheus.Labels) prometheus.Labels {
	out := maps.Clone(a)
	if out == nil {
		out = prometheus.Labels{}
	}
	for name, value := range b {
		if _, twice := out[name]; twice {
			panic(fmt.Errorf("prom: attempted wrapping with already existing label name %q", name))
		}
		out[name] = value
	}
	return out
}

func (w *wrapped) Register(c prometheus.Collector) error {
	if w.base != nil && isOurs(c) {
		return fmt.Errorf("prom: register %s: %w: make it by promauto.With of this registerer, or with ConstLabels and the registerer below", description(c), ErrWrapped)
	}
	return w.Registerer.Register(c)
}

func (w *wrapped) MustRegister(cs ...prometheus.Collector) {
	for _, c := range cs {
		if err := w.Register(c); err != nil {
			panic(err)
		}
	}
}

func (w *wrapped) Unregister(c prometheus.Collector) bool {
	if isOurs(c) && w.base != nil {
		return w.base.Unregister(c)
	}
	return w.Registerer.Unregister(c)
}

// Within returns a Factory whose metrics have the labels and the prefix that r
// adds, and the Registerer to register them with. It is what promauto.With does.
func (f *Factory) Within(r Registerer) (*Factory, Registerer) {
	w, ok := r.(*wrapped)
	if !ok {
		return f, r
	}
	derived := *f
	derived.prefix, derived.labels = w.prefix+f.prefix, joined(w.labels, f.labels)
	return &derived, w.base
}

// qualify adds the prefix and the labels of the Factory to a definition.
func (f *Factory) qualify(namespace, subsystem, name *string, labels *prometheus.Labels) {
	if full := prometheus.BuildFQName(*namespace, *subsystem, *name); f.prefix != "" && full != "" {
		*namespace, *subsystem, *name = "", "", f.prefix+full
	}
	if len(f.labels) > 0 {
		*labels = joined(f.labels, *labels)
	}
}

// ours has the Desc of each metric over a store, for as long as the program runs,
// as its cells.
var ours sync.Map

// isOurs reports whether c is a metric over a store, or a view of a Vec of them.
func isOurs(c prometheus.Collector) bool {
	descs := make(chan *prometheus.Desc)
	go func() {
		c.Describe(descs)
		close(descs)
	}()
	found := false
	for d := range descs {
		_, made := ours.Load(d)
		found = found || made
	}
	return found
}
