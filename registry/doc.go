// Package registry runs collectors and combines everything that a scrape shows.
//
// Instruments (package multiproc) are not registered. They write to a store, and the
// merged directory is one [gather.Gatherer]. A value that is known only at the moment of a
// scrape comes from a [Collector] in a [Registry], which is another Gatherer. [Merge]
// combines Gatherers, and [Restrict] keeps only some samples of one. An exposition
// handler or a bridge takes any of them:
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
// Package registry/publish brings a worker's own collectors into the merged directory.
//
// # Names
//
// A family owns all names under which its samples can appear: a counter x and a gauge
// x_total clash. A [Describer] is checked when it is registered. With
// Options.AutoDescribe so is every other collector: Register collects from it once. A
// collector that describes nothing is checked at each scrape, and loses a name to a
// collector that described it.
//
// # Failures
//
// A collector that fails, panics or takes too long costs its own families and nothing
// else. So does a family that is not valid exposition. Gather returns all others, and
// joins a [CollectError] for each thing that is missing: the caller chooses whether to
// serve the rest. A collector that hangs is abandoned, and not started again until it
// has returned.
//
// # Concurrency
//
// All methods and functions are safe for concurrent use. The families that a Gatherer
// returns are shared and must not be changed.
//
// # Caveats
//
// A goroutine cannot be killed: a collector that ignores its context keeps its goroutine,
// and what that holds, for as long as it hangs. A Registry checks every series at every
// scrape. If a Gatherer has very many, as a merged directory does, use Merge, which
// trusts it to be sorted and valid.
package registry
