// Package exposition turns the families of a [registry.Gatherer] into what a
// Prometheus server scrapes: text formats, content negotiation, an HTTP
// handler and a server of its own for programs that have none.
//
//	gatherer := registry.GathererFunc(func(context.Context) ([]*metric.Family, error) {
//		return []*metric.Family{{
//			Name: "jobs", Help: "Jobs done.", Type: metric.Counter,
//			Series: []metric.Series{{Labels: metric.MakeLabels("queue", "mail"), Value: 3}},
//		}}, nil
//	})
//
//	// In a program that serves HTTP already:
//	http.Handle("/metrics", exposition.Handler(gatherer))
//
//	// In one that does not:
//	server, err := exposition.Serve(exposition.ServerOptions{Gatherer: gatherer})
//	if err != nil {
//		return err
//	}
//	defer server.Close()
//
// Either answers a scrape with
//
//	# HELP jobs_total Jobs done.
//	# TYPE jobs_total counter
//	jobs_total{queue="mail"} 3
//
// What is not a scrape, such as a file or a push, uses [Encode] or [Append].
//
// # Formats
//
// [Format] is a text version with an escaping scheme; [Negotiate] chooses one
// by an Accept header. The text formats know fewer types than package metric.
// The others become what client_python and Prometheus' expfmt make of them:
//
//   - a counter x is the counter x_total;
//   - an info x is the gauge x_info, always 1;
//   - a state set x is the gauge x with a label x that names the state;
//   - an unknown is untyped;
//   - a gauge histogram x is a histogram x that has nothing but buckets, with
//     the gauges x_gcount and x_gsum beside it;
//   - the created times of x are a gauge x_created, where asked for;
//   - exemplars and units are left out.
//
// A family without series is left out as well.
//
// # Names
//
// Names outside of [a-zA-Z_:][a-zA-Z0-9_:]* are written as they are, in
// quotes, where the client accepts text 1.0.0 with escaping=allow-utf-8.
// Everybody else gets an underscore for each character that is not allowed.
// That can make two names, and so two families or series, equal: the first
// stays, the others are left out and reported by a [CollisionError] beside
// the rest.
//
// # Concurrency
//
// All functions, handlers and methods of this package are safe for concurrent
// use. Families are only read, as a gatherer shares them.
//
// # Caveats
//
// The encoder trusts a gatherer to yield each family once and each label set
// of a family once. The handler has neither authentication nor TLS; whoever
// reaches it reads everything. A gatherer that ignores its context is left
// behind at the handler's timeout and counts as a running scrape until it
// returns.
package exposition
