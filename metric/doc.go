// Package metric holds the words that all other packages share: what a
// family, a series, a sample and a label are, which types and gauge modes
// exist, which names are valid and how a float is written.
//
// It does no I/O and knows neither files nor HTTP. A [Schema] is what an
// application declares; a [Family] is what a scrape yields:
//
//	f := metric.Family{
//		Name: "http_requests", Help: "HTTP requests served.", Type: metric.Counter,
//		Series: []metric.Series{{
//			Labels: metric.MakeLabels("code", "200"),
//			Value:  1027,
//		}},
//	}
//	for s := range f.Samples() {
//		fmt.Println(s.Name, s.Value) // http_requests_total 1027
//	}
//
// # Names
//
// A family's name is the one of OpenMetrics 1.0: a counter's lacks the
// suffix _total, an info's lacks _info. The names of its samples carry them.
//
// # Concurrency
//
// All types are plain values. A Family that a gatherer returned is shared:
// whoever receives it must not change it.
package metric
