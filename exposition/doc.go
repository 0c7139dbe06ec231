// Package exposition turns the families of a [registry.Gatherer] into what a
// Prometheus server scrapes: text, OpenMetrics and protobuf, content
// negotiation, an HTTP handler and a server of its own for programs that have
// none.
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
// or the same in another format that the client prefers. What is not a scrape,
// such as a file or a push, uses [Encode] or [Append].
//
// # Formats
//
// [Format] is a format and version with an escaping scheme; [Negotiate] chooses
// one by an Accept header. A family without series is left out of all.
//
// The text formats know fewer types than package metric. The others become
// what client_python and Prometheus' expfmt make of them:
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
// OpenMetrics has all types, created times as samples x_created, exemplars of
// counters and buckets, and a unit where the name ends in it. One forbidden
// value makes a whole exposition invalid, so it is left out:
//
//   - a counter that is negative or NaN, which an [OmissionError] reports;
//   - a histogram's sum that is negative or NaN, or beside a negative bound, and
//     with it the count, which stands in the bucket +Inf; a summary's sum alone;
//   - a gauge histogram's sum that is NaN, or negative though no bound is;
//   - a quantile that is negative, or not between 0 and 1.
//
// With Lenient all of these are written, as client_golang does, for receivers that
// do not check: OpenTelemetry's collector drops a histogram without a count.
//
// Protobuf has the types and names of text, but gauge histograms, created
// times, exemplars and units too. Its numbers are any floats. A family is held
// in memory as a whole, since its length comes first.
//
// In all of them an exemplar is left out whose labels have more than 128
// characters.
//
// # Names
//
// A name outside of [a-zA-Z_:][a-zA-Z0-9_:]* is written by the [Escaping]
// scheme that the client asks for: as it is with allow-utf-8, in quotes where
// the format is text, or with other characters for those that are not allowed.
// As Prometheus' own function has it, dots doubles the underscores of all other
// names too; its clients for Go leave those alone.
//
// Escaping can make two names, and so two families or series, equal: the first
// stays, the others are left out and reported by an [OmissionError] beside the
// rest.
//
// # Bounds
//
// The labels le and quantile are written as Prometheus' own library (expfmt) does,
// since they are part of a series' identity. In OpenMetrics numbers are canonical,
// as its specification wants: le="1.0", le="1e+06". In text they are as short as may
// be: le="1", le="1e+06". Prometheus 3 makes both the same; to an older one le="1"
// and le="1.0" are two series. Values are read back as the same bits.
//
// # Concurrency
//
// All functions, handlers and methods of this package are safe for concurrent
// use. Families are only read, as a gatherer shares them.
//
// # Caveats
//
// The encoder trusts a gatherer to yield each family once and each label set
// of a family once. The handler has no authentication; whoever reaches
// it reads everything. A server of Serve can require client certificates. A gatherer that ignores its context is left
// behind at the handler's timeout and counts as a running scrape until it
// returns.
package exposition
