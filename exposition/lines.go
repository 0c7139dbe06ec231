package exposition

import (
	"math"
	"time"

	"github.com/multiprom/multiprom/internal/form"
	"github.com/multiprom/multiprom/metric"
)

// lines is what the text formats share: the current family.
type lines struct {
	*syntax
	name   string // escaped
	quoted bool   // name is not a legacy one
	bounds []boundText
}

// syntax is how the lines of the text formats differ.
type syntax struct {
	appendHelp  func(dst []byte, help string) []byte
	appendBound func(dst []byte, v float64) []byte // of a bucket or quantile
	appendTime  func(dst []byte, t time.Time) []byte
	exemplars   bool
}

// boundText remembers where in buf a bucket bound is written. All series of a family
// have the same bounds.
type boundText struct {
	bound    float64
	from, to int
}

func (l *lines) setName(name string) {
	l.name, l.quoted = name, !form.IsLegacyName(name)
}

// endSeries flushes the buffer if it is large enough.
func (e *encoder) endSeries() {
	if e.flush(flushSize) {
		e.bounds = e.bounds[:0] // they pointed into the old buffer
	}
}

// head writes the HELP and TYPE lines.
func (e *encoder) head(suffix, help, typ string) {
	if help != "" {
		e.keyword("# HELP ", suffix)
		e.buf = e.appendHelp(e.buf, validUTF8(help))
		e.buf = append(e.buf, '\n')
	}
	e.keyword("# TYPE ", suffix)
	e.buf = append(e.buf, typ...)
	e.buf = append(e.buf, '\n')
}

func (e *encoder) keyword(keyword, suffix string) {
	e.buf = append(e.buf, keyword...)
	e.writeName(suffix)
	e.buf = append(e.buf, ' ')
}

func (e *encoder) sample(suffix string, s *metric.Series, v float64) {
	e.sampleWith(suffix, s, floatNumber, math.Float64bits(v), nil)
}

func (e *encoder) count(suffix string, s *metric.Series) {
	e.sampleWith(suffix, s, countNumber, s.Count, nil)
}

func (e *encoder) sampleWith(suffix string, s *metric.Series, kind numberKind, bits uint64, x *metric.Exemplar) {
	if !e.reading {
		e.beginSample(suffix, s)
	}
	e.number(kind, bits)
	e.endLine(s.Timestamp, x)
}

// buckets writes all buckets, and adds +Inf if it is missing.
func (e *encoder) buckets(s *metric.Series) {
	start := len(e.buf)
	if !e.reading {
		e.nextLabel(e.openLabels("_bucket", s.Labels))
		e.buf = append(e.buf, `le="`...)
	}
	end := len(e.buf) // everything up to here is the same for each bucket

	bucket := func(i int, b *metric.Bucket) {
		if !e.reading {
			if i > 0 {
				e.buf = append(e.buf, e.buf[start:end]...)
			}
			e.bound(i, b.UpperBound)
			e.buf = append(e.buf, `"} `...)
		}
		e.number(countNumber, b.Count)
		x := b.Exemplar
		if x != nil && !(x.Value <= b.UpperBound) { // not Value > bound: NaN is in no bucket
			x = nil
		}
		e.endLine(s.Timestamp, x)
	}
	for i := range s.Buckets {
		bucket(i, &s.Buckets[i])
	}
	if n := len(s.Buckets); n == 0 || !math.IsInf(s.Buckets[n-1].UpperBound, 1) {
		bucket(n, &metric.Bucket{UpperBound: math.Inf(1), Count: s.Count})
	}
}

// bound writes the bound of bucket i. It copies the text of the previous series if that
// has the same bound.
func (e *encoder) bound(i int, bound float64) {
	if i < len(e.bounds) && e.bounds[i].bound == bound {
		e.buf = append(e.buf, e.buf[e.bounds[i].from:e.bounds[i].to]...)
		return
	}
	from := len(e.buf)
	e.buf = e.appendBound(e.buf, bound)
	e.bounds = append(e.bounds[:min(i, len(e.bounds))], boundText{bound, from, len(e.buf)})
}

