package textparse

import (
	"bytes"
	"math"
	"slices"
	"strconv"

	"github.com/multiprom/multiprom/internal/histogram"
	"github.com/multiprom/multiprom/metric"
)

// addComposite reads the sample's value as that of a histogram or a summary of OpenMetrics
// 2.0, and adds it to series i. The grammar has one order of the fields, and no blanks.
func (p *parser) addComposite(i int) error {
	f := &p.family
	s, value := &f.series[i], p.sample.value
	p.at = value.at
	f.progress[i].seen |= 1<<sum | 1<<count
	prefix := ""
	if f.typ == metric.GaugeHistogram {
		prefix = "g"
	}
	if !p.take('{') {
		return p.errorf(p.at, "the value of a %s is a composite one, {%scount:…}", f.typ, prefix)
	}
	var err error
	if s.Count, err = p.countField(prefix + "count:"); err != nil {
		return err
	}
	at := p.at + len(prefix) + len(",sum:")
	if s.Sum, err = p.numberField("," + prefix + "sum:"); err != nil {
		return err
	}
	if f.typ == metric.Summary {
		if !(s.Sum >= 0) {
			return p.errorf(at, "the sum of a summary must not be negative or NaN")
		}
		err = p.readQuantiles(s)
	} else {
		err = p.readHistogram(s)
	}
	if err != nil {
		return err
	}
	if !p.take('}') {
		return p.unexpected("a closing brace")
	}
	if p.at != value.at+len(value.text) {
		return p.unexpected("a blank")
	}
	return p.spread(s)
}

// readHistogram reads native buckets, classic ones, or both.
func (p *parser) readHistogram(s *metric.Series) error {
	start := p.at
	native := p.has(",schema:")
	if native {
		h, err := p.readNative()
		if err != nil {
			return err
		}
		if err := histogram.Check(h, s.Count, s.Sum); err != nil {
			return p.errorf(start, "%v", err)
		}
		if p.family.typ == metric.Histogram {
			s.Native = h // a gauge histogram has no place for it
		}
	}
	switch classic := p.has(",bucket:"); {
	case !classic && !native:
		return p.unexpected(quote(",bucket:"))
	case !classic:
		s.Buckets = append(s.Buckets, metric.Bucket{UpperBound: math.Inf(1), Count: s.Count})
		return nil
	}
	start = p.at
	if err := p.list(func() error { return p.readBucket(s) }); err != nil {
		return err
	}
	last := len(s.Buckets) - 1
	switch {
	case last < 0 || !math.IsInf(s.Buckets[last].UpperBound, 1):
		return p.errorf(start, "the histogram has no bucket +Inf")
	case s.Buckets[last].Count != s.Count:
		return p.errorf(start, "the histogram's count is not that of its bucket +Inf")
	}
	return nil
}

func (p *parser) readBucket(s *metric.Series) error {
	t := p.part()
	bound, ok := parseFloat(t.text)
	if !ok || math.IsNaN(bound) || math.IsInf(bound, 0) && string(t.text) != "+Inf" && string(t.text) != "-Inf" {
		return p.errorf(t.at, "%s is not a bound, which is a number, +Inf or -Inf", quote(t.text))
	}
	at := p.at + 1
	n, err := p.countField(":")
	if err != nil {
		return err
	}
	if last := len(s.Buckets) - 1; last >= 0 {
		before := s.Buckets[last]
		switch {
		case bound <= before.UpperBound:
			return p.errorf(t.at, "bucket bounds must ascend: %v follows %v", bound, before.UpperBound)
		case n < before.Count:
			return p.errorf(at, "buckets are cumulative: %d follows %d", n, before.Count)
		}
	}
	s.Buckets = append(s.Buckets, metric.Bucket{UpperBound: bound, Count: n})
	return nil
}

// readNative reads what comes after the name of the field schema.
func (p *parser) readNative() (*metric.NativeHistogram, error) {
	h := &metric.NativeHistogram{}
	t := p.part()
	schema, err := strconv.ParseInt(string(t.text), 10, 8)
	if err != nil {
		return nil, p.errorf(t.at, "%s is not a schema, which is a whole number from -4 to 8", quote(t.text))
	}
	h.Schema = int(schema)
	if h.ZeroThreshold, err = p.numberField(",zero_threshold:"); err != nil {
		return nil, err
	}
	if h.ZeroCount, err = p.countField(",zero_count:"); err != nil {
		return nil, err
	}
	if p.has(",negative_spans:") {
		if h.Negative, err = p.readSpans(",negative_buckets:"); err != nil {
			return nil, err
		}
	}
	if p.has(",positive_spans:") {
		if h.Positive, err = p.readSpans(",positive_buckets:"); err != nil {
			return nil, err
		}
	}
	return h, nil
}

