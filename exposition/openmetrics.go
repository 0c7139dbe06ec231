package exposition

import (
	"bytes"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/multiprom/multiprom/internal/form"
	"github.com/multiprom/multiprom/internal/openmetrics"
	"github.com/multiprom/multiprom/internal/views"
	"github.com/multiprom/multiprom/metric"
)

// openMetricsLayout is OpenMetrics 1.0.0. It claims all names that a type can have,
// whether they are written or not, because parsers do so too.
var openMetricsLayout = layout{
	emitted: map[metric.Type][]string{
		metric.Unknown:        {""},
		metric.Counter:        {"", "_total", "_created"},
		metric.Gauge:          {""},
		metric.Histogram:      {"", "_bucket", "_sum", "_count", "_created"},
		metric.Summary:        {"", "_sum", "_count", "_created"},
		metric.Info:           {"", "_info"},
		metric.StateSet:       {""},
		metric.GaugeHistogram: {"", "_bucket", "_gsum", "_gcount"},
	},
	syntax: &syntax{
		appendHelp: func(dst []byte, help string) []byte {
			// A carriage return would become part of the line ending.
			return form.AppendEscaped(dst, strings.TrimRight(help, "\r"))
		},
		appendBound: form.AppendCanonical,
		appendTime:  appendSeconds,
		exemplars:   true,
	},
	family: (*encoder).openMetricsFamily,
	end:    "# EOF\n",
}

// openMetricsFamily writes f. Unless e is lenient, it leaves out what would make the
// whole exposition invalid: see Options.Lenient.
func (e *encoder) openMetricsFamily(f *views.Family, series seriesList) {
	state := e.reservedLabel(f.Family)
	typ := f.Type.String()
	if f.Type == metric.StateSet && state != e.name {
		typ = "gauge" // the name has a colon, so it cannot be a label name
	}
	e.head("", f.Help, typ)
	if unit := e.unit(f.Family); unit != "" {
		e.keyword("# UNIT ", "")
		e.buf = append(append(e.buf, unit...), '\n')
	}
	e.each(f, mainSection, series, func(s *metric.Series) {
		switch f.Type {
		case metric.Counter:
			if !(s.Value >= 0 || e.lenient) {
				e.omitted.Values++
				return
			}
			e.sampleWith("_total", s, floatNumber, math.Float64bits(s.Value), s.Exemplar)
			e.createdSample(s)
		case metric.Info:
			e.sample("_info", s, 1)
		case metric.StateSet:
			e.states(s, state)
		case metric.Histogram:
			e.buckets(s)
			e.sumAndCount("_sum", "_count", s, s.Sum >= 0 && !openmetrics.HasNegativeBound(s)) // the sum could fall
			e.createdSample(s)
		case metric.GaugeHistogram:
			e.buckets(s)
			e.sumAndCount("_gsum", "_gcount", s, s.Sum >= 0 || s.Sum < 0 && openmetrics.HasNegativeBound(s))
		case metric.Summary:
			for _, q := range s.Quantiles {
				if e.lenient || q.Q >= 0 && q.Q <= 1 && !(q.Value < 0) {
					e.quantile(s, q)
				}
			}
			if !s.NoSum && (s.Sum >= 0 || e.lenient) {
				e.sample("_sum", s, s.Sum)
			}
			e.count("_count", s)
			e.createdSample(s)
		default:
			e.sample("", s, s.Value)
		}
	})
}

// sumAndCount writes both or, if the sum is unknown or invalid, neither. The
// specification forbids one without the other. The bucket +Inf has the count too.
func (e *encoder) sumAndCount(sum, count string, s *metric.Series, valid bool) {
	if !s.NoSum && (valid || e.lenient) {
		e.sample(sum, s, s.Sum)
	}
	if !s.NoSum && valid || e.lenient {
		e.count(count, s)
	}
}

// createdSample writes when the series started.
func (e *encoder) createdSample(s *metric.Series) {
	if !e.created || s.Created.IsZero() {
		return
	}
	if e.reading || e.recording {
		e.sampleWith("_created", s, timeNumber, uint64(s.Created.UnixNano()), nil)
		return
	}
	e.beginSample("_created", s)
	e.buf = e.appendTime(e.buf, s.Created) // a collector's may be out of range for nanoseconds
	e.endLine(s.Timestamp, nil)
}

// unit returns the unit of f, or "" if it cannot be written: the written name must end
// in it, and some types have no unit.
func (e *encoder) unit(f *metric.Family) string {
	name, ok := strings.CutSuffix(e.name, f.Unit)
	switch {
	case !ok, !strings.HasSuffix(name, "_"), f.Type == metric.Info, f.Type == metric.StateSet,
		!form.IsLegacyName("_" + f.Unit):
		return ""
	}
	return f.Unit
}

// appendSeconds appends a time in seconds, exactly. A float64 of that size cannot hold
// nanoseconds.
func appendSeconds(dst []byte, t time.Time) []byte {
	seconds, nanos := t.Unix(), t.Nanosecond()
	if seconds < 0 && nanos > 0 {
		seconds, nanos = seconds+1, 1e9-nanos
		if seconds == 0 {
			dst = append(dst, '-')
		}
	}
	dst = strconv.AppendInt(dst, seconds, 10)
	if nanos == 0 {
		return dst
	}
	var fraction [9]byte
	for i := len(fraction) - 1; i >= 0; i-- {
		fraction[i] = byte('0' + nanos%10)
		nanos /= 10
	}
	dst = append(dst, '.')
	return append(dst, bytes.TrimRight(fraction[:], "0")...)
}
