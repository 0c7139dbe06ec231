package remotewrite

import (
	"math"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/multiprom/multiprom/internal/form"
	"github.com/multiprom/multiprom/internal/views"
	"github.com/multiprom/multiprom/metric"
)

func validUTF8(s string) string { return strings.ToValidUTF8(s, string(utf8.RuneError)) }

func bitsOf(v float64) uint64 {
	if v != v {
		return normalNaN
	}
	return math.Float64bits(v)
}

// metricName returns a metric name as the version can hold it.
func (e *encoder) metricName(name string) string {
	switch {
	case form.IsLegacyName(name):
		return name
	case e.v2 && name != "":
		return validUTF8(name)
	}
	return form.Underscored(name, true)
}

// labelName is metricName for labels, which cannot have a colon.
func (e *encoder) labelName(name string) string {
	switch {
	case form.IsLegacyLabelName(name):
		return name
	case e.v2 && name != "":
		return validUTF8(name)
	}
	return form.Underscored(name, false)
}

// escaped is what is known of a family with labels that had to be changed.
type escaped struct {
	seen map[string]bool // label sets that were sent
}

// isPlain is plain, which a family of the same layout need not be asked again.
func (e *encoder) isPlain(f *views.Family) bool {
	key := f.Layout << 1 // 2.0 has names that 1.0 has not
	if e.v2 {
		key |= 1
	}
	if f.Layout != 0 && e.plains[f.Name] == key {
		return true
	}
	if !e.plain(f) {
		return false
	}
	if f.Layout != 0 {
		e.plains[f.Name] = key
	}
	return true
}

// plain reports whether the labels of all series can be sent as they are.
func (e *encoder) plain(f *views.Family) bool {
	var before, labels metric.Labels
	var own [2]metric.Labels
	for i := range f.Len() {
		if f.Rows != nil {
			labels = f.Rows.AppendLabels(own[i%2][:0], i)
			own[i%2] = labels
		} else {
			labels = f.Series[i].Labels
		}
		for j, l := range labels {
			if j >= len(before) || before[j].Name != l.Name {
				if l.Name == e.family.reserved || l.Name == nameLabel || l.Name != e.labelName(l.Name) || j > 0 && labels[j-1].Name >= l.Name {
					return false
				}
			}
			if !utf8.ValidString(l.Value) {
				return false
			}
		}
		before = labels
	}
	return true
}

// escape returns the series with labels that can be sent, and how many were left out: those
// with two labels of one name, and those that became equal to an earlier one.
func (e *encoder) escape(f *views.Family) (kept []metric.Series, left int) {
	known := &escaped{seen: map[string]bool{}}
	e.escaped[f.Name] = known
	for _, s := range f.Whole().Series {
		labels, ok := e.escapeLabels(s.Labels)
		key := labels.String()
		if !ok || known.seen[key] {
			left++
			continue
		}
		known.seen[key] = true
		s.Labels = labels
		kept = append(kept, s)
	}
	return kept, left
}

// escapeLabels returns labels that can be sent, sorted, without those that the encoder writes
// itself. It returns false if two have the same name.
func (e *encoder) escapeLabels(labels metric.Labels) (metric.Labels, bool) {
	out := make(metric.Labels, 0, len(labels))
	for _, l := range labels {
		if name := e.labelName(l.Name); name != e.family.reserved && name != nameLabel {
			out = append(out, metric.Label{Name: name, Value: validUTF8(l.Value)})
		}
	}
	out.Sort()
	distinct := len(slices.CompactFunc(slices.Clone(out), func(a, b metric.Label) bool { return a.Name == b.Name }))
	return out, distinct == len(out)
}
