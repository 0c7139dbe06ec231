package exposition

import (
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/multiprom/multiprom/internal/form"
	"github.com/multiprom/multiprom/internal/openmetrics"
	"github.com/multiprom/multiprom/metric"
)

// escapeName returns the metric name to write for s: s itself, as valid UTF-8, if the
// scheme is AllowUTF8.
func escapeName(s string, scheme Escaping) string {
	if scheme != Dots && form.IsLegacyName(s) {
		return s
	}
	return escape(s, scheme, true)
}

// escapeLabelName is escapeName for labels, which cannot have a colon.
func escapeLabelName(s string, scheme Escaping) string {
	if scheme != Dots && form.IsLegacyLabelName(s) {
		return s
	}
	return escape(s, scheme, false)
}

// escape applies the scheme to a name that needs it. Each byte that is not UTF-8 counts
// as U+FFFD.
func escape(s string, scheme Escaping, colon bool) string {
	switch {
	case s == "":
		return "_"
	case scheme == AllowUTF8:
		return validUTF8(s)
	case scheme == Underscores:
		return form.Underscored(s, colon)
	}
	out := make([]byte, 0, len(s)+16)
	if scheme == Values {
		out = append(out, "U__"...)
	}
	for i, r := range s {
		switch {
		case r == '_':
			out = append(out, "__"...)
		case r >= 'a' && r <= 'z', r >= 'A' && r <= 'Z', r >= '0' && r <= '9' && i > 0, r == ':' && colon:
			out = append(out, byte(r))
		case scheme == Values:
			out = append(out, '_')
			out = strconv.AppendInt(out, int64(r), 16)
			out = append(out, '_')
		case scheme == Dots && r == '.':
			out = append(out, "_dot_"...)
		default:
			out = append(out, "__"...)
		}
	}
	return string(out)
}

// validUTF8 replaces what is not UTF-8. Otherwise Prometheus would refuse the whole
// scrape.
func validUTF8(s string) string { return strings.ToValidUTF8(s, string(utf8.RuneError)) }

// writable reports whether the labels of all series can be written as they
// are. reserved is the label that the type writes itself, or empty.
func writable(series seriesList, reserved string, scheme Escaping) bool {
	var before, labels, own metric.Labels // equal names are usually the same string, so comparing is cheap
	for i := range series.len() {
		labels = series.labels(own[:0], i)
		for j, l := range labels {
			if j >= len(before) || before[j].Name != l.Name {
				if l.Name == reserved || l.Name != escapeLabelName(l.Name, scheme) {
					return false
				}
			}
			if !utf8.ValidString(l.Value) {
				return false
			}
		}
		if series.rows != nil {
			before, own = labels, before
		} else {
			before = labels
		}
	}
	return true
}

// escapeSeries returns the series with labels that can be written, and how many were
// left out: series with two labels of one name, and series that became equal to an
// earlier one. A label with the reserved name is replaced by the type's.
func escapeSeries(series []metric.Series, reserved string, scheme Escaping) (kept []metric.Series, dropped int) {
	kept = make([]metric.Series, 0, len(series))
	seen := make(map[string]struct{}, len(series))
	for _, s := range series {
		labels := make(metric.Labels, 0, len(s.Labels))
		for _, l := range s.Labels {
			if name := escapeLabelName(l.Name, scheme); name != reserved {
				labels = append(labels, metric.Label{Name: name, Value: validUTF8(l.Value)})
			}
		}
		labels.Sort() // otherwise {a.b, a_a} and {a_a, a_b} would not compare equal
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

// exemplarLabels returns an exemplar's labels as they can be written. It returns false
// if they cannot be, because they are too long or a name occurs twice.
func exemplarLabels(labels metric.Labels, scheme Escaping) (metric.Labels, bool) {
	fit := true
	for _, l := range labels {
		fit = fit && l.Name == escapeLabelName(l.Name, scheme) && utf8.ValidString(l.Value)
	}
	if !fit {
		escaped := make(metric.Labels, len(labels))
		for i, l := range labels {
			escaped[i] = metric.Label{Name: escapeLabelName(l.Name, scheme), Value: validUTF8(l.Value)}
		}
		labels = escaped
		labels.Sort()
	}
	runes := 0
	for i, l := range labels {
		if i > 0 && labels[i-1].Name == l.Name {
			return nil, false
		}
		runes += utf8.RuneCountInString(l.Name) + utf8.RuneCountInString(l.Value)
	}
	return labels, runes <= openmetrics.MaxExemplarRunes
}
