// Package publish writes a worker's own collectors into its store, so that they
// are in the merged view. What the Go runtime knows of a process can be read
// inside that process only: no scrape that another one answers can have it.
//
// One call in each worker, where it would call multiproc.Open:
//
//	p, err := publish.Start(publish.Options{})
//	if err != nil {
//		return err
//	}
//	defer p.Close()
//
// From then on /metrics has go_goroutines{pid="4711"} of every living worker.
// With Options.Source it is any registry.Gatherer in place of the Go runtime:
//
//	reg := registry.New(registry.Options{})
//	reg.MustRegister(collectors.NewGoRuntime(), pool, cache)
//	p, err := publish.Start(publish.Options{Source: reg})
//
// A [Publisher] publishes at once, at the period, when asked by
// [Publisher.Publish], and once more at [Publisher.Close]. Its values must be
// those of this process alone; a collector that is published is not to be
// registered with whoever serves /metrics as well.
//
// # What becomes of each type
//
//	gauge, unknown   a gauge of the mode that Options.Mode says; PerProcess, the
//	                 default: a series per living process
//	counter          summed over all processes, dead ones included, like every
//	                 counter; there is none per process
//	histogram        summed, likewise; a series may change its bounds
//	summary          count and sum, summed, likewise
//	info             the label sets of the living processes
//	state set        per process, or the most recent
//
// Exemplars of counters and buckets are published too, with the time that they
// have or else that of the publication that saw them first.
//
// The store has no place for quantiles, created times (a series
// begins with its first publication), timestamps (but as the time of a
// mostrecent value), native histograms, gauge histograms, histograms without a
// finite bound, and state sets with more or less than one state on. A histogram
// or summary whose sum is not known gets NaN for it. What cannot be published at
// all is in the error of Publish; all else is published.
//
// # Counters
//
// A counter of the source is stored as a whole, not added to, so that
// publishing twice counts once. Where it begins again (its value falls, or its
// created time is another), what it had before is kept below it. The merged
// counter therefore neither falls nor counts twice, also when the process dies
// and is compacted.
//
// # What is missing
//
// A series that the source no longer gives is removed, as by
// DeleteLabelValues. Where it comes back, a counter goes on from where it was.
//
// A collector that fails, panics or hangs costs its own series. In such a
// publication nobody can tell what is missing for good: gauges that were not
// given leave, and counters, histograms and summaries stay as they were until
// a publication without an error. A source that ignores its context is left
// behind after twice Options.Timeout, and not asked again before it returns.
//
// # What a kill loses
//
// The store has what the last publication wrote, and keeps it: a process that
// is killed, or ends by os.Exit without Close, loses what its collectors
// counted since then, at most a period plus the time of gathering. Updates of
// instruments are never lost.
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
// All methods are safe for concurrent use. Every word of the store is written
// by one atomic store, so that readers merge at any time; they may see one
// family of a publication and not yet the next.
//
// # Caveats
//
// In a Set without a directory, the default source publishes nothing, since
// registry.Default has the Go runtime metrics of its own process there. Two
// publishers of one Set, or a publisher and an instrument, cannot have one
// family: the later publisher, or the publisher, leaves it out with an error that
// matches multiproc.ErrConflict. A closed publisher's families cannot be
// published by another one, for its values stay.
package publish
