package exposition

import (
	"cmp"
	"net/http"
	"slices"
	"strconv"
	"strings"
)

// Negotiate returns the format that the header Accept prefers among those
// that this package writes. It is the zero Format if the header has none of
// them: a scraper that asks for something else does better with text than
// with an error.
func Negotiate(h http.Header) Format {
	for _, r := range acceptable(h.Values("Accept")) {
		if f, ok := r.format(); ok {
			return f
		}
	}
	return Format{}
}

// format returns the format that r asks for, if it is one of ours. As in
// Prometheus' expfmt, an escaping scheme that is not known becomes the default
// one; the content type then says so.
func (r mediaRange) format() (Format, bool) {
	var f Format
	switch r.name {
	case "text/plain":
		switch r.params["version"] {
		case "", "0.0.4":
		case "1.0.0":
			f.Version = Text100
		default:
			return f, false
		}
	case "text/*", "*/*":
	default:
		return f, false
	}
	switch r.params["escaping"] {
	case "":
	case "allow-utf-8":
		f.Escaping = AllowUTF8
	default:
		f.Escaping = Underscores
	}
	return f, true
}

// negotiateCoding returns the best of our content codings that the client
// accepts, nil for none. At equal weight, zstd goes before gzip and both
// before no coding. "*" stands for gzip only: a client that knows zstd says so.
// Where even identity is forbidden, the answer is uncoded all the same
// (RFC 9110, 12.5.3).
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

// mediaRange is one element of an Accept header, or of one of its siblings.
type mediaRange struct {
	name   string // in lower case
	params map[string]string
	q      float64
}

// acceptable returns the ranges of a header, the preferred ones first, without
// those that the client refuses.
func acceptable(values []string) []mediaRange {
	ranges := slices.DeleteFunc(parseRanges(values), func(r mediaRange) bool { return r.q <= 0 })
	slices.SortStableFunc(ranges, func(a, b mediaRange) int {
		return cmp.Or(cmp.Compare(b.q, a.q), cmp.Compare(a.wildcards(), b.wildcards()))
	})
	return ranges
}

func (r mediaRange) wildcards() int { return strings.Count(r.name, "*") }

// parseRanges splits the values of a header into its elements, in their order.
// A weight that is not a number between 0 and 1 counts as 0: whatever the
// client meant, the default suits it.
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
