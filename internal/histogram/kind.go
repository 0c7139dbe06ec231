package histogram

import "github.com/multiprom/multiprom/metric"

// Kind is which buckets a histogram has. Histograms of different kinds are different types:
// they do not merge, and no two of one name can be declared.
type Kind uint8

// The kinds of histograms. A classic bucket +Inf alone does not make a kind.
const (
	Classic Kind = iota
	Native
	Both
)

// KindOf returns the kind of a histogram, and Classic for other types.
func KindOf(s *metric.Schema) Kind {
	switch {
	case s.Native == nil:
		return Classic
	case len(s.Bounds) == 0:
		return Native
	}
	return Both
}

// DefinitionOf returns what a schema with native buckets declares.
func DefinitionOf(s *metric.NativeSchema) Definition {
	return Definition{Schema: s.Schema, Limit: s.MaxBuckets, Threshold: s.ZeroThreshold}
}
