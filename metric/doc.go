// Package metric has the types that all other packages share: family, series, sample,
// label, metric type and gauge mode. It also has what their options share: [NoLimit] and
// [KeepNone].
//
// It does no I/O and knows neither files nor HTTP. A [Schema] is what an application
// declares, and a [Family] is what a scrape returns:
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
// A family's name is that of OpenMetrics 1.0, without the suffixes _total of a counter
// and _info of an info. The names of its samples have them.
//
// What is not valid, such as a name that is empty or a label that is there twice, is an error
// that matches [ErrInvalid].
//
// # Concurrency
//
// No type has a lock. A Family that a Gatherer has returned is shared: do not change it.
package metric
