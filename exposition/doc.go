// Package exposition turns the families of a [gather.Gatherer] into what a Prometheus
// server scrapes: text, OpenMetrics and protobuf, content negotiation, an HTTP handler,
// and a separate server for programs that have none.
//
//	gatherer := gather.Func(func(context.Context) ([]*metric.Family, error) {
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
// Both answer a scrape with
//
//	# HELP jobs_total Jobs done.
//	# TYPE jobs_total counter
//	jobs_total{queue="mail"} 3
//
// or the same in another format that the client prefers. For anything that is not a
// scrape, such as a file or a push, use [Encode] or [Append].
//
// # Formats
//
// [Format] is a format and version with an escaping scheme. [Negotiate] chooses one
// from an Accept header. Families without series are left out of every format.
//
// The text formats know fewer types than package metric. The others are written as
// client_python and Prometheus' expfmt write them:
//
//   - a counter x is the counter x_total;
//   - an info x is the gauge x_info, always 1;
//   - a state set x is the gauge x with a label x that names the state;
//   - an unknown is untyped;
//   - a gauge histogram x is a histogram x with only buckets, and the gauges
//     x_gcount and x_gsum;
//   - the created times of x are a gauge x_created, if asked for;
//   - exemplars and units are left out.
//
// OpenMetrics has all types, created times as samples x_created, exemplars of counters
// and buckets, and a unit if the name ends in it. One forbidden value makes a whole
// exposition invalid, so it is left out:
//
//   - a negative or NaN counter, which an [OmissionError] reports;
//   - the sum of a histogram if it is negative or NaN or if a bound is negative, and with
//     it the count, which is also in the bucket +Inf; of a summary only the sum;
//   - a gauge histogram's sum that is NaN, or negative although no bound is;
//   - a quantile that is negative, or not between 0 and 1.
//
// OpenMetrics 2.0 is a draft, for clients that ask for it. A family has one name, with _total
// or _info, and a series one line, with its created time and all exemplars that have a time.
// Histograms and summaries have composite values, with native buckets too. Negative sums of
// histograms are allowed, and a sum that is not known is NaN. A summary without a sum is left
// out, and so is one whose sum is negative or NaN. More than 2^53 observations have no native
// buckets: servers would reject the scrape.
//
// Lenient writes all of these, as client_golang does, for receivers that do not check.
// OpenTelemetry's collector drops a histogram without a count. In OpenMetrics 2.0 it still
// leaves out NaN counters and quantiles that are not between 0 and 1, which no parser reads.
//
// Protobuf has the types and names of text, and also gauge histograms, created times,
// exemplars and units. Its numbers can be any floats. A family is held in memory as a
// whole, since its length comes first.
//
// In all formats, an exemplar whose labels have more than 128 characters is left out.
//
// # Names
//
// A name that is not [a-zA-Z_:][a-zA-Z0-9_:]* is written by the [Escaping] scheme that
// the client asks for. With allow-utf-8 it is written as it is, in quotes in text.
// Other schemes replace the characters that are not allowed. As in Prometheus' own
// function, dots also doubles the underscores of all other names; its clients for Go
// leave those alone.
//
// Escaping can make two names equal, and so two families or series. The first stays;
// the others are left out and reported by an [OmissionError].
//
// # Bounds
//
// The labels le and quantile are written as in Prometheus' own library (expfmt), since
// they are part of a series' identity. In OpenMetrics numbers are canonical, as its
// specification requires: le="1.0", le="1e+06". In text they are as short as possible:
// le="1", le="1e+06". Prometheus 3 treats both the same; for an older one le="1" and
// le="1.0" are two series. Values are read back as the same bits.
//
// # Concurrency
//
// All functions, handlers and methods of this package are safe for concurrent use.
// Families are only read, because a gatherer shares them.
//
// # Caveats
//
// The encoder relies on a gatherer to yield each family once, and each label set of a
// family once. The handler has no authentication: anybody who can reach it can read
// everything. A server of Serve can require client certificates. If a gatherer ignores
// its context, the handler stops waiting at its timeout, and the gatherer counts as a
// running scrape until it returns.
package exposition
