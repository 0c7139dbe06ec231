package exposition

import (
	"math"
	"slices"
	"strconv"
	"time"

	"github.com/multiprom/multiprom/internal/form"
	"github.com/multiprom/multiprom/internal/histogram"
	"github.com/multiprom/multiprom/internal/views"
	"github.com/multiprom/multiprom/metric"
)

// openMetrics2Layout is OpenMetrics 2.0. A family has one name and each series one line, with
// a composite value if it has more than one number. The names are those of text, also those
// under which a server stores the parts of a composite value.
var openMetrics2Layout = layout{
	emitted: map[metric.Type][]string{
		metric.Unknown:        {""},
		metric.Counter:        {"_total"},
		metric.Gauge:          {""},
		metric.Histogram:      {"", "_bucket", "_sum", "_count"},
		metric.Summary:        {"", "_sum", "_count"},
		metric.Info:           {"_info"},
		metric.StateSet:       {""},
		metric.GaugeHistogram: {"", "_bucket", "_gsum", "_gcount"},
	},
	syntax: &syntax{
		appendHelp:  openMetricsLayout.syntax.appendHelp,
		appendBound: form.AppendCanonical,
		appendTime:  appendSeconds,
		exemplars:   true,
	},
	family: (*encoder).openMetrics2Family,
	end:    "# EOF\n",
}

// openMetrics2Family writes f. Unless e is lenient, it leaves out what would make the whole
// exposition invalid: see Options.Lenient.
func (e *encoder) openMetrics2Family(f *views.Family, series seriesList) {
	own := ownSuffix(f.Type)
	state := e.reservedLabel(f.Family)
	typ := f.Type.String()
	if f.Type == metric.StateSet && state != e.name {
		typ = "gauge" // the name has a colon, so it cannot be a label name
	}
	e.keyword("# TYPE ", own)
	e.buf = append(append(e.buf, typ...), '\n')
	if unit := e.unit(f.Family); unit != "" {
		e.keyword("# UNIT ", own)
		e.buf = append(append(e.buf, unit...), '\n')
	}
	if f.Help != "" {
		e.keyword("# HELP ", own)
		e.buf = append(e.appendHelp(e.buf, validUTF8(f.Help)), '\n')
	}
	e.each(f, mainSection, series, func(s *metric.Series) {
		switch f.Type {
		case metric.Counter:
			if !(s.Value >= 0 || e.lenient && s.Value == s.Value) { // no parser reads a counter that is NaN
				e.omitted.Values++
				return
			}
			e.begin(own, s)
			e.number(floatNumber, math.Float64bits(s.Value))
			e.endSample(s, true, s.Exemplar)
		case metric.Info:
			e.sample(own, s, 1)
		case metric.StateSet:
			e.states(s, state)
		case metric.Histogram:
			e.begin("", s)
			e.composite("{count:", ",sum:", s)
			native := shownNative(s)
			if native != nil {
				e.native(native)
			}
			if native == nil || !histogram.OnlyInf(s) {
				e.bucketList(s)
			}
			e.literal("}")
			e.endSample(s, true, histogram.Exemplars(s.Buckets, native)...)
		case metric.GaugeHistogram:
			e.begin("", s)
			e.composite("{gcount:", ",gsum:", s)
			e.bucketList(s)
			e.literal("}")
			e.endSample(s, false, histogram.Exemplars(s.Buckets, nil)...)
		case metric.Summary:
			if !(s.Sum >= 0 && !s.NoSum || e.lenient) {
				e.omitted.Values++ // the sum must be there
				return
			}
			e.begin("", s)
			e.composite("{count:", ",sum:", s)
			e.quantileList(s)
			e.literal("}")
			e.endSample(s, true)
		default:
			e.sample("", s, s.Value)
		}
	})
}

// begin writes everything before a value whose numbers may be read or recorded.
func (e *encoder) begin(suffix string, s *metric.Series) {
	if !e.reading {
		e.beginSample(suffix, s)
	}
}

// literal writes a part of a composite value that is no number.
func (e *encoder) literal(text string) {
	if !e.reading {
		e.buf = append(e.buf, text...)
	}
}

// composite writes count and sum. A sum that is not known is NaN.
func (e *encoder) composite(count, sum string, s *metric.Series) {
	e.literal(count)
	e.number(countNumber, s.Count)
	e.literal(sum)
	v := s.Sum
	if s.NoSum {
		v = math.NaN()
	}
	e.number(floatNumber, math.Float64bits(v))
}

