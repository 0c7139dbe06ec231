package glance

import (
	"cmp"
	"fmt"
	"math"
	"strconv"
	"strings"
)

// Short returns a number in at most five characters, such as 0.12, 7.5, 123, 4.5k or 12M.
func Short(v float64) string {
	switch a := math.Abs(v); {
	case math.IsNaN(v) || math.IsInf(v, 0):
		return fmt.Sprint(v)
	case a == 0:
		return "0"
	case a < 0.01:
		return "<.01"
	case a < 0.995:
		return fmt.Sprintf("%.2f", v)
	case a < 9.95:
		return fmt.Sprintf("%.1f", v)
	case a < 999.5:
		return fmt.Sprintf("%.0f", v)
	}
	for _, unit := range "kMGTPE" {
		if v /= 1000; math.Abs(v) < 9.95 {
			return fmt.Sprintf("%.1f%c", v, unit)
		} else if math.Abs(v) < 999.5 {
			return fmt.Sprintf("%.0f%c", v, unit)
		}
	}
	return fmt.Sprintf("%.0e", v)
}

// ShortCount is Short for a count.
func ShortCount(n int) string {
	if n < 1000 {
		return strconv.Itoa(n)
	}
	return Short(float64(n))
}

// ShortOf is Short for a number that may not be known.
func ShortOf(v *float64) string {
	if v == nil {
		return "-"
	}
	return Short(*v)
}

// PercentOf returns a part of 1 as a percentage.
func PercentOf(v *float64) string {
	if v == nil {
		return "-"
	}
	return fmt.Sprintf("%.0f%%", 100**v)
}

// Duration returns seconds in one unit.
func Duration(seconds float64) string {
	switch {
	case seconds < 60:
		return fmt.Sprintf("%.0fs", math.Floor(seconds))
	case seconds < 3600:
		return fmt.Sprintf("%.0fm", math.Floor(seconds/60))
	case seconds < 48*3600:
		return fmt.Sprintf("%.0fh", math.Floor(seconds/3600))
	}
	return fmt.Sprintf("%.0fd", math.Floor(seconds/86400))
}

// DurationOf is Duration for seconds that may not be known.
func DurationOf(seconds *float64) string {
	if seconds == nil {
		return "-"
	}
	return Duration(*seconds)
}

// SlotText returns the slot of a worker, or "-" of one that is dead.
func (w *Worker) SlotText() string {
	if w.Slot == nil {
		return "-"
	}
	return strconv.Itoa(*w.Slot)
}

// ChangedText returns how long ago a living worker's values were seen to change.
func (w *Worker) ChangedText() string {
	if w.Slot == nil {
		return "-"
	}
	return Duration(w.Unchanged)
}

// StateText returns the state of a worker. What is wrong with it is in capitals.
func (w *Worker) StateText() string {
	switch {
	case w.Stopped:
		return "STOPPED"
	case w.Silent:
		return "SILENT"
	}
	return w.State
}

// Wrong reports whether something is wrong with the worker.
func (w *Worker) Wrong() bool { return w.Stopped || w.Silent }

// BySlot compares by slot; the dead come last.
func BySlot(a, b *Worker) int {
	slot := func(w *Worker) int {
		if w.Slot == nil {
			return 1 << 30
		}
		return *w.Slot
	}
	return cmp.Compare(slot(a), slot(b))
}

// ByState puts those first with which something is wrong, and then the living.
func ByState(a, b *Worker) int {
	wrong := func(w *Worker) int {
		if w.Wrong() {
			return 0
		}
		return 1
	}
	return cmp.Or(cmp.Compare(wrong(a), wrong(b)), -strings.Compare(a.StateText(), b.StateText()))
}

// LargestFirst compares numbers that may not be known; those come last.
func LargestFirst(a, b *float64) int {
	value := func(v *float64) float64 {
		if v == nil {
			return math.Inf(-1)
		}
		return *v
	}
	return cmp.Compare(value(b), value(a))
}
