package prom

import (
	"fmt"
	"maps"

	"github.com/prometheus/client_golang/prometheus"
)

// WrapRegistererWith returns a Registerer that adds labels to what is registered
// with it, as client_golang's. The registry shows metrics of this package with the
// labels, as all processes have them.
//
// In views of the directory that know no registry, such as `mpctl serve`, a metric
// has the labels if it was made with them: by a promauto.With of the Registerer.
func WrapRegistererWith(labels Labels, reg Registerer) Registerer {
	return wrap(reg, "", labels, func(r prometheus.Registerer) prometheus.Registerer {
		return prometheus.WrapRegistererWith(labels, r)
	})
}

// WrapRegistererWithPrefix is WrapRegistererWith with a prefix of names.
func WrapRegistererWithPrefix(prefix string, reg Registerer) Registerer {
	return wrap(reg, prefix, nil, func(r prometheus.Registerer) prometheus.Registerer {
		return prometheus.WrapRegistererWithPrefix(prefix, r)
	})
}

// wrapped is a Registerer that knows what it adds and to which registry.
type wrapped struct {
	theirs   prometheus.Registerer // client_golang's, over that of the registry
	registry *Registry
	prefix   string
	labels   prometheus.Labels
}

func wrap(reg prometheus.Registerer, prefix string, labels prometheus.Labels, theirs func(prometheus.Registerer) prometheus.Registerer) prometheus.Registerer {
	switch reg := reg.(type) {
	case *Registry:
		if reg != nil {
			return &wrapped{theirs(reg.Registry), reg, prefix, labels}
		}
	case *wrapped:
		// The outer one comes first, so that the inner prefix is in front.
		return &wrapped{theirs(reg.theirs), reg.registry, reg.prefix + prefix, joined(reg.labels, labels)}
	}
	return theirs(reg) // not one of this package, whose metrics it shows as this process has them
}

// joined returns both. The registry refuses a label that is given twice.
func joined(a, b prometheus.Labels) prometheus.Labels {
	out := prometheus.Labels{}
	maps.Copy(out, a)
	maps.Copy(out, b)
	return out
}

func (w *wrapped) Register(c prometheus.Collector) error { return w.registry.register(c, w.theirs) }

func (w *wrapped) MustRegister(cs ...prometheus.Collector) {
	for _, c := range cs {
		if err := w.Register(c); err != nil {
			panic(err)
		}
	}
}

func (w *wrapped) Unregister(c prometheus.Collector) bool { return w.registry.unregister(c, w.theirs) }

// Within returns a Factory whose metrics have the labels and the prefix that r
// adds, and the Registerer to register them with. It is what promauto.With does.
// Where metrics are client_golang's own, it returns f and r.
func (f *Factory) Within(r Registerer) (*Factory, Registerer) {
	w, ok := r.(*wrapped)
	if !ok || f.plain() {
		return f, r
	}
	derived := *f
	derived.prefix, derived.labels = w.prefix+f.prefix, joined(w.labels, f.labels)
	return &derived, w.registry
}

// qualify adds the prefix and the labels of the Factory to a definition. It panics
// where a label is given twice, as registering the metric would.
func (f *Factory) qualify(namespace, subsystem, name *string, labels *prometheus.Labels) {
	if full := prometheus.BuildFQName(*namespace, *subsystem, *name); f.prefix != "" && full != "" {
		*namespace, *subsystem, *name = "", "", f.prefix+full
	}
	if len(f.labels) == 0 {
		return
	}
	for name := range *labels {
		if _, twice := f.labels[name]; twice {
			panic(fmt.Errorf("prom: attempted wrapping with already existing label name %q", name))
		}
	}
	*labels = joined(f.labels, *labels)
}
