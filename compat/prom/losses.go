package prom

import (
	"log/slog"
	"sync"
	"sync/atomic"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/multiprom/multiprom/multiproc"
)

// loss is something of client_golang's that a directory cannot hold.
type loss int

const (
	lossQuantiles loss = iota // the objectives of a summary
	lossNative                // native buckets of a histogram
	lossRenamed               // the name is another one in views of the directory
	lossRefused               // the metric is of this process only
	lossEarly                 // it was made before the directory was known

	numLosses
)

var lossNames = [numLosses]string{"quantiles", "native_histogram", "renamed", "refused", "early"}

var lossTexts = [numLosses]string{
	"a summary's quantiles are not merged, it has count and sum; use a histogram",
	"native histograms are not merged, classic buckets are",
	"a metric has another name in views of the directory",
	"a metric cannot be in the directory, it is of this process only",
	"metrics were made before PROMETHEUS_MULTIPROC_DIR was set, they are of this process only: set it before the program starts",
}

// losses counts, by kind, the definitions that lose something, and tells the log of
// the first one of each kind.
type losses struct {
	counts [numLosses]atomic.Uint64
	told   [numLosses]sync.Once
}

// add counts a definition. The counter is declared with the first one: a program
// that loses nothing has none.
func (l *losses) add(set *multiproc.Set, which loss, desc *prometheus.Desc, err error) {
	l.counts[which].Add(1)
	l.told[which].Do(func() {
		_, _ = set.NewCounterFunc(multiproc.CounterOpts{ // another Factory of the Set may have it
			Name:        "multiprom_compat_losses_total",
			Help:        "Definitions of client_golang of which something is not in the directory, by what it is.",
			ConstLabels: multiproc.Labels{"loss": lossNames[which]},
		}, func() float64 { return float64(l.counts[which].Load()) })
		args := []any{}
		if desc != nil {
			args = append(args, "metric", desc.String())
		}
		if err != nil {
			args = append(args, "reason", err)
		}
		slog.Warn("prom: "+lossTexts[which]+"; multiprom_compat_losses_total counts further ones", args...)
	})
}
