// Package publish writes what a worker's own collectors say into its store, so that it is
// in the merged view. The Go runtime's numbers, for example, can be read only inside the
// process: a scrape that another process answers cannot have them.
//
// Each worker makes one call, in place of multiproc.Open:
//
//	p, err := publish.Start(publish.Options{})
//	if err != nil {
//		return err
//	}
//	defer p.Close()
//
// From then on /metrics has go_goroutines{pid="4711"} of every live worker.
// Options.Source publishes any gather.Gatherer in place of the Go runtime:
//
//	reg := registry.New(registry.Options{})
//	reg.MustRegister(collectors.NewGoRuntime(), pool, cache)
//	p, err := publish.Start(publish.Options{Source: reg})
//
// A [Publisher] publishes at once, at each period, at [Publisher.Publish], and once more at
// [Publisher.Close]. Its values must be those of this process alone. Do not also register
// a published collector with the registry that serves /metrics.
//
// # How each type is published
//
//	gauge, unknown   a gauge whose mode Options.Mode chooses; by default PerProcess:
//	                 a series for each live process
//	counter          summed over all processes, dead ones included, like every counter
//	histogram        summed too, classic and native buckets; a series must keep its bounds
//	                 and its zero threshold
//	summary          count and sum, summed too
//	info             the label sets of the live processes
//	state set        for each process, or the most recent
//
// Exemplars of counters and buckets are published too, with their time or, if they have
// none, with that of the first publication that saw them.
//
// The store cannot hold quantiles, gauge histograms, or state sets in which not exactly one
// state is on. Created times are
// those of the first publication, and timestamps are used only in a mostrecent mode. If
// the sum of a histogram or summary is not known, it becomes NaN. The error of Publish
// says what could not be published; everything else is.
//
// # Counters
//
// The whole value of a counter is stored, not a difference, so publishing it twice counts
// it once. If the counter begins again, because its value falls or its created time
// changes, what it had before is added to all later values. So the merged counter never
// falls and never counts twice, also if the process dies and is compacted.
//
// # Series that go, and collectors that fail
//
// A series that the source does not yield any more is removed, as by DeleteLabelValues. If
// it comes back, a counter continues from its last value.
//
// A collector that fails, panics or hangs costs its own series. Such a publication does
// not show which series are gone for good. So gauges that are missing leave, and counters,
// histograms and summaries stay as they were until a publication without an error. A
// source that ignores its context is abandoned after twice Options.Timeout, and not asked
// again before it has returned.
//
// # What a kill loses
//
// The store keeps what the last publication wrote. A process that is killed, or ends by
// os.Exit without Close, loses what its collectors have counted since: at most a period and
// the time of gathering. Updates of instruments are never lost.
//
// # Metrics of the publisher
//
//	multiprom_publish_timestamp_seconds{publisher,pid}  gauge    last publication in
//	                                                             which the source gave
//	                                                             something; 0 for none
//	multiprom_publish_failures_total{publisher}         counter  publications with an error
//
// time() - multiprom_publish_timestamp_seconds is how old the values are.
//
// # Concurrency
//
// All methods are safe for concurrent use. Every word is written by one atomic store, and
// readers may merge at any time. They may see one family of a publication and not yet the
// next.
//
// # Caveats
//
// In a Set without a directory, the default source publishes nothing, because
// registry.Default has the Go runtime metrics of its own process there.
//
// Only one publisher of a Set can have a family. A later one omits it, and so does a
// publisher if an instrument has the family. The error matches multiproc.ErrConflict. The
// families of a closed publisher stay its own, since its values stay.
package publish
