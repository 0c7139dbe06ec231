package exposition

import (
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/multiprom/multiprom/metric"
)

// escapeName returns the metric name that stands for s: with underscores, or
// the name itself, valid UTF-8, if allowUTF8.
func escapeName(s string, allowUTF8 bool) string {
	switch {
	case metric.IsLegacyName(s):
		return s
	case s == "":
		return "_"
	case allowUTF8:
		return validUTF8(s)
	}
	return underscores(s, true)
}

// escapeLabelName is escapeName for labels, which may have no colon.
func escapeLabelName(s string, allowUTF8 bool) string {
	switch {
	case metric.IsLegacyLabelName(s):
		return s
	case s == "":
		return "_"
	case allowUTF8:
		return validUTF8(s)
	}
	return underscores(s, false)
}

// underscores replaces each character that a legacy name may not have. The
// scheme is Prometheus' "underscores": one for a character, however many bytes
// that has.
func underscores(s string, colon bool) string {
	out := make([]byte, 0, len(s))
	for i, r := range s {
		switch {
		case r == '_', r >= 'a' && r <= 'z', r >= 'A' && r <= 'Z', r >= '0' && r <= '9' && i > 0, r == ':' && colon:
			out = append(out, byte(r))
		default:
			out = append(out, '_')
		}
	}
	return string(out)
}

// validUTF8 replaces what is not UTF-8, for which Prometheus would refuse the
// whole scrape.
func validUTF8(s string) string { return strings.ToValidUTF8(s, string(utf8.RuneError)) }

// writable reports whether the labels of all series can be written as they
// are. reserved is the label that the type writes itself, or empty.
func writable(series []metric.Series, reserved string, allowUTF8 bool) bool {
	var before metric.Labels // equal names are usually one string: cheap to compare
	for i := range series {
		labels := series[i].Labels
		for j, l := range labels {
			if j >= len(before) || before[j].Name != l.Name {
				if l.Name == reserved || l.Name != escapeLabelName(l.Name, allowUTF8) {
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

// escapeSeries returns the series with labels that can be written, and how
// many were left out: those with two labels of one name, and those that became
// equal to a former one. A label of the reserved name gives way to the type's.
func escapeSeries(series []metric.Series, reserved string, allowUTF8 bool) (kept []metric.Series, dropped int) {
	kept = make([]metric.Series, 0, len(series))
	seen := make(map[string]struct{}, len(series))
	for _, s := range series {
		labels := make(metric.Labels, 0, len(s.Labels))
		for _, l := range s.Labels {
			if name := escapeLabelName(l.Name, allowUTF8); name != reserved {
				labels = append(labels, metric.Label{Name: name, Value: validUTF8(l.Value)})
			}
		}
		labels.Sort() // else {a.b, a_a} and {a_a, a_b} would not be seen to be equal
		names := len(slices.CompactFunc(slices.Clone(labels), func(a, b metric.Label) bool { return a.Name == b.Name }))
		key := labels.String()
		if _, ok := seen[key]; ok || names < len(labels) {
			dropped++
			continue
		}
		seen[key] = struct{}{}
		s.Labels = labels
		kept = append(kept, s)
	}
	return kept, dropped
}
