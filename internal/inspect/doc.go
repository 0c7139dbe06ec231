// Package inspect has what `mpctl` shows of a directory beside its metrics: which files are
// left out and why, who has which metric, and which metrics are defined in two ways. Users
// see it in mpctl, in the log and in the multiprom_ metrics.
//
// Package aggregate sets [Files] and [Families]. Their argument has type any because that
// package imports this one.
//
//	conflicts, err := inspect.Conflicts(ctx, aggregator)
package inspect