func (e *encoder) quantile(s *metric.Series, q metric.Quantile) {
	if e.reading {
		e.odd = true // only collectors have one
		return
	}
	e.nextLabel(e.openLabels("", s.Labels))
	e.buf = append(e.buf, `quantile="`...)
	e.buf = e.appendBound(e.buf, q.Q)
	e.buf = append(e.buf, `"} `...)
	e.buf = form.AppendFloat(e.buf, q.Value)
	e.endLine(s.Timestamp, nil)
}

func (e *encoder) states(s *metric.Series, label string) {
	for _, st := range s.States {
		e.nextLabel(e.openLabels("", s.Labels))
		e.writeLabel(metric.Label{Name: label, Value: validUTF8(st.Name)})
		e.buf = append(e.buf, '}', ' ')
		if st.On {
			e.buf = append(e.buf, '1')
		} else {
			e.buf = append(e.buf, '0')
		}
		e.endLine(s.Timestamp, nil)
	}
}

// beginSample writes everything before the value.
func (e *encoder) beginSample(suffix string, s *metric.Series) {
	if e.openLabels(suffix, s.Labels) {
		e.buf = append(e.buf, '}')
	}
	e.buf = append(e.buf, ' ')
}

// openLabels writes the name and the labels without the closing brace. It returns
// whether it wrote an opening one.
func (e *encoder) openLabels(suffix string, labels metric.Labels) bool {
	open := e.quoted
	if open {
		e.buf = append(e.buf, '{') // a quoted name goes inside
	}
	e.writeName(suffix)
	for _, l := range labels {
		e.nextLabel(open)
		e.writeLabel(l)
		open = true
	}
	return open
}

// nextLabel writes what comes before another label.
func (e *encoder) nextLabel(open bool) {
	if open {
		e.buf = append(e.buf, ',')
	} else {
		e.buf = append(e.buf, '{')
	}
}

func (e *encoder) writeName(suffix string) {
	if !e.quoted {
		e.buf = append(append(e.buf, e.name...), suffix...)
		return
	}
	e.buf = append(e.buf, '"')
	e.buf = form.AppendEscaped(e.buf, e.name)
	e.buf = append(e.buf, suffix...)
	e.buf = append(e.buf, '"')
}

func (e *encoder) writeLabel(l metric.Label) {
	if e.escaping == AllowUTF8 && !form.IsLegacyLabelName(l.Name) {
		e.buf = append(e.buf, '"')
		e.buf = form.AppendEscaped(e.buf, l.Name)
		e.buf = append(e.buf, '"')
	} else {
		e.buf = append(e.buf, l.Name...)
	}
	e.buf = append(e.buf, '=', '"')
	e.buf = form.AppendEscaped(e.buf, l.Value)
	e.buf = append(e.buf, '"')
}

func (e *encoder) endLine(timestamp time.Time, x *metric.Exemplar) {
	if e.reading {
		e.odd = e.odd || !timestamp.IsZero() || x != nil && e.exemplars
		return
	}
	if !timestamp.IsZero() {
		e.buf = append(e.buf, ' ')
		e.buf = e.appendTime(e.buf, timestamp)
	}
	if x != nil && e.exemplars {
		e.exemplar(x)
	}
	e.buf = append(e.buf, '\n')
}

// exemplar writes x, unless its labels cannot be written.
func (e *encoder) exemplar(x *metric.Exemplar) {
	labels, ok := exemplarLabels(x.Labels, e.escaping)
	if !ok {
		return
	}
	e.buf = append(e.buf, " # {"...)
	for i, l := range labels {
		if i > 0 {
			e.buf = append(e.buf, ',')
		}
		e.writeLabel(l)
	}
	e.buf = append(e.buf, "} "...)
	e.buf = form.AppendFloat(e.buf, x.Value)
	if !x.Timestamp.IsZero() {
		e.buf = append(e.buf, ' ')
		e.buf = e.appendTime(e.buf, x.Timestamp)
	}
}
