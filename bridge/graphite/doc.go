// Package graphite sends metrics to Graphite in its plaintext protocol, over TCP or
// UDP.
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
// Each sample is a line, with the time in whole seconds. The second form is with
// Options.Tags:
//
//	app.http_requests_total.code.200.method.GET 7 1700000000
//	app.http_requests_total;code=200;method=GET 7 1700000000
//
// Labels are sorted by name. Every character outside [A-Za-z0-9_-] becomes _, except
// dots in the prefix. NaN is left out, because Graphite cannot store it.
package graphite
