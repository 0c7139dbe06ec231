package pyfile

import (
	"fmt"
	"strings"

	"github.com/multiprom/multiprom/internal/mpm"
	"github.com/multiprom/multiprom/metric"
)

// Name is a parsed file name.
type Name struct {
	Type metric.Type
	Mode metric.Mode // of a gauge
	ID   string      // the process identifier, by default its pid

	// Dead says that the file was set aside (mpm.Dir.SetAside) because its process is
	// dead. Then Incarnation identifies the file.
	Dead        bool
	Incarnation mpm.Incarnation
}

// RubyPID returns the pid in a process identifier of GitLab's client for Ruby, which is the
// pid and the number of the process's file, such as 4711-0. It returns any other
// identifier unchanged.
func RubyPID(id string) string {
	pid, number, ok := strings.Cut(id, "-")
	if !ok || strings.Trim(pid, digits) != "" || number == "" || strings.Trim(number, digits) != "" {
		return id
	}
	return pid
}

const digits = "0123456789"

// modes are the gauge modes by their names.
var modes = func() map[string]metric.Mode {
	out := map[string]metric.Mode{}
	for m := metric.Mode(0); m.Valid(); m++ {
		out[m.String()] = m
	}
	return out
}()

// ParseName parses a file name. The error says what is wrong with it.
func ParseName(name string) (Name, error) {
	original, inc, dead := mpm.SplitDeadName(name)
	if !dead {
		original = name
	}
	stem, ok := strings.CutSuffix(original, ".db")
	if !ok {
		return Name{}, fmt.Errorf("%w: %s does not end in .db", mpm.ErrForeign, name)
	}
	kind, id, _ := strings.Cut(stem, "_")
	n := Name{ID: id, Dead: dead, Incarnation: inc}
	switch kind {
	case "counter":
		n.Type = metric.Counter
	case "summary":
		n.Type = metric.Summary
	case "histogram":
		n.Type = metric.Histogram
	case "gauge":
		n.Type = metric.Gauge
		mode, id, ok := strings.Cut(id, "_")
		if n.ID = id; !ok {
			return Name{}, fmt.Errorf("%w: %s names no gauge mode", mpm.ErrForeign, name)
		}
		if n.Mode, ok = modes[mode]; !ok {
			return Name{}, fmt.Errorf("%w: %s names the unknown gauge mode %q", mpm.ErrForeign, name, mode)
		}
	default:
		return Name{}, fmt.Errorf("%w: %s names the unknown metric type %q", mpm.ErrForeign, name, kind)
	}
	if n.ID == "" {
		return Name{}, fmt.Errorf("%w: %s names no process", mpm.ErrForeign, name)
	}
	return n, nil
}