// readSpans reads a list of spans, and the field with the counts of their buckets. The lengths
// of spans are not trusted: only buckets that are there take memory.
func (p *parser) readSpans(buckets string) ([]metric.Span, error) {
	type span struct{ offset, length int }
	var spans []span
	total, start := 0, p.at
	err := p.list(func() error {
		t := p.part()
		offset, err := strconv.ParseInt(string(t.text), 10, 32)
		if err != nil || offset < 0 && len(spans) > 0 {
			return p.errorf(t.at, "%s is not the offset of a span", quote(t.text))
		}
		at := p.at + 1
		length, err := p.countField(":")
		if err != nil {
			return err
		}
		if length > math.MaxInt32 || total > math.MaxInt32 {
			return p.errorf(at, "a span cannot have %d buckets", length)
		}
		spans, total = append(spans, span{int(offset), int(length)}), total+int(length)
		return nil
	})
	if err != nil {
		return nil, err
	}
	if err := p.key(buckets); err != nil {
		return nil, err
	}
	var counts []uint64
	err = p.list(func() error {
		n, err := p.countField("")
		counts = append(counts, n)
		return err
	})
	if err != nil {
		return nil, err
	}
	if len(counts) != total {
		return nil, p.errorf(start, "there are %d buckets, but %d in the spans", len(counts), total)
	}
	var out []metric.Span
	skipped := 0 // by spans without buckets
	for _, s := range spans {
		if s.length == 0 {
			skipped += s.offset
			continue
		}
		out = append(out, metric.Span{Offset: skipped + s.offset, Counts: counts[:s.length:s.length]})
		counts, skipped = counts[s.length:], 0
	}
	return out, nil
}

func (p *parser) readQuantiles(s *metric.Series) error {
	if err := p.key(",quantile:"); err != nil {
		return err
	}
	return p.list(func() error {
		t := p.part()
		q, ok := parseFloat(t.text)
		if !ok || !(q >= 0 && q <= 1) {
			return p.errorf(t.at, "the quantile %s is not between 0 and 1", quote(t.text))
		}
		at := p.at + 1
		v, err := p.numberField(":")
		if err != nil {
			return err
		}
		if v < 0 {
			return p.errorf(at, "the value of a quantile must not be negative")
		}
		if last := len(s.Quantiles) - 1; last >= 0 && q <= s.Quantiles[last].Q {
			return p.errorf(t.at, "quantiles must ascend: %v follows %v", q, s.Quantiles[last].Q)
		}
		s.Quantiles = append(s.Quantiles, metric.Quantile{Q: q, Value: v})
		return nil
	})
}

// spread gives the sample's exemplars to the buckets, as Prometheus does: a classic bucket gets
// the first one that is in it and in no lower one, native buckets get all.
func (p *parser) spread(s *metric.Series) error {
	exemplars := p.sample.exemplars
	if len(exemplars) == 0 {
		return nil
	}
	if p.family.typ == metric.Summary {
		return p.errorf(exemplars[0].at, "only counters and histograms may have an exemplar")
	}
	for i := range exemplars {
		x, err := p.newExemplar(&exemplars[i])
		if err != nil {
			return err
		}
		if s.Native != nil {
			s.Native.Exemplars = append(s.Native.Exemplars, x)
		}
		in := slices.IndexFunc(s.Buckets, func(b metric.Bucket) bool { return x.Value <= b.UpperBound }) // NaN is in none
		if in >= 0 && s.Buckets[in].Exemplar == nil {
			s.Buckets[in].Exemplar = x
		}
	}
	if s.Native != nil {
		slices.SortFunc(s.Native.Exemplars, (*metric.Exemplar).Compare)
	}
	return nil
}

// has steps over text if it comes next, and reports whether it did.
func (p *parser) has(text string) bool {
	if !bytes.HasPrefix(p.line[p.at:], []byte(text)) {
		return false
	}
	p.at += len(text)
	return true
}

// key steps over the name of a field.
func (p *parser) key(text string) error {
	if !p.has(text) {
		return p.unexpected(quote(text))
	}
	return nil
}

// part steps over a number within a composite value.
func (p *parser) part() token {
	at := p.at
	for p.at < len(p.line) && bytes.IndexByte([]byte(" ,:[]{}"), p.line[p.at]) < 0 {
		p.at++
	}
	return token{p.line[at:p.at], at}
}

func (p *parser) countField(key string) (uint64, error) {
	if err := p.key(key); err != nil {
		return 0, err
	}
	return p.wholeNumber(p.part())
}

func (p *parser) numberField(key string) (float64, error) {
	if err := p.key(key); err != nil {
		return 0, err
	}
	return p.number(p.part())
}

// list reads a list in brackets, which may be empty.
func (p *parser) list(each func() error) error {
	if !p.take('[') {
		return p.unexpected("an opening bracket")
	}
	for first := true; !p.take(']'); first = false {
		if !first && !p.take(',') {
			return p.unexpected("a comma or a closing bracket")
		}
		if first || !p.peek(']') {
			if err := each(); err != nil {
				return err
			}
			continue
		}
		return p.unexpected("a number")
	}
	return nil
}
