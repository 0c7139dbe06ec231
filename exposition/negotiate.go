package exposition

import (
	"cmp"
	"net/http"
	"slices"
	"strconv"
	"strings"
)

// Negotiate returns the content type that the Accept header prefers among those of this
// package. The weights decide (RFC 9110, 12.5.1); at equal weight the first one that is
// not a wildcard. It returns the zero ContentType if the header has none of them: text is
// more useful to such a scraper than an error.
func Negotiate(h http.Header) ContentType {
	ranges := acceptable(h.Values("Accept"))
	for _, r := range ranges {
		if r.q <= 0 {
			break // they come last
		}
		v, ok := r.format(ranges)
		if !ok {
			continue
		}
		f := ContentType{Format: v}
		// As in Prometheus' expfmt, an unknown scheme becomes the default one, and the
		// content type says so.
		if scheme := r.params["escaping"]; scheme != "" {
			if err := f.Escaping.UnmarshalText([]byte(scheme)); err != nil {
				f.Escaping = Underscores
			}
		}
		return f
	}
	return ContentType{}
}

// format returns the format that r asks for, if this package has it.
func (r mediaRange) format(all []mediaRange) (Format, bool) {
	switch r.name {
	case "text/plain":
		switch r.params["version"] {
		case "", "0.0.4":
			return Text004, true
		case "1.0.0":
			return Text100, true
		}
	case "application/openmetrics-text":
		switch r.params["version"] {
		case "", "0.0.1":
			return OpenMetrics001, true
		case "1.0.0":
			return OpenMetrics100, true
		case "2.0.0":
			return OpenMetrics200, true
		}
	case "application/vnd.google.protobuf":
		if r.params["proto"] == "io.prometheus.client.MetricFamily" && r.params["encoding"] == "delimited" {
			return Protobuf, true
		}
	case "text/*":
		return Text004, !refused(all, Text004)
	case "application/*":
		return OpenMetrics100, !refused(all, OpenMetrics100)
	case "*/*":
		for _, v := range []Format{Text004, OpenMetrics100} {
			if !refused(all, v) {
				return v, true
			}
		}
	}
	return 0, false
}

// refused reports whether a version has a weight of 0, itself or through its whole
// type. A wildcard then does not include it.
func refused(all []mediaRange, v Format) bool {
	for _, r := range all {
		if r.q > 0 || r.wildcards() > 0 {
			continue
		}
		if got, ok := r.format(all); ok && (got == v || r.params["version"] == "" && sameType(got, v)) {
			return true
		}
	}
	return false
}

func sameType(a, b Format) bool {
	typeOf := func(v Format) string { name, _, _ := strings.Cut(mediaTypes[v], ";"); return name }
	return typeOf(a) == typeOf(b)
}

// negotiateCoding returns the best content coding that the client accepts, or nil for
// none. At equal weight, zstd comes before gzip, and both before no coding. "*" means
// gzip only, because a client that knows zstd says so. If even identity is forbidden,
// the answer is uncoded anyway (RFC 9110, 12.5.3).
func negotiateCoding(h http.Header) *coding {
	weights := map[string]float64{}
	for _, r := range parseRanges(h.Values("Accept-Encoding")) {
		if _, ok := weights[r.name]; !ok {
			weights[r.name] = r.q
		}
	}
	if _, ok := weights["gzip"]; !ok {
		weights["gzip"] = weights["*"]
	}
	var best *coding
	for _, c := range []*coding{zstdCoding, gzipCoding} {
		if q := weights[c.name]; q > 0 && (best == nil || q > weights[best.name]) {
			best = c
		}
	}
	if best != nil && weights["identity"] > weights[best.name] {
		return nil
	}
	return best
}

// mediaRange is one element of an Accept header or a similar one.
type mediaRange struct {
	name   string // in lower case
	params map[string]string
	q      float64
}

// acceptable returns the ranges of a header, preferred ones first and refused ones
// last.
func acceptable(values []string) []mediaRange {
	ranges := parseRanges(values)
	slices.SortStableFunc(ranges, func(a, b mediaRange) int {
		return cmp.Or(cmp.Compare(b.q, a.q), cmp.Compare(a.wildcards(), b.wildcards()))
	})
	return ranges
}

func (r mediaRange) wildcards() int { return strings.Count(r.name, "*") }

// parseRanges splits the values of a header into its elements, in order. A weight that
// is not a number from 0 to 1 counts as 0: whatever the client meant, the default will
// do.
func parseRanges(values []string) []mediaRange {
	var ranges []mediaRange
	for _, value := range values {
		for element := range strings.SplitSeq(value, ",") {
			name, rest, _ := strings.Cut(element, ";")
			name = strings.ToLower(strings.TrimSpace(name))
			if name == "" {
				continue
			}
			r := mediaRange{name: name, params: map[string]string{}, q: 1}
			for param := range strings.SplitSeq(rest, ";") {
				key, val, _ := strings.Cut(param, "=")
				key = strings.ToLower(strings.TrimSpace(key))
				val = strings.Trim(strings.TrimSpace(val), `"`)
				if key != "q" {
					r.params[key] = val
					continue
				}
				q, err := strconv.ParseFloat(val, 64)
				if err != nil || !(q >= 0 && q <= 1) {
					q = 0
				}
				r.q = q
			}
			ranges = append(ranges, r)
		}
	}
	return ranges
}
