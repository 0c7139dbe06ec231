package multiproc

import (
	"slices"

	"github.com/multiprom/multiprom/internal/openmetrics"
)

// Remove removes an instrument, such as a *Counter or a *GaugeVec, from the Set, and
// reports whether the Set had it. Its series are removed as by DeleteLabelValues, and its
// name is free for another schema. The instrument can still be used, but what it counts
// goes nowhere.
func (s *Set) Remove(instrument any) bool {
	s.mu.Lock()
	in := s.find(instrument)
	if in == nil {
		s.mu.Unlock()
		return false
	}
	s.declared = slices.DeleteFunc(s.declared, func(o *declaration) bool { return o == in })
	s.functions = slices.DeleteFunc(s.functions, func(f function) bool { return any(f) == instrument })
	delete(s.instruments, in.key)
	for _, n := range openmetrics.SampleNames(in.schema.Name, in.schema.Type) {
		if s.names[n] == in {
			s.handOver(n, in.schema.Name)
		}
	}
	if in.family != nil {
		s.removed[in.key] = &declaration{schema: in.schema, family: in.family}
	}
	in.family = nil // series that are made from now on go nowhere
	s.mu.Unlock()
	in.public.(removable).removeAll()
	return true
}

// declaration is an instrument, for functions with a parameter of that name.
type declaration = instrument

// find returns the Set's record of an instrument.
func (s *Set) find(public any) *instrument {
	i := slices.IndexFunc(s.declared, func(in *declaration) bool { return in.public == public })
	if i < 0 {
		return nil
	}
	return s.declared[i]
}

// handOver gives the name of a removed instrument to another one of its family, if there
// is one.
func (s *Set) handOver(name, family string) {
	delete(s.names, name)
	for _, other := range s.declared {
		if other.schema.Name == family {
			s.names[name] = other
			return
		}
	}
}

// Reset sets all instruments back, as if the process had just started: a Vec loses its
// series, and other instruments are 0 and have a new created time. It is for tests. What
// other processes have counted stays.
func (s *Set) Reset() {
	s.mu.Lock()
	declared := slices.Clone(s.declared)
	s.mu.Unlock()
	for _, in := range declared {
		in.public.(removable).resetAll()
	}
}

// removable is what every kind of instrument can do.
type removable interface {
	// removeAll takes all series out of the merged view.
	removeAll()
	// resetAll sets all series back.
	resetAll()
}

func (c *Counter) removeAll()   { c.remove() }
func (g *Gauge) removeAll()     { g.remove() }
func (g *GaugeFunc) removeAll() { g.gauge.remove() }
func (h *Histogram) removeAll() { h.remove() }
func (m *Summary) removeAll()   { m.remove() }
func (i *Info) removeAll()      { i.remove() }
func (e *Enum) removeAll()      { e.remove() }

func (m *metricVec[T]) removeAll() { m.Reset() }

func (c *Counter) resetAll()   { c.of().restart() }
func (g *Gauge) resetAll()     { g.s.restart() }
func (g *GaugeFunc) resetAll() {}
func (m *Summary) resetAll()   { m.s.restart() }
func (i *Info) resetAll()      { _ = i.Set(nil) }
func (e *Enum) resetAll()      { e.s.restart() }

func (h *Histogram) resetAll() {
	h.s.restart()
	h.renewed()
}

func (m *metricVec[T]) resetAll() { m.Reset() }
