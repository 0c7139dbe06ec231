package supervisor

import "fmt"

// ProcessID says what names a worker in the merged view: the label pid of gauges of
// mode all, and of its process metrics.
type ProcessID int

const (
	// ProcessIDPID is the worker's PID, or what MULTIPROM_PROCESS_ID says in
	// Options.Env. The default.
	ProcessIDPID ProcessID = iota
	// ProcessIDSlot is the worker's slot, 0 to N-1. A successor has the same, so
	// that series survive restarts, and there are as many as slots. While a
	// reload has two workers in one slot, the younger one's has a suffix, such as
	// 0-3f7a; it is 0 when the old one has gone.
	ProcessIDSlot
)

var processIDNames = []string{"pid", "slot"}

// String returns the word that ParseProcessID takes.
func (p ProcessID) String() string {
	if p < 0 || int(p) >= len(processIDNames) {
		return fmt.Sprintf("ProcessID(%d)", int(p))
	}
	return processIDNames[p]
}

// ParseProcessID returns the ProcessID of a word: pid or slot.
func ParseProcessID(word string) (ProcessID, error) {
	for i, name := range processIDNames {
		if word == name {
			return ProcessID(i), nil
		}
	}
	return 0, fmt.Errorf("%w: %q is neither pid nor slot", ErrOptions, word)
}
