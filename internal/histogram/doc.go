// Package histogram is the arithmetic of native histograms: which bucket a value is in, how
// histograms of different resolutions merge, and what is shown of the result. It does no I/O
// and knows no file.
//
// A schema, from -4 to 8, says how fine the buckets are: each is 2^(2^-schema) times as wide
// as the one before. [Of] returns the buckets of a schema:
//
//	b := histogram.Of(3)
//	i := b.Index(0.25) // (0.2293…, 0.25]
//	b.Upper(i)         // 0.25
//
// A [Total] adds up:
//
//	var t histogram.Total
//	t.Define(histogram.Definition{Schema: 3, Limit: 160, Threshold: 0.001})
//	t.Zero += 5
//	t.Add(3, false, i, 7) // 7 observations in bucket i of schema 3
//	t.Fit()
//	count, ok := t.Show(&native, false)
//
// A [Recorder] counts observations in words that readers of other processes see. [Displaced]
// says which exemplar makes room for a new one.
//
// # Rules
//
// A Total has the schema of its coarsest part, and after Fit one that is coarse enough for
// its limit. What it shows does not depend on the order of what was added, and is bit for bit
// what Prometheus' FloatHistogram makes of the same parts, but for one case: see
// [Total.Show]. integration/oracle has that as a test. If more is added, the schema only falls, the zero threshold only rises, and no count
// falls except as these two demand. So a server that scrapes a Total that grows never sees a
// counter reset.
//
// Counts wrap at 2^64, as those of other metrics do.
package histogram
