// Package textparse reads an exposition back into families: the Prometheus text format,
// versions 0.0.4 and 1.0.0, and OpenMetrics 1.0.0 and 2.0, strictly.
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
// [Families] yields a family as soon as its last line was read and keeps nothing of it.
// [Parse] returns all families or none. Series are sorted by their labels. Families
// keep the order of the input, including those without series.
//
// # Text
//
// The text format is read as leniently as its description allows: any number of blanks
// and tabs between tokens, empty lines, comments, a comma after the last label, labels,
// series and buckets in any order, samples without HELP and TYPE. Quoted names of
// version 1.0.0 are read in both versions. A backslash before a character that needs
// none stands for itself, as in a Prometheus server.
//
// It is an error if the description says must, or if a family could not hold the text:
// lines of a family that are not in one group, a second HELP or TYPE, a TYPE after the
// samples, the same series twice, a sample name that two families share, a count that
// is not a whole number, buckets that decrease, and a last line without a line feed,
// which means that the response was cut.
//
// No sample of a family is renamed. So a counter whose name does not end in _total is
// read as [metric.Unknown], since a [metric.Counter] with that name would be written
// back with the suffix. Types that text does not have come back as what was written: an
// info or state set as a gauge, a gauge histogram as a histogram and two gauges,
// created times as a gauge x_created. Units, exemplars and blanks at the start of a
// help are lost. A histogram gets the bucket +Inf and a count if they are missing.
//
// # OpenMetrics
//
// Everything that the specification demands of an exposition or of a line is checked,
// including the length of exemplars. The specification says that partial or invalid
// input is invalid as a whole. So discard the families that came before an error.
//
// Prometheus and its clients write quoted names in OpenMetrics if the content type says
// escaping=allow-utf-8. They are read if Options.QuotedNames is set. Three things are
// accepted on purpose. Names that start with underscores are reserved, but Prometheus
// makes them from names that start with a digit. Points of one metric may have the same
// timestamp, since the writer's resolution may be too coarse. Numbers in le and
// quantile need not be canonical, except for +Inf.
//
// A [metric.Series] holds one point; of several points the last stays. Timestamps have
// nanoseconds, and end where Prometheus' milliseconds do. A missing count is 0, or that
// of the last bucket.
//
// # OpenMetrics 2.0
//
// The draft is read as strictly, and quoted names always are. A family's name is that of its
// samples: those of a counter or info end in _total or _info, which is not part of
// [metric.Family.Name]. A counter without _total becomes [metric.Unknown], as in text. A unit
// that is not the end of the name is lost, and so are the native buckets of a gauge histogram.
// Counts must be whole numbers. A classic bucket has the first exemplar that is in it, native
// buckets have all. A histogram has no label le, even if it has only native buckets.
//
// # Limits
//
// The input is not trusted. Options limit a line, the whole input and the number of
// series, and have defaults. Time and memory are linear in what they allow. A million
// gauges of one family with one short label each keep a quarter of a gigabyte; reading
// them takes three times that.
//
// # Errors
//
// Every error is an [Error] with line and column, and ends the parse. It matches
// [ErrTruncated] if reading again may help, [ErrLimit] if a limit was exceeded, and the
// reader's own error if that failed.
//
// # Concurrency
//
// All functions are safe for concurrent use. One sequence of families belongs to one
// goroutine and can be iterated once, since it consumes the reader.
package textparse
