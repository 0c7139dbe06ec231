package exposition

import (
	"io"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/multiprom/multiprom/metric"
)

// flushSize is how much text an encoder gathers before it writes.
const flushSize = 64 << 10

// textEncoder writes both versions of the text format.
type textEncoder struct {
	// Where the text goes.
	buf []byte
	w   io.Writer // nil: all of it stays in buf
	err error     // the first of w; nothing is written after it
	own []byte    // kept from one Encode to the next

	// Which names are taken, and what was left out for it.
	claims  map[claim]struct{}
	dropped CollisionError

	// The family at hand.
	allowUTF8 bool
	name      string // escaped
	quoted    bool   // name is not a legacy one
	bounds    []boundText
}

// claim is a sample name, cut before its last underscore: so x_sum is found to
// be taken without joining x and _sum for each histogram of each scrape.
type claim struct{ base, suffix string }

// boundText remembers where in buf a bucket bound is written. The series of a
// family have the same ones.
type boundText struct {
	bound    float64
	from, to int
}

// emitted are the suffixes of the sample names of a type in text, the first
// being that of the names in the HELP and TYPE lines.
var emitted = map[metric.Type][]string{
	metric.Unknown:        {""},
	metric.Counter:        {"_total"},
	metric.Gauge:          {""},
	metric.Histogram:      {"", "_bucket", "_sum", "_count"},
	metric.Summary:        {"", "_sum", "_count"},
	metric.Info:           {"_info"},
	metric.StateSet:       {""},
	metric.GaugeHistogram: {"", "_bucket", "_gcount", "_gsum"},
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

// encode writes all families. Names are claimed before anything is written:
// an x_created that exists must not lose its name to the created times of x.
func (e *textEncoder) encode(families []*metric.Family, opts Options) error {
	e.allowUTF8 = opts.Format.utf8()
	kept := make([]*metric.Family, 0, len(families))
	for _, f := range families {
		if f == nil || len(f.Series) == 0 || !f.Type.Valid() {
			continue
		}
		if e.claim(escapeName(f.Name, e.allowUTF8), emitted[f.Type]) {
			kept = append(kept, f)
		} else {
			e.dropped.Names = append(e.dropped.Names, f.Name)
		}
	}
	for _, f := range kept {
		if e.err == nil {
			e.family(f, opts.Created)
		}
	}
	e.flush(0)
	switch {
	case e.err != nil:
		return e.err
	case len(e.dropped.Names) > 0 || e.dropped.Series > 0:
		dropped := e.dropped
		return &dropped
	}
	return nil
}

// release lets go of all that belongs to the caller.
func (e *textEncoder) release() {
	clear(e.claims)
	e.bounds = e.bounds[:0]
	e.buf, e.w, e.err, e.dropped, e.name = nil, nil, nil, CollisionError{}, ""
}

// claim takes the sample names of base with these suffixes: all or, if one of
// them is taken, none.
func (e *textEncoder) claim(base string, suffixes []string) bool {
	for _, suffix := range suffixes {
		if _, ok := e.claims[cut(base, suffix)]; ok {
			return false
		}
	}
	for _, suffix := range suffixes {
		e.claims[cut(base, suffix)] = struct{}{}
	}
	return true
}

// cut returns the claim for base+suffix, where suffix is empty or begins with
// its only underscore.
func cut(base, suffix string) claim {
	if suffix != "" {
		return claim{base, suffix}
	}
	i := max(0, strings.LastIndexByte(base, '_'))
	return claim{base[:i], base[i:]}
}

func (e *textEncoder) family(f *metric.Family, created bool) {
	e.name = escapeName(f.Name, e.allowUTF8)
	e.quoted = !metric.IsLegacyName(e.name)

	reserved := ""
	switch f.Type {
	case metric.Histogram, metric.GaugeHistogram:
		reserved = "le"
	case metric.Summary:
		reserved = "quantile"
	case metric.StateSet:
		reserved = escapeLabelName(f.Name, e.allowUTF8)
	}
	series := f.Series
	if !writable(series, reserved, e.allowUTF8) {
		var dropped int
		series, dropped = escapeSeries(series, reserved, e.allowUTF8)
		e.dropped.Series += dropped
	}

	e.head(emitted[f.Type][0], f.Help, textTypes[f.Type])
	for i := range series {
		s := &series[i]
		switch f.Type {
		case metric.Counter:
			e.sample("_total", s, s.Value)
		case metric.Info:
			e.sample("_info", s, 1)
		case metric.StateSet:
			e.states(s, reserved)
		case metric.Histogram:
			e.buckets(s)
			if metric.HasSum(s) {
				e.sample("_sum", s, s.Sum)
			}
			e.count("_count", s)
		case metric.GaugeHistogram:
			e.buckets(s)
		case metric.Summary:
			e.quantiles(s)
			e.sample("_sum", s, s.Sum)
			e.count("_count", s)
		default:
			e.sample("", s, s.Value)
		}
		e.flush(flushSize)
	}

	if f.Type == metric.GaugeHistogram {
		e.gauge("_gcount", f.Help, series, func(*metric.Series) bool { return true }, e.count)
		e.gauge("_gsum", f.Help, series, metric.HasSum, func(suffix string, s *metric.Series) {
			e.sample(suffix, s, s.Sum)
		})
	}
	if created && (f.Type == metric.Counter || f.Type == metric.Histogram || f.Type == metric.Summary) {
		e.gauge("_created", f.Help, series, hasCreated, func(suffix string, s *metric.Series) {
			e.sample(suffix, s, float64(s.Created.Unix())+float64(s.Created.Nanosecond())/1e9)
		})
	}
}

func hasCreated(s *metric.Series) bool { return !s.Created.IsZero() }

// gauge writes one value of each series that has it as a gauge of its own,
// which no text format has a place for within the family.
func (e *textEncoder) gauge(suffix, help string, series []metric.Series, has func(*metric.Series) bool, write func(string, *metric.Series)) {
	begun := false
	for i := range series {
		s := &series[i]
		if !has(s) {
			continue
		}
		if !begun {
			// The names of a gauge histogram were claimed with the family.
			if suffix == "_created" && !e.claim(e.name, []string{suffix}) {
				e.dropped.Names = append(e.dropped.Names, e.name+suffix)
				return
			}
			e.head(suffix, help, "gauge")
			begun = true
		}
		write(suffix, s)
		e.flush(flushSize)
	}
}

// head writes the HELP and TYPE lines.
func (e *textEncoder) head(suffix, help, typ string) {
	if help != "" {
		e.buf = append(e.buf, "# HELP "...)
		e.writeName(suffix)
		e.buf = append(e.buf, ' ')
		e.buf = appendHelp(e.buf, validUTF8(help))
		e.buf = append(e.buf, '\n')
	}
	e.buf = append(e.buf, "# TYPE "...)
	e.writeName(suffix)
	e.buf = append(e.buf, ' ')
	e.buf = append(e.buf, typ...)
	e.buf = append(e.buf, '\n')
}

// appendHelp escapes as a HELP line wants it: quotes stay as they are.
func appendHelp(dst []byte, help string) []byte {
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

func (e *textEncoder) sample(suffix string, s *metric.Series, v float64) {
	e.closeLabels(e.openLabels(suffix, s.Labels))
	e.buf = metric.AppendFloat(e.buf, v)
	e.endLine(s.Timestamp)
}

func (e *textEncoder) count(suffix string, s *metric.Series) {
	e.closeLabels(e.openLabels(suffix, s.Labels))
	e.buf = strconv.AppendUint(e.buf, s.Count, 10)
	e.endLine(s.Timestamp)
}

// buckets writes all buckets, and adds the one of +Inf if it is not there.
func (e *textEncoder) buckets(s *metric.Series) {
	start := len(e.buf)
	e.nextLabel(e.openLabels("_bucket", s.Labels))
	e.buf = append(e.buf, `le="`...)
	end := len(e.buf) // all up to here is the same for each bucket

	bucket := func(i int, bound float64, count uint64) {
		if i > 0 {
			e.buf = append(e.buf, e.buf[start:end]...)
		}
		e.bound(i, bound)
		e.buf = append(e.buf, `"} `...)
		e.buf = strconv.AppendUint(e.buf, count, 10)
		e.endLine(s.Timestamp)
	}
	for i, b := range s.Buckets {
		bucket(i, b.UpperBound, b.Count)
	}
	if n := len(s.Buckets); n == 0 || !math.IsInf(s.Buckets[n-1].UpperBound, 1) {
		bucket(n, math.Inf(1), s.Count)
	}
}

// bound writes the bound of bucket i, copied from the series before if that
// has the same.
func (e *textEncoder) bound(i int, bound float64) {
	if i < len(e.bounds) && e.bounds[i].bound == bound {
		e.buf = append(e.buf, e.buf[e.bounds[i].from:e.bounds[i].to]...)
		return
	}
	from := len(e.buf)
	e.buf = metric.AppendFloat(e.buf, bound)
	e.bounds = append(e.bounds[:min(i, len(e.bounds))], boundText{bound, from, len(e.buf)})
}

func (e *textEncoder) quantiles(s *metric.Series) {
	for _, q := range s.Quantiles {
		e.nextLabel(e.openLabels("", s.Labels))
		e.buf = append(e.buf, `quantile="`...)
		e.buf = metric.AppendFloat(e.buf, q.Q)
		e.buf = append(e.buf, `"} `...)
		e.buf = metric.AppendFloat(e.buf, q.Value)
		e.endLine(s.Timestamp)
	}
}

func (e *textEncoder) states(s *metric.Series, label string) {
	for _, st := range s.States {
		e.nextLabel(e.openLabels("", s.Labels))
		e.writeLabel(metric.Label{Name: label, Value: validUTF8(st.Name)})
		e.buf = append(e.buf, '}', ' ')
		if st.On {
			e.buf = append(e.buf, '1')
		} else {
			e.buf = append(e.buf, '0')
		}
		e.endLine(s.Timestamp)
	}
}

// openLabels writes the name and the labels without the closing brace. It
// returns whether there is an opening one.
func (e *textEncoder) openLabels(suffix string, labels metric.Labels) bool {
	open := e.quoted
	if open {
		e.buf = append(e.buf, '{') // a quoted name stands inside
	}
	e.writeName(suffix)
	for _, l := range labels {
		e.nextLabel(open)
		e.writeLabel(l)
		open = true
	}
	return open
}

// nextLabel writes what stands before another label.
func (e *textEncoder) nextLabel(open bool) {
	if open {
		e.buf = append(e.buf, ',')
	} else {
		e.buf = append(e.buf, '{')
	}
}

// closeLabels writes what stands before the value.
func (e *textEncoder) closeLabels(open bool) {
	if open {
		e.buf = append(e.buf, '}')
	}
	e.buf = append(e.buf, ' ')
}

func (e *textEncoder) writeName(suffix string) {
	if !e.quoted {
		e.buf = append(append(e.buf, e.name...), suffix...)
		return
	}
	e.buf = append(e.buf, '"')
	e.buf = metric.AppendEscaped(e.buf, e.name)
	e.buf = append(e.buf, suffix...)
	e.buf = append(e.buf, '"')
}

func (e *textEncoder) writeLabel(l metric.Label) {
	if e.allowUTF8 && !metric.IsLegacyLabelName(l.Name) {
		e.buf = append(e.buf, '"')
		e.buf = metric.AppendEscaped(e.buf, l.Name)
		e.buf = append(e.buf, '"')
	} else {
		e.buf = append(e.buf, l.Name...)
	}
	e.buf = append(e.buf, '=', '"')
	e.buf = metric.AppendEscaped(e.buf, l.Value)
	e.buf = append(e.buf, '"')
}

func (e *textEncoder) endLine(timestamp time.Time) {
	if !timestamp.IsZero() {
		e.buf = append(e.buf, ' ')
		e.buf = strconv.AppendInt(e.buf, timestamp.UnixMilli(), 10)
	}
	e.buf = append(e.buf, '\n')
}

// flush writes buf out if it holds more than size bytes.
func (e *textEncoder) flush(size int) {
	if e.w == nil || len(e.buf) <= size {
		return
	}
	if e.err == nil {
		_, e.err = e.w.Write(e.buf)
	}
	e.buf = e.buf[:0]
	e.bounds = e.bounds[:0] // they pointed into what is gone
}
