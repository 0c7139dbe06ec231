// Package registry runs collectors and brings what a scrape needs together.
//
// Instruments (package multiproc) never register: they write to a store, and
// the merged directory is one [Gatherer]. What has no instrument, because it
// is known only at the moment of a scrape, is a [Collector] in a [Registry],
// which is another Gatherer. [Merge] makes one of both, [Restrict] a view with
// only some samples, and an exposition handler or a bridge takes any of them:
//
//	reg := registry.New(registry.Options{})
//	reg.MustRegister(
//		collectors.NewProcess(collectors.ProcessOptions{}),
//		registry.CollectorFunc(func(ctx context.Context) ([]*metric.Family, error) {
//			n, err := queue.Len(ctx)
//			if err != nil {
//				return nil, err
//			}
//			return []*metric.Family{{
//				Name: "queue_length", Help: "Jobs that wait.", Type: metric.Gauge,
//				Series: []metric.Series{{Value: float64(n)}},
//			}}, nil
//		}),
//	)
//	families, err := reg.Gather(ctx)
//
// A worker's own collectors get into the merged directory by package
// registry/publish.
//
// # Names
//
// All names under which a family can appear belong to it: counter x and gauge
// x_total clash. A [Describer] is checked when it registers; so is any other
// collector with Options.AutoDescribe, which collects from it once. One that
// describes nothing is checked at each scrape only, and loses a name to one
// that described it.
//
// # Failures
//
// A collector that fails, panics or takes too long costs its own families and
// nothing else, and so does a family that is not valid exposition. Gather
// returns all others and, joined, a [CollectError] for each thing missing: it
// is the caller's choice to serve what there is. A collector that hangs is
// left behind and not started again until it returns.
//
// # Concurrency
//
// All methods and functions are safe for concurrent use. Families that come
// out of a Gatherer are shared and must not be changed.
//
// # Caveats
//
// A goroutine cannot be killed: a collector that ignores its context keeps its
// goroutine, and what it holds, for as long as it hangs. A Registry checks
// every series of every scrape; a Gatherer with very many, such as a merged
// directory, belongs into a Merge, which trusts it to be sorted and valid.
package registry
