// Package publish writes what a prometheus.Gatherer of this process gathers into
// its store at a period, so that metrics of code that cannot be changed are in
// the merged view: of a library that makes its own, of client_golang's Go
// collector, of a program whose imports stay.
//
// One call in each worker:
//
//	p, err := publish.Start(prometheus.DefaultGatherer, publish.Options{})
//	if err != nil {
//		return err
//	}
//	defer p.Close()
//
// It is package registry/publish with client_golang's metrics as the source:
// there is written what becomes of each type, of counters that begin again, of
// series that are not given any more, and of failures.
//
// # Which families
//
// All that the Gatherer has, but those that the merged view has already:
//
//   - Families of which the Set has an instrument, such as all of compat/prom. So
//     the default registry may hold both.
//   - Those that Options.Mode leaves out: see [ByName].
//
// # How the processes merge
//
// Counters, histograms and summaries are sums over all processes, dead ones
// included. Gauges have the mode that Options.Mode says; [ByName], the default,
// is the rule of compat/prom: amounts are added up over the living processes
// (livesum), a start time is the earliest, an info 1.
//
// # What a kill loses
//
// The store has what the last publication wrote, and keeps it whatever happens
// to the process. SIGKILL, a panic or os.Exit without Close lose what was counted
// since then: at most Options.Period and the time that gathering took. Close
// publishes once more. Where that is too much, replace the import: an update of
// compat/prom is in the file when it returns.
//
// # How old the values are
//
// multiprom_publish_timestamp_seconds{publisher,pid} is when each living worker
// has published last, multiprom_publish_failures_total{publisher} counts
// publications in which something was missing. Options.Name is the label
// publisher, by default client_golang.
//
// # Without a directory
//
// The heap has what was published, and registry.Default shows it beside its own
// Go runtime metrics; the Gatherer's are left out there.
//
// # Caveats
//
// A Gatherer that is a merged view, as prom.DefaultGatherer in a directory, is
// refused by every Publish (registry/publish.ErrMergedView): it would count all
// processes once more at every period. What is the same in every process, such as
// the length of a queue in a database, is a sum of all of them here: register it
// with who serves, by convert.FromCollector, or give it another mode.
//
// Quantiles and timestamps are left out. Native buckets are merged, as those of
// multiproc.Histogram are; a change of the zero threshold is refused until the process
// restarts, so leave NativeHistogramMaxZeroThreshold at 0. An untyped family merges by its mode and
// is of type unknown, untyped in the text format.
package publish
