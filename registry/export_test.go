package registry

// What tests outside of the package look at.
var (
	ErrInvalidCollector = errInvalidCollector
	ErrInvalidFamily    = errInvalidFamily
	ErrTimeout          = errTimeout
	ErrStillRunning     = errStillRunning
)

type (
	Claimant       = claimant
	DuplicateError = duplicateError
)
