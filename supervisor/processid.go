package supervisor

import "fmt"

// ProcessID chooses a worker's process ID in the merged view: the value of the label
// pid in gauges of mode all and in process metrics.
type ProcessID int

const (
	// ProcessIDPID is the worker's PID, or MULTIPROM_PROCESS_ID from Options.Env. The
	// default.
	ProcessIDPID ProcessID = iota
	// ProcessIDSlot is the worker's slot, 0 to N-1. A successor has the same, so series
	// survive restarts and there are only as many as slots. While a reload has two
	// workers in one slot, the younger one's ID has a suffix, such as 0-3f7a. It is 0
	// again when the old one is gone.
	ProcessIDSlot
)

var processIDNames = []string{"pid", "slot"}

// String returns the word that ParseProcessID accepts.
func (p ProcessID) String() string {
	if p < 0 || int(p) >= len(processIDNames) {
		return fmt.Sprintf("ProcessID(%d)", int(p))
	}
	return processIDNames[p]
}

// ParseProcessID returns the ProcessID for pid or slot.
func ParseProcessID(word string) (ProcessID, error) {
	for i, name := range processIDNames {
		if word == name {
			return ProcessID(i), nil
		}
	}
	return 0, fmt.Errorf("%w: %q is neither pid nor slot", ErrOptions, word)
}
