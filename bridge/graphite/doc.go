// Package graphite sends metrics to Graphite in its plaintext protocol, over TCP
// or UDP.
//
//	b, err := graphite.New(graphite.Options{Address: "graphite:2003", Prefix: "app"})
//	if err != nil {
//		return err
//	}
//	go b.Run(ctx, registry.Default()) // every minute until ctx ends
//
// [Bridge.Push] sends once.
//
// # Lines
//
// Each sample is a line, with the time in whole seconds:
//
//	app.http_requests_total.code.200.method.GET 7 1700000000
//	app.http_requests_total;code=200;method=GET 7 1700000000
//
// the second with Options.Tags. Labels stand in the order of their names. Every
// character outside of [A-Za-z0-9_-] becomes _, in the prefix but for its dots. A
// NaN, for which Graphite has no place, is left out.
package graphite
