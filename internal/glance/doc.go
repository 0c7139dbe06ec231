// Package glance is what an operator sees of a directory at a glance: its workers, its
// families, how fast they change, and what is wrong. `mpctl top` and the status page show it.
//
//	w := glance.New(aggregator, glance.Options{})
//	picture, err := w.Look(ctx)
//	time.Sleep(2 * time.Second)
//	picture, err = w.Look(ctx) // now with rates
//
// The first look passes over all series. A later one costs a scrape of the merged metrics, and
// a little for each worker: what has not changed is neither added up nor counted again. Rates are
// averages over the time since the look before.
//
// The share of a worker is its part of what the workers have counted since then, averaged over
// all families that have grown. So a counter of bytes weighs as much as one of requests. A
// worker is silent if none of its values has changed for some time, while those of another
// have.
package glance
