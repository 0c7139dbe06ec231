package main

import (
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"strings"
	"sync"

	vm "github.com/VictoriaMetrics/metrics"
	"github.com/prometheus/client_golang/prometheus"
	"go.opentelemetry.io/otel/attribute"
	otel "go.opentelemetry.io/otel/metric"

	"github.com/multiprom/multiprom/multiproc"
)

var labelNames = []string{"method", "path", "code", "zone", "tenant"}

// lookups are the same series on each side, and the label values to look them up by, in
// random order. The values are clones, because comparing a string with itself costs
// nothing.
type lookups struct {
	series                       int
	ours, golang, victoria, otel func(from, to int)
}

func newLookups(b *bench, set *multiproc.Set, labels, series int) *lookups {
	names := labelNames[:labels]
	name := fmt.Sprintf("lookup_%d_%d", labels, series)
	vec := multiproc.MustNew(set.NewCounterVec(multiproc.CounterOpts{Name: name, Help: "C."}, names))
	golangVec := prometheus.NewCounterVec(prometheus.CounterOpts{Name: name}, names)
	victoriaSet := vm.NewSet()
	otelCounter := must(meter().Int64Counter(name))
	all := make([][5]string, series)
	for i := range all {
		all[i] = [5]string{"GET", "/path/" + strconv.Itoa(i), "200", "eu-west-1a", "customer-17"}
		if labels == 1 {
			all[i][0] = all[i][1]
		}
		vec.WithLabelValues(all[i][:labels]...)
		golangVec.WithLabelValues(all[i][:labels]...)
	}
	rand.Shuffle(series, func(i, j int) { all[i], all[j] = all[j], all[i] })
	// A program has just read its label values, so they are in the cache. These are next
	// to each other in the order of use for the same reason.
	for i := range all {
		for l := range labels {
			all[i][l] = strings.Clone(all[i][l])
		}
	}

	l := &lookups{series: series}
	// The values are spelled out, as in a program, where the number of labels is known.
	switch labels {
	case 1:
		l.ours = func(from, to int) {
			for i := range all[from:to] {
				v := &all[from+i]
				vec.WithLabelValues(v[0]).Inc()
			}
		}
		l.golang = func(from, to int) {
			for i := range all[from:to] {
				v := &all[from+i]
				golangVec.WithLabelValues(v[0]).Inc()
			}
		}
	case 2:
		l.ours = func(from, to int) {
			for i := range all[from:to] {
				v := &all[from+i]
				vec.WithLabelValues(v[0], v[1]).Inc()
			}
		}
		l.golang = func(from, to int) {
			for i := range all[from:to] {
				v := &all[from+i]
				golangVec.WithLabelValues(v[0], v[1]).Inc()
			}
		}
	case 5:
		l.ours = func(from, to int) {
			for i := range all[from:to] {
				v := &all[from+i]
				vec.WithLabelValues(v[0], v[1], v[2], v[3], v[4]).Inc()
			}
		}
		l.golang = func(from, to int) {
			for i := range all[from:to] {
				v := &all[from+i]
				golangVec.WithLabelValues(v[0], v[1], v[2], v[3], v[4]).Inc()
			}
		}
	}
	// VictoriaMetrics/metrics has no label values; a program formats the name.
	l.victoria = func(from, to int) {
		for i := range all[from:to] {
			v := &all[from+i]
			full := name + "{" + names[0] + `="` + v[0] + `"`
			for i := 1; i < labels; i++ {
				full += "," + names[i] + `="` + v[i] + `"`
			}
			victoriaSet.GetOrCreateCounter(full + "}").Inc()
		}
	}
	l.otel = func(from, to int) {
		for i := range all[from:to] {
			v := &all[from+i]
			otelCounter.Add(background, 1, attributes(names, v[:labels]))
		}
	}
	return l
}

func (l *lookups) cycle(name string, run func(from, to int)) side {
	return cycle(name, l.series, run)
}

// both runs two goroutines, each with its own position in the list.
func (l *lookups) both(name string, run func(from, to int)) side {
	each := [2]side{l.cycle("", run), l.cycle("", run)}
	return bothOf(name, func(g, n int) { each[g].run(n) })
}

func lookupRows(b *bench) {
	set := sync.OnceValue(b.newSet)
	for _, labels := range []int{1, 2, 5} {
		for _, series := range []int{1, 10, 1_000, 100_000} {
			declare, goal := b.extra, 0.0
			if labels == 2 {
				goal = map[int]float64{1: 0.4, 1_000: 0.35, 100_000: 0.3}[series]
			}
			if goal != 0 {
				declare = b.goal
			}
			declare(fmt.Sprintf("WithLabelValues (%d labels) + Inc, %s series", labels, thousands(series)), func() row {
				l := newLookups(b, set(), labels, b.scaled(series))
				return row{noAllocs: true, ours: l.cycle("", l.ours), others: []other{
					{goal: goal, side: l.cycle(clientGolang, l.golang)},
					{side: l.cycle(victoriaMetrics, l.victoria)},
					{side: l.cycle(openTelemetry, l.otel)},
				}}
			})
		}
	}
}

// newSeriesRows create series, in a new family each time.
func newSeriesRows(b *bench) {
	const names = 20_000
	n := b.scaled(names)
	paths := make([]string, n)
	for i := range paths {
		paths[i] = "/path/" + strconv.Itoa(i)
	}
	b.goal(fmt.Sprintf("new series (2 labels), %s of a family", thousands(names)), func() row {
		var set *multiproc.Set
		var dir string
		end := func() {
			if set != nil {
				check(set.Close())
				check(os.RemoveAll(dir))
			}
		}
		b.onClose(end)
		var vec *multiproc.CounterVec
		var golang *prometheus.CounterVec
		var victoria *vm.Set
		var otelCounter otel.Int64Counter
		return row{
			once: true, parts: n, part: "series",
			ours: side{prepare: func() {
				end()
				dir = b.newDir()
				set = multiproc.NewSet(multiproc.SetOptions{Dir: dir, MaxSeries: 1 << 30})
				check(set.Open())
				vec = multiproc.MustNew(set.NewCounterVec(multiproc.CounterOpts{Name: "new", Help: "C."}, labelNames[:2]))
			}, run: func(int) {
				for _, path := range paths {
					vec.WithLabelValues("GET", path).Inc()
				}
			}},
			others: []other{
				{goal: 0.35, side: side{name: clientGolang, prepare: func() {
					golang = prometheus.NewCounterVec(prometheus.CounterOpts{Name: "new"}, labelNames[:2])
				}, run: func(int) {
					for _, path := range paths {
						golang.WithLabelValues("GET", path).Inc()
					}
				}}},
				{side: side{name: victoriaMetrics, prepare: func() { victoria = vm.NewSet() }, run: func(int) {
					for _, path := range paths {
						victoria.GetOrCreateCounter(`new{method="GET",path="` + path + `"}`).Inc()
					}
				}}},
				{side: side{name: openTelemetry, prepare: func() { otelCounter = must(meter().Int64Counter("new")) }, run: func(int) {
					for _, path := range paths {
						otelCounter.Add(background, 1, attributes(labelNames[:2], []string{"GET", path}))
					}
				}}},
			},
		}
	})
}

func attributes(names, values []string) otel.MeasurementOption {
	all := make([]attribute.KeyValue, len(values))
	for i, value := range values {
		all[i] = attribute.String(names[i], value)
	}
	return otel.WithAttributes(all...)
}

// thousands writes n with commas.
func thousands(n int) string {
	s := strconv.Itoa(n)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}
