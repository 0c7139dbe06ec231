package metric

import "fmt"

// Type is the type of a family (OpenMetrics 1.0, "Metric Types"). Files contain its
// values: new ones are appended, and none changes.
type Type uint8

const (
	Unknown Type = iota
	Counter
	Gauge
	Histogram
	Summary
	Info
	StateSet // what multiproc calls an Enum
	GaugeHistogram

	numTypes
)

var typeNames = [numTypes]string{
	"unknown", "counter", "gauge", "histogram", "summary", "info", "stateset", "gaugehistogram",
}

// String returns the type's name as OpenMetrics writes it.
func (t Type) String() string {
	if t < numTypes {
		return typeNames[t]
	}
	return fmt.Sprintf("type(%d)", uint8(t))
}

// Valid reports whether t is one of the types above.
func (t Type) Valid() bool { return t < numTypes }

// LikeGauge reports whether a series has one value that may go up and down, and a Mode
// that merges it: a gauge or unknown.
func (t Type) LikeGauge() bool { return t == Gauge || t == Unknown }

// HasMode reports whether the Mode of a family of the type says something: it does of gauges,
// unknowns and state sets.
func (t Type) HasMode() bool { return t.LikeGauge() || t == StateSet }

// ReservedLabel returns the label that families of the type and that name write
// themselves, so that no series may have it: le, quantile, or a state set's own name;
// else "".
func (t Type) ReservedLabel(name string) string {
	switch t {
	case Histogram, GaugeHistogram:
		return "le"
	case Summary:
		return "quantile"
	case StateSet:
		return name
	}
	return ""
}

// Mode says how the values of several processes for one gauge are merged. Files contain
// its values: new ones are appended, and none changes. The zero value is ModeAll, the
// default.
type Mode uint8

const (
	ModeAll            Mode = iota // one series per process, dead ones included
	ModeLiveAll                    // one series per live process
	ModeMin                        // the smallest value
	ModeLiveMin                    // the smallest value of a live process
	ModeMax                        // the largest value
	ModeLiveMax                    // the largest value of a live process
	ModeSum                        // the sum
	ModeLiveSum                    // the sum over live processes
	ModeMostRecent                 // the value that was set last
	ModeLiveMostRecent             // the value that a live process set last

	numModes
)

var modeNames = [numModes]string{
	"all", "liveall", "min", "livemin", "max", "livemax", "sum", "livesum", "mostrecent", "livemostrecent",
}

// String returns the mode's name as client_python writes it.
func (m Mode) String() string {
	if m < numModes {
		return modeNames[m]
	}
	return fmt.Sprintf("mode(%d)", uint8(m))
}

// Valid reports whether m is one of the modes above.
func (m Mode) Valid() bool { return m < numModes }

// Live reports whether only live processes take part.
func (m Mode) Live() bool { return m < numModes && m%2 == 1 }

// Base returns the mode that counts dead processes too: ModeSum for ModeLiveSum.
func (m Mode) Base() Mode { return m &^ 1 }
