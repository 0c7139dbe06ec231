package exposition

import (
	"strconv"
	"time"

	"github.com/multiprom/multiprom/internal/form"
	"github.com/multiprom/multiprom/internal/views"
	"github.com/multiprom/multiprom/metric"
)

// textLayout is both versions of the text format.
var textLayout = layout{
	emitted: map[metric.Type][]string{
		metric.Unknown:        {""},
		metric.Counter:        {"_total"},
		metric.Gauge:          {""},
		metric.Histogram:      {"", "_bucket", "_sum", "_count"},
		metric.Summary:        {"", "_sum", "_count"},
		metric.Info:           {"_info"},
		metric.StateSet:       {""},
		metric.GaugeHistogram: {"", "_bucket"},
	},
	apart: map[metric.Type][]string{metric.GaugeHistogram: {"_gcount", "_gsum"}},
	syntax: &syntax{
		appendHelp:  appendTextHelp,
		appendBound: form.AppendBound,
		appendTime: func(dst []byte, t time.Time) []byte {
			return strconv.AppendInt(dst, t.UnixMilli(), 10)
		},
	},
	family: (*encoder).textFamily,
}

// textTypes are the names of the types in text.
var textTypes = map[metric.Type]string{
	metric.Unknown:        "untyped",
	metric.Counter:        "counter",
	metric.Gauge:          "gauge",
	metric.Histogram:      "histogram",
	metric.Summary:        "summary",
	metric.Info:           "gauge",
	metric.StateSet:       "gauge",
	metric.GaugeHistogram: "histogram",
}

func (e *encoder) textFamily(f *views.Family, series seriesList) {
	own := ownSuffix(f.Type)
	state := e.reservedLabel(f.Family)
	e.head(own, f.Help, textTypes[f.Type])
	e.each(f, mainSection, series, func(s *metric.Series) {
		switch f.Type {
		case metric.Info:
			e.sample(own, s, 1)
		case metric.StateSet:
			e.states(s, state)
		case metric.Histogram:
			e.buckets(s)
			if !s.NoSum {
				e.sample("_sum", s, s.Sum)
			}
			e.count("_count", s)
		case metric.GaugeHistogram:
			e.buckets(s)
		case metric.Summary:
			for _, q := range s.Quantiles {
				e.quantile(s, q)
			}
			if !s.NoSum {
				e.sample("_sum", s, s.Sum)
			}
			e.count("_count", s)
		default:
			e.sample(own, s, s.Value)
		}
	})

	switch f.Type {
	case metric.GaugeHistogram:
		e.gauge("_gcount", f, series, func(*metric.Series) bool { return true }, e.count)
		e.gauge("_gsum", f, series, func(s *metric.Series) bool { return !s.NoSum },
			func(suffix string, s *metric.Series) { e.sample(suffix, s, s.Sum) })
	case metric.Counter, metric.Histogram, metric.Summary:
		if e.created {
			e.gauge("_created", f, series, func(s *metric.Series) bool { return !s.Created.IsZero() },
				func(suffix string, s *metric.Series) {
					e.sample(suffix, s, float64(s.Created.Unix())+float64(s.Created.Nanosecond())/1e9)
				})
		}
	}
}

// gauge writes one value of each series that has it as a separate gauge, because the
// family in text cannot hold it.
func (e *encoder) gauge(suffix string, f *views.Family, series seriesList, has func(*metric.Series) bool, write func(string, *metric.Series)) {
	first := 0
	for first < series.len() && !has(e.series(series, first)) {
		first++
	}
	if first == series.len() {
		return
	}
	e.setName(e.base(f.Name, suffix))
	if suffix == "_created" && !e.claimApart(e.name, suffix) { // the others were claimed with the family
		e.omitted.Names = append(e.omitted.Names, e.name+suffix)
		return
	}
	e.head(suffix, f.Help, "gauge")
	e.each(f, createdSection, series, func(s *metric.Series) {
		if has(s) {
			write(suffix, s)
		}
	})
}

// appendTextHelp escapes a HELP line for text. Quotes stay as they are.
func appendTextHelp(dst []byte, help string) []byte {
	for i := 0; i < len(help); i++ {
		switch help[i] {
		case '\\':
			dst = append(dst, `\\`...)
		case '\n':
			dst = append(dst, `\n`...)
		default:
			dst = append(dst, help[i])
		}
	}
	return dst
}
