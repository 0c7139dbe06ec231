// Package gather has the interface between what has metrics and what shows them: one method
// that returns the families of one scrape. It imports nothing but the types of metrics, so
// that a package with a Gatherer of its own, or one that takes a Gatherer, needs nothing
// else of this module.
//
//	func push(ctx context.Context, g gather.Gatherer) error {
//		families, err := g.Gather(ctx)
//		…
//	}
//
// Gatherers are a registry.Registry, registry.Default, an aggregate.Aggregator, and views
// of them, such as those of registry.Merge and registry.Restrict.
package gather
