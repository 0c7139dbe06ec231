// Package views is how our packages hand each other families that need not be built again
// for each scrape: series that are decoded on demand, with a note of which have changed.
// Users do not see it. They gather plain families.
//
// A [Family] is a metric.Family and what a view adds. [Show] shows the families of any
// Gatherer; one that is a [Viewer] shows its own without a copy:
//
//	views.Show(ctx, gatherer, func(families []views.Family, err error) {
//		…
//	})
//
// A public type has no method View, since users would see it. Its package provides the
// Viewer of the type with [Provide] instead.
package views
