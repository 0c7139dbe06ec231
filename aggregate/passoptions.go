package aggregate

import (
	"errors"
	"time"

	"github.com/multiprom/multiprom/internal/options"
)

// passOptions are aggregate.CompactOptions, which says what they mean.
type passOptions struct {
	Threshold    int
	KeepDead     int
	KeepDeadFor  time.Duration
	Marked       bool
	Python       bool
	DropFamilies []string
	Reserve      bool
	DryRun       bool
	Progress     func(done, total int)

	TrustUIDs    []int
	MaxFileBytes int64
	Now          func() time.Time
}

// withDefaults checks the options and fills in what was left out.
func (o passOptions) withDefaults() (passOptions, error) {
	var c options.Checker
	options.Number(&c, "Threshold", &o.Threshold, 1)
	options.Number(&c, "KeepDead", &o.KeepDead, 1000, options.NoLimit, options.KeepNone)
	options.Number(&c, "KeepDeadFor", &o.KeepDeadFor, options.NoLimit, options.NoLimit, options.KeepNone)
	checkReading(&c, o.TrustUIDs, &o.MaxFileBytes)
	if o.Progress == nil {
		o.Progress = func(int, int) {}
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	return o, c.Err()
}

// passResult is aggregate.CompactResult.
type passResult struct {
	Compacted []string
	Processes int
	Removed   []string
	Living    int
	Left      []left
	Dropped   []dropped
	Series    int
	Bytes     int64
	Took      time.Duration
}

// left is aggregate.LeftFile.
type left struct {
	Name   string
	Reason error
}

// The errors of a file that is not compacted: see aggregate.Compact.
var (
	errNoLiveness    = errors.New("no lock tells whether its process lives")
	errNotUnderstood = errors.New("not wholly understood")
	errConsumed      = errors.New("its values are in the archive already: remove it (was it restored from a backup?)")
)
