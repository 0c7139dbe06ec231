package metric

import "github.com/multiprom/multiprom/internal/options"

// Values of options in all packages. The zero value of an option is always its default.
const (
	// NoLimit is no bound at all, in options that bound something.
	NoLimit = options.NoLimit
	// KeepNone keeps nothing, in options that say how much is kept.
	KeepNone = options.KeepNone
)
