package losses

import (
	"log/slog"
	"runtime"
	"sync"
	"sync/atomic"
	"weak"

	"github.com/multiprom/multiprom/multiproc"
)

// Loss is something of client_golang's that a directory does not hold.
type Loss int

// What may be lost.
const (
	Quantiles Loss = iota // the objectives of a summary
	Native                // how a native histogram limits its buckets
	Renamed               // the name is another one in views of the directory
	Refused               // the metric is of this process only

	count
)

var names = [count]string{"quantiles", "native_histogram", "renamed", "refused"}

var texts = [count]string{
	"a summary's quantiles are not merged, its count and sum are; use a histogram",
	"a native histogram is not reset and its zero bucket does not widen, its buckets become wider instead",
	"a metric has another name in views of the directory",
	"a metric cannot be in the directory, it is of this process only",
}

// ofSet has the counts of one Set.
type ofSet struct {
	counts [count]atomic.Uint64
	told   [count]sync.Once
}

var (
	mu   sync.Mutex
	sets = map[weak.Pointer[multiproc.Set]]*ofSet{}
)

func of(set *multiproc.Set) *ofSet {
	key := weak.Make(set)
	mu.Lock()
	defer mu.Unlock()
	l := sets[key]
	if l == nil {
		l = new(ofSet)
		sets[key] = l
		runtime.AddCleanup(set, func(key weak.Pointer[multiproc.Set]) {
			mu.Lock()
			defer mu.Unlock()
			delete(sets, key)
		}, key)
	}
	return l
}

// Add counts a definition that loses something. what names it and may be empty;
// reason may be nil. The counter is declared with the first one: a program that loses
// nothing has none. The log is told of the first one of each kind, so that the caller
// holds no lock that a handler of the log may need.
func Add(set *multiproc.Set, which Loss, what string, reason error) {
	l := of(set)
	l.counts[which].Add(1)
	l.told[which].Do(func() {
		_, _ = set.NewCounterFunc(multiproc.CounterOpts{ // refused if the program has that name
			Name:        "multiprom_compat_losses_total",
			Help:        "Definitions of client_golang of which something is not in the directory, by what it is.",
			ConstLabels: multiproc.Labels{"loss": names[which]},
		}, func() float64 { return float64(l.counts[which].Load()) })
		args := []any{}
		if what != "" {
			args = append(args, "metric", what)
		}
		if reason != nil {
			args = append(args, "reason", reason)
		}
		slog.Warn("multiprom: "+texts[which]+"; multiprom_compat_losses_total counts further ones", args...)
	})
}
