package exposition

import (
	"strings"
	"sync/atomic"
)

// CreatedPolicy says whether created times are exposed.
type CreatedPolicy uint8

const (
	// CreatedByEnv exposes them unless PROMETHEUS_DISABLE_CREATED_SERIES is true, t or
	// 1, in any case, at the time of the scrape. [EnableCreated] and [DisableCreated]
	// override it. The default.
	CreatedByEnv CreatedPolicy = iota
	CreatedOn
	CreatedOff
)

// createdSwitch holds the last setting at run time; CreatedByEnv means none.
var createdSwitch atomic.Uint32

// EnableCreated makes handlers with the policy [CreatedByEnv] expose created times,
// from the next scrape on.
func EnableCreated() { createdSwitch.Store(uint32(CreatedOn)) }

// DisableCreated makes handlers with the policy [CreatedByEnv] leave out created times,
// from the next scrape on.
func DisableCreated() { createdSwitch.Store(uint32(CreatedOff)) }

// resolve returns a function that reports at each scrape whether created times are
// exposed.
func (p CreatedPolicy) resolve(getenv func(string) string) func() bool {
	if p != CreatedByEnv {
		return func() bool { return p == CreatedOn }
	}
	return func() bool {
		switch CreatedPolicy(createdSwitch.Load()) {
		case CreatedOn:
			return true
		case CreatedOff:
			return false
		}
		return createdByEnv(getenv)
	}
}

func createdByEnv(getenv func(string) string) bool {
	switch strings.ToLower(getenv("PROMETHEUS_DISABLE_CREATED_SERIES")) {
	case "true", "t", "1":
		return false
	}
	return true
}
