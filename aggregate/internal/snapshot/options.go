package snapshot

import (
	"math"

	"github.com/multiprom/multiprom/internal/mpm"
	"github.com/multiprom/multiprom/internal/options"
)

// ReadOptions returns how the files of a directory are read. trust and maxBytes are those of
// aggregate.Options.
func ReadOptions(d *mpm.Dir, trust []int, maxBytes int64) (mpm.ReadOptions, error) {
	trusted, err := d.Trust(trust)
	return mpm.ReadOptions{Trusted: trusted, MaxBytes: maxBytes}, err
}

// CheckReading checks the options that say which files are read.
func CheckReading(c *options.Checker, trust []int, maxBytes *int64) {
	for _, uid := range trust {
		if uid < 0 || int64(uid) > math.MaxUint32 {
			c.Failf("TrustUIDs", "has %d, which is no user's number", uid)
		}
	}
	options.Number(c, "MaxFileBytes", maxBytes, 1<<30, options.NoLimit)
}
