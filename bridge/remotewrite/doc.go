// Package remotewrite sends metrics to Prometheus, Mimir, Thanos, VictoriaMetrics or any other
// receiver of Prometheus' remote write protocol.
//
//	w, err := remotewrite.New(remotewrite.Options{
//		Options: delivery.Options{URL: "http://prometheus:9090/api/v1/write"},
//		Labels:  map[string]string{"job": "shop", "instance": "web-1"},
//	})
//	if err != nil {
//		return err
//	}
//	go w.Run(ctx, registry.Default()) // every 15 seconds until ctx ends
//
// [Writer.Push] sends once. Package delivery says how requests are repeated, and what a queue
// does. A Writer is a gather.Gatherer of its own metrics, multiprom_exit_sent_samples_total and
// others.
//
// # Protocol
//
// Version 2.0 has created times, metadata and exemplars beside each sample. Version 1.0 has
// exemplars; metadata is sent once a minute. A Writer begins with 2.0. It changes to 1.0 when
// the receiver answers 415, or 2xx without saying how many samples it has written: so does a
// receiver of 1.0 that has read nothing. The request is then sent again in 1.0.
//
// In 1.0 metric and label names have an underscore for each character that old receivers do
// not allow. Bucket bounds are written as in OpenMetrics, le="1.0", which is what Prometheus 3
// makes of every scrape.
//
// # Native histograms
//
// In version 2.0 the native buckets of a histogram x are a series x. One that has classic buckets
// too has x_bucket, x_sum and x_count beside it, one that has no others only x. In 1.0 it has what
// text has, the bucket +Inf, sum and count, unless Options.NativeHistograms is "always": a receiver
// of 1.0 that does not know native buckets, or has them disabled, may refuse the whole request.
//
// Of the exemplars of native buckets each is sent once, since Prometheus answers 400 to one that
// is older than the newest that it has. The first round of a Writer has only the newest.
//
// # Staleness
//
// A series that leaves the view gets a staleness marker, so that queries do not show its last
// value for five more minutes. So do all series when Run ends.
package remotewrite
