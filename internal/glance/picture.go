package glance

import (
	"slices"
	"time"
)

// Picture is a directory at one moment. Unknown numbers are nil.
type Picture struct {
	Time    time.Time `json:"time"`
	Seconds float64   `json:"seconds"` // since the look before, over which rates are averages; 0 at the first
	Dir     string    `json:"dir"`
	Series  int       `json:"series"` // of the merged view

	Workers  []Worker `json:"workers"`  // the living by slot, then the dead
	Families []Family `json:"families"` // by name
	Health   Health   `json:"health"`
	Archive  Archive  `json:"archive"`
}

// Worker is a process.
type Worker struct {
	Slot  *int   `json:"slot,omitempty"` // of a living process, as in multiprom_process_unchanged_seconds
	PID   int    `json:"pid,omitempty"`
	ID    string `json:"process_id"`
	State string `json:"state"` // live, closed, marked or dead
	Kind  string `json:"kind"`

	Age       *float64 `json:"age_seconds,omitempty"` // since it opened its file
	Unchanged float64  `json:"unchanged_seconds"`     // since a value was seen to change, or since it is watched
	Silent    bool     `json:"silent"`                // it changes nothing, while others do
	Stopped   bool     `json:"stopped"`               // by a signal or a debugger

	Share  *float64           `json:"share,omitempty"` // of what all workers have counted, from 0 to 1
	Rates  map[string]float64 `json:"rates,omitempty"` // by family, a second, without those that are 0
	RSS    *float64           `json:"resident_bytes,omitempty"`
	CPU    *float64           `json:"cpu,omitempty"` // cores in use
	Series int                `json:"series"`
	Bytes  int64              `json:"bytes"` // of its files

	History []float64 `json:"-"` // sums of its rates at the last looks, the newest last

	key string
	cpu float64
}

// Family is a family of the merged view.
type Family struct {
	Name      string   `json:"name"`
	Type      string   `json:"type"`
	Mode      string   `json:"mode,omitempty"`
	Labels    []string `json:"labels,omitempty"`
	Help      string   `json:"help"`
	Series    int      `json:"series"`            // merged
	Bytes     int64    `json:"bytes"`             // of its series in the files of processes
	Processes int      `json:"processes"`         // that have it
	Rate      *float64 `json:"rate,omitempty"`    // what it counts a second: increments or observations
	Changes   *float64 `json:"changes,omitempty"` // series of native files that were found changed, a second

	History []float64 `json:"-"` // rates at the last looks, the newest last

	Values []LabelValues `json:"label_values,omitempty"` // if they are asked for

	changing bool // Changes can be known
}

// LabelValues says which values of a label have the most series.
type LabelValues struct {
	Label    string       `json:"label"`
	Distinct int          `json:"distinct"`
	Top      []LabelValue `json:"top"`
}

// LabelValue is a value with its number of merged series.
type LabelValue struct {
	Value  string `json:"value"`
	Series int    `json:"series"`
}

// Health says what is wrong. OK says that nothing is.
type Health struct {
	OK        bool     `json:"ok"`
	LeftOut   []string `json:"files_left_out,omitempty"`
	Conflicts []string `json:"conflicts,omitempty"`
	Silent    []string `json:"silent_workers,omitempty"`  // process IDs
	Stopped   []string `json:"stopped_workers,omitempty"` // process IDs
}

// Archive is what compacted processes have left.
type Archive struct {
	Bytes     int64  `json:"bytes"`
	Processes uint64 `json:"processes"`
}

// historyLen is how many looks a history has at most.
const historyLen = 60

func appendHistory(h []float64, v float64) []float64 {
	h = append(slices.Clip(h[max(0, len(h)+1-historyLen):]), v)
	return h
}
