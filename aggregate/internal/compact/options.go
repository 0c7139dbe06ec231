package compact

import (
	"errors"
	"time"

	"github.com/multiprom/multiprom/aggregate/internal/snapshot"
	"github.com/multiprom/multiprom/internal/options"
)

// Options are aggregate.CompactOptions, which says what they mean.
type Options struct {
	Threshold    int
	KeepDead     int
	KeepDeadFor  time.Duration
	Marked       bool
	Python       bool
	DropFamilies []string
	Reserve      bool
	TTL          map[string]time.Duration
	DryRun       bool
	Progress     func(done, total int)

	TrustUIDs    []int
	MaxFileBytes int64
	Now          func() time.Time
}

// WithDefaults checks the options and fills in what was left out.
func (o Options) WithDefaults() (Options, error) {
	var c options.Checker
	options.Number(&c, "Threshold", &o.Threshold, 1)
	options.Number(&c, "KeepDead", &o.KeepDead, 1000, options.NoLimit, options.KeepNone)
	options.Number(&c, "KeepDeadFor", &o.KeepDeadFor, options.NoLimit, options.NoLimit, options.KeepNone)
	snapshot.CheckReading(&c, o.TrustUIDs, &o.MaxFileBytes)
	snapshot.CheckTTL(&c, o.TTL)
	if o.Progress == nil {
		o.Progress = func(int, int) {}
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	return o, c.Err()
}

// Result is aggregate.CompactResult.
type Result struct {
	Compacted []string
	Processes int
	Removed   []string
	Living    int
	Left      []Left
	Dropped   []Dropped
	Series    int
	Bytes     int64
	Took      time.Duration
}

// Left is aggregate.LeftFile.
type Left struct {
	Name   string
	Reason error
}

// Reasons of a file that is left: see aggregate.LeftFile.
var (
	ErrNoLiveness    = errors.New("no lock tells whether its process lives")
	ErrNotUnderstood = errors.New("not wholly understood")
)
