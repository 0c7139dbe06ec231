// Package textparse reads what an exposition says back into families: the
// Prometheus text format in its versions 0.0.4 and 1.0.0, and OpenMetrics
// 1.0.0, strictly.
//
//	response, err := http.Get("http://localhost:9090/metrics")
//	if err != nil {
//		return err
//	}
//	defer response.Body.Close()
//
//	for family, err := range textparse.Families(response.Body, textparse.Options{}) {
//		if err != nil {
//			return err // textparse: line 3, column 7: "x" is not a number
//		}
//		for sample := range family.Samples() {
//			fmt.Println(sample.Name, sample.Labels, sample.Value)
//		}
//	}
//
// [Families] hands out a family as soon as its last line was read and keeps
// nothing of it; [Parse] returns all of them, or none. Series are sorted by
// their labels, families come as they stand in the input, those that have no
// series included.
//
// # Text
//
// The text format is read as leniently as its description allows: any number
// of blanks and tabs between tokens, empty lines, comments, a comma after the
// last label, labels, series and buckets in any order, samples without HELP
// and TYPE. Quoted names of version 1.0.0 are read in both. A backslash before
// a character that needs none stands for itself, as it does for a Prometheus
// server.
//
// Where the description says must, and where a family could not hold what the
// text says, it is an error: lines of a family that are not in one group, a
// second HELP or TYPE, a TYPE after the samples, the same series twice, a
// sample name that two families share, a count that is no whole number,
// buckets that fall, and a last line without line feed, which is how a cut
// response looks.
//
// Of a family's samples none is renamed. So a counter whose name does not end
// in _total is read as [metric.Unknown], since a [metric.Counter] of that name
// would be written back with the suffix. What text has no words for comes back
// as what it was written as: an info or state set as a gauge, a gauge
// histogram as a histogram and two gauges, created times as a gauge x_created.
// Units, exemplars and blanks at the start of a help are lost. A histogram
// gets the bucket +Inf and a count where they are missing.
//
// # OpenMetrics
//
// All that the specification demands of an exposition, or of a line, is
// checked, down to the length of exemplars. Partial or invalid input is
// erroneous as a whole, says the specification: the families that came before
// an error should be forgotten.
//
// Names in quotes, which Prometheus and its clients write in OpenMetrics where
// the content type says escaping=allow-utf-8, are read if Options.QuotedNames
// says so. Three things are accepted on purpose. Names that begin with underscores are
// reserved, but are what Prometheus makes of names that begin with a digit.
// Points of one metric may have the same timestamp, since the resolution of
// whoever wrote them may be too coarse. Numbers in le and quantile need not be
// canonical, except for +Inf.
//
// A [metric.Series] holds one point: of several the last remains. Timestamps
// have nanoseconds, and end where Prometheus' milliseconds do. A count
// that is not there is 0, or that of the last bucket.
//
// # Limits
//
// The input is not trusted. Options bound a line, the whole input and the
// number of series, and have defaults; time and memory are linear in what they
// admit. A million gauges of one family, with one short label each, keep a
// quarter of a gigabyte; reading them takes three times that.
//
// # Errors
//
// Every error is an [Error] with line and column, and ends the parse. It
// matches [ErrTruncated] where reading again may help, [ErrLimit] where a
// limit was in the way, and the reader's own error if that failed.
//
// # Concurrency
//
// All functions are safe for concurrent use; one sequence of families belongs
// to one goroutine and can be iterated once, since it consumes the reader.
package textparse
