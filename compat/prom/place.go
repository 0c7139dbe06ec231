package prom

import (
	"errors"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"unicode/utf8"
	"weak"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/multiprom/multiprom/metric"
	"github.com/multiprom/multiprom/multiproc"
)

// place is where a metric stands in the store. client_golang lets a program have
// several metrics of one name and equal labels, in several registries; in a store
// the second one's family is x_registry_2, and so on. A registry shows each under
// the name that it was made with.
//
// The number is the lowest that is free when the metric is made. Processes that make
// the same metrics in the same order give them the same numbers.
type place struct {
	made   *made
	key    string // of made.places
	number int    // from 1
	family string // name in the merged view
	cells  any    // the instrument of package multiproc

	// Guarded by made.mu.
	inDefault int  // how often it is registered with the default registry
	elsewhere int  // and with others
	was       bool // it has been registered

	gone atomic.Bool // it is not in the store any more; stored under made.mu
}

// instrument is a metric over the store: what its Vec and its children share. It
// is reachable as long as one of them is.
type instrument struct {
	*place
	desc     *prometheus.Desc
	constant prometheus.Labels
	variable []string
	bounds   []float64 // of a histogram
	vec      *vec      // nil for a metric without variable labels
}

// free reports whether another metric may take the place: nobody shows the one
// that has it.
func (p *place) free() bool {
	return p == nil || p.gone.Load() || p.was && p.inDefault+p.elsewhere == 0
}

// maxPlaces bounds how many metrics of one name a process has in the store.
const maxPlaces = 10_000

var errPlaces = fmt.Errorf("more than %d metrics of this name and these labels", maxPlaces)

// settle finds a place for a metric and declares it there. The lock is held.
func (f *Factory) settle(d definition) (*instrument, error) {
	sorted := slices.Sorted(slices.Values(d.names))
	key := strings.Join(append([]string{d.name, metric.LabelsFromMap(d.labels).String()}, sorted...), "\xff")
	taken := f.places[key]
	for i := range maxPlaces {
		if i == len(taken) {
			taken = append(taken, nil)
			f.places[key] = taken
		}
		if !taken[i].free() {
			continue
		}
		f.withdraw(taken[i])
		taken[i] = nil
		name := d.name
		if i > 0 {
			name = numbered(d.name, i+1)
		}
		cells, err := d.declare(name)
		switch {
		case errors.Is(err, multiproc.ErrConflict):
			continue // another metric of the name has another type, help or mode
		case err != nil:
			return nil, err
		}
		p := &place{made: f.made, key: key, number: i + 1, family: name, cells: cells}
		taken[i] = p
		in := &instrument{p, d.desc, d.labels, d.names, d.bounds, nil}
		remember(in)
		if i > 0 {
			runtime.AddCleanup(in, (*place).release, p)
		}
		return in, nil
	}
	return nil, errPlaces
}

// numbered is the name of the family of a further metric.
func numbered(name string, number int) string {
	base, counter := strings.CutSuffix(name, "_total")
	out := fmt.Sprintf("%s_registry_%d", base, number)
	if counter {
		out += "_total"
	}
	return out
}

// withdraw takes a metric out of the store. The lock is held.
func (m *made) withdraw(p *place) {
	if p == nil || p.gone.Swap(true) {
		return
	}
	m.set.Remove(p.cells)
}

// release withdraws a metric that nobody can reach any more.
func (p *place) release() {
	p.made.mu.Lock()
	defer p.made.mu.Unlock()
	p.made.withdraw(p)
}

// registered notes that a registry has the metric, or has it no more.
func (p *place) registered(r *Registry, n int) {
	p.made.mu.Lock()
	defer p.made.mu.Unlock()
	if r == defaultRegistry {
		p.inDefault += n
	} else {
		p.elsewhere += n
	}
	p.was = true
}

// refused withdraws a metric that a registry has refused since it has one of the
// same name: it is dropped, or used without ever being shown.
func (in *instrument) refused() {
	in.made.mu.Lock()
	defer in.made.mu.Unlock()
	if !in.was {
		in.made.withdraw(in.place)
	}
}

// private are the families that are not shown by the default registry: of metrics
// that are registered with others only, or that were and are no more.
func (m *made) private() map[string]bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	out, public := map[string]bool{}, map[string]bool{}
	for _, taken := range m.places {
		for _, p := range taken {
			switch {
			case p == nil || p.gone.Load():
			case p.was && p.inDefault == 0:
				out[storedName(p.cells, p.family)] = true
			default:
				public[storedName(p.cells, p.family)] = true
			}
		}
	}
	for name := range public {
		delete(out, name)
	}
	return out
}

// renamed are the families, as client_golang would name them, of metrics that the
// default registry has: it shows them under the names that it knows.
func (m *made) renamed() map[string]bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	out := map[string]bool{}
	for _, taken := range m.places {
		for _, p := range taken {
			if p != nil && !p.gone.Load() && p.inDefault > 0 {
				name := storedName(p.cells, p.family)
				if isCounter(p.cells) {
					name += "_total"
				}
				out[name] = true
			}
		}
	}
	return out
}

// families are the names that the store has for these metrics, or for all if asked is
// nil.
func (m *made) families(asked map[*instrument]int) (out []string) {
	if asked != nil {
		for in := range asked {
			if in.made == m {
				out = append(out, storedName(in.cells, in.family))
			}
		}
		return out
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, taken := range m.places {
		for _, p := range taken {
			if p != nil && !p.gone.Load() {
				out = append(out, storedName(p.cells, p.family))
			}
		}
	}
	return out
}

// storedName is the name of a family in the merged view.
func storedName(cells any, family string) string {
	if isCounter(cells) {
		return strings.TrimSuffix(family, "_total")
	}
	return family
}

func isCounter(cells any) bool {
	switch cells.(type) {
	case *multiproc.Counter, *multiproc.CounterVec, *multiproc.CounterFunc:
		return true
	}
	return false
}

// known has the instruments of living metrics, by their Desc.
var known sync.Map // *prometheus.Desc -> weak.Pointer[instrument]

func remember(in *instrument) {
	known.Store(in.desc, weak.Make(in))
	runtime.AddCleanup(in, func(d *prometheus.Desc) { known.Delete(d) }, in.desc)
}

// instrumentOf returns the instrument that a Desc is of, or nil.
func instrumentOf(d *prometheus.Desc) *instrument {
	w, ok := known.Load(d)
	if !ok {
		return nil
	}
	return w.(weak.Pointer[instrument]).Value()
}

// cut returns the first n bytes of s, or fewer so that no character is cut in two.
func cut(s string, n int) string {
	if len(s) <= n {
		return s
	}
	for n > 0 && !utf8.RuneStart(s[n]) {
		n--
	}
	return s[:n]
}