// bucketList writes the classic buckets, and adds +Inf if it is missing.
func (e *encoder) bucketList(s *metric.Series) {
	e.literal(",bucket:[")
	bucket := func(i int, bound float64, n uint64) {
		if !e.reading {
			if i > 0 {
				e.buf = append(e.buf, ',')
			}
			e.bound(i, bound)
			e.buf = append(e.buf, ':')
		}
		e.number(countNumber, n)
	}
	for i := range s.Buckets {
		bucket(i, s.Buckets[i].UpperBound, s.Buckets[i].Count)
	}
	if n := len(s.Buckets); n == 0 || !math.IsInf(s.Buckets[n-1].UpperBound, 1) {
		bucket(n, math.Inf(1), s.Count)
	}
	e.literal("]")
}

// quantileList writes the quantiles that may be written. Only collectors have some.
func (e *encoder) quantileList(s *metric.Series) {
	e.odd = e.odd || len(s.Quantiles) > 0
	e.literal(",quantile:[")
	comma := ""
	for _, q := range s.Quantiles {
		if e.reading || !(q.Q >= 0 && q.Q <= 1) || q.Value < 0 && !e.lenient {
			continue // no parser reads a quantile outside 0 to 1
		}
		e.buf = append(e.buf, comma...)
		e.buf = append(e.appendBound(e.buf, q.Q), ':')
		e.buf = form.AppendFloat(e.buf, q.Value)
		comma = ","
	}
	e.literal("]")
}

// mostExact is the largest count of a native histogram that is written. Servers read it as a
// float64, compare it with the sum of the buckets, and reject the scrape if they differ.
const mostExact = 1 << 53

// shownNative returns the native buckets of s, or nil if it has none that can be written.
func shownNative(s *metric.Series) *metric.NativeHistogram {
	if s.Count > mostExact {
		return nil
	}
	return s.Native
}

// native writes native buckets. Which of them there are changes as easily as their counts, so
// their text is not kept.
func (e *encoder) native(h *metric.NativeHistogram) {
	if e.reading {
		e.odd = true
		return
	}
	e.buf = strconv.AppendInt(append(e.buf, ",schema:"...), int64(h.Schema), 10)
	e.buf = form.AppendFloat(append(e.buf, ",zero_threshold:"...), h.ZeroThreshold)
	e.buf = strconv.AppendUint(append(e.buf, ",zero_count:"...), h.ZeroCount, 10)
	e.nativeSpans(",negative_spans:[", "],negative_buckets:[", h.Negative)
	e.nativeSpans(",positive_spans:[", "],positive_buckets:[", h.Positive)
}

// nativeSpans writes where buckets are, and their counts.
func (e *encoder) nativeSpans(head, between string, spans []metric.Span) {
	if len(spans) == 0 {
		return
	}
	e.buf = append(e.buf, head...)
	for i, s := range spans {
		if i > 0 {
			e.buf = append(e.buf, ',')
		}
		e.buf = append(strconv.AppendInt(e.buf, int64(s.Offset), 10), ':')
		e.buf = strconv.AppendInt(e.buf, int64(len(s.Counts)), 10)
	}
	e.buf = append(e.buf, between...)
	comma := ""
	for _, s := range spans {
		for _, n := range s.Counts {
			e.buf = strconv.AppendUint(append(e.buf, comma...), n, 10)
			comma = ","
		}
	}
	e.buf = append(e.buf, ']')
}

// endSample writes what comes after the value: timestamp, created time and exemplars. Those
// without a time are left out, since they must have one.
func (e *encoder) endSample(s *metric.Series, hasCreated bool, exemplars ...*metric.Exemplar) {
	if e.reading {
		e.odd = e.odd || !s.Timestamp.IsZero() || slices.ContainsFunc(exemplars, func(x *metric.Exemplar) bool { return x != nil })
	} else if !s.Timestamp.IsZero() {
		e.buf = e.appendTime(append(e.buf, ' '), s.Timestamp)
	}
	if e.created && hasCreated && !s.Created.IsZero() {
		e.startTime(s.Created)
	}
	if e.reading {
		return
	}
	for _, x := range exemplars {
		if x != nil && !x.Timestamp.IsZero() {
			e.exemplar(x)
		}
	}
	e.buf = append(e.buf, '\n')
}

// startTime writes a created time.
func (e *encoder) startTime(created time.Time) {
	e.literal(" st@")
	if e.reading || e.recording {
		e.number(timeNumber, uint64(created.UnixNano()))
		return
	}
	e.buf = e.appendTime(e.buf, created) // a collector's may be out of range for nanoseconds
}
