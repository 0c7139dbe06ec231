package snapshot

import (
	"maps"
	"math"
	"slices"
	"time"

	"github.com/multiprom/multiprom/internal/form"
	"github.com/multiprom/multiprom/internal/lifetime"
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

// CheckTTL checks the option that gives families times to live.
func CheckTTL(c *options.Checker, of map[string]time.Duration) {
	for _, name := range slices.Sorted(maps.Keys(of)) {
		switch err := lifetime.Check(of[name]); {
		case form.CheckName(name) != nil:
			c.Failf("TTL", "has %q, which cannot name a family", name)
		case of[name] == 0:
			c.Failf("TTL", "has %s without a time; leave it out if its series never expire", name)
		case err != nil:
			c.Failf("TTL", "of %s %v", name, err)
		}
	}
}
