package textparse

import (
	"math"
	"time"

	"github.com/multiprom/multiprom/metric"
)

// addSample adds the sample of the current line to its family, which may differ from
// that of the previous line.
func (p *parser) addSample() error {
	s := &p.sample
	r, ok := p.roleOf(s.name)
	if !ok {
		if string(s.name) == p.family.name {
			return p.errorf(s.nameAt, "the %s %s has no samples of this name", p.family.typ, quote(p.family.name))
		}
		if err := p.turnTo(token{s.name, s.nameAt}); err != nil {
			return err
		}
		r = value
	}
	own, err := p.takeOwnLabel(r)
	if err != nil {
		return err
	}
	i, err := p.findSeries()
	if err != nil {
		return err
	}
	if err := p.findPoint(i, r, own); err != nil {
		return err
	}
	p.family.progress[i].seen |= 1 << r
	return p.store(i, r, own)
}

// ownLabel is the label that a type adds to some of its samples: le, quantile,
// or the name of the state set.
type ownLabel struct {
	number float64
	state  []byte
	at     int
}

// takeOwnLabel removes it from the sample's labels. It must be there if the role has
// one, and must not be there otherwise.
func (p *parser) takeOwnLabel(r role) (own ownLabel, err error) {
	name := ""
	switch p.family.typ {
	case metric.Histogram, metric.GaugeHistogram:
		name = "le"
	case metric.Summary:
		name = "quantile"
	case metric.StateSet:
		name = p.family.name
	default:
		return own, nil
	}
	label, found := p.sample.labels.remove(name)
	own.at = label.at
	wanted := r == bucket || r == quantile || r == state
	switch text := p.sample.labels.value(label); {
	case found && !wanted:
		return own, p.errorf(own.at, "the label %s does not belong to this sample of a %s", name, p.family.typ)
	case wanted && !found:
		return own, p.errorf(p.sample.nameAt, "the label %s is missing", quote(name))
	case r == state:
		own.state = text
	case wanted:
		own.number, err = p.boundary(r, token{text, own.at})
	}
	return own, err
}

// boundary reads the number of a label le or quantile.
func (p *parser) boundary(r role, t token) (float64, error) {
	v, ok := parseFloat(t.text)
	switch {
	case !ok || math.IsNaN(v):
		return 0, p.errorf(t.at, "%s is not a number to compare with", quote(t.text))
	case p.strict && r == quantile && (v < 0 || v > 1):
		return 0, p.errorf(t.at, "the quantile %s is not between 0 and 1", quote(t.text))
	case p.strict && r == bucket && math.IsInf(v, 1) && string(t.text) != "+Inf":
		return 0, p.errorf(t.at, "the bound %s must be written as +Inf", quote(t.text))
	}
	return v, nil
}

// findSeries returns the series of the current sample. It adds one if needed.
func (p *parser) findSeries() (int, error) {
	f := &p.family
	f.key = p.sample.labels.appendKey(f.key[:0])
	if len(f.series) > 0 && f.progress[f.last].key == string(f.key) {
		return f.last, nil
	}
	if i, ok := f.byKey[string(f.key)]; ok {
		if p.strict {
			return 0, p.errorf(p.sample.nameAt, "this series came before, and its lines must be together")
		}
		f.last = i
		return i, nil
	}
	if err := p.count(); err != nil {
		return 0, err
	}
	key := string(f.key)
	f.last = len(f.series)
	f.byKey[key] = f.last
	f.progress = append(f.progress, progress{key: key})
	f.series = append(f.series, metric.Series{Labels: p.sample.labels.labels(key)})
	return f.last, nil
}

// findPoint starts a point of series i unless the sample belongs to the current one.
// Only OpenMetrics has several points for a series; the last one stays.
func (p *parser) findPoint(i int, r role, own ownLabel) error {
	s, was := &p.family.series[i], &p.family.progress[i]
	at, err := p.timestamp()
	if err != nil {
		return err
	}
	stamp := p.sample.timestamp
	stamped := len(stamp.text) > 0
	if was.line > 0 {
		switch {
		case stamped != was.stamped:
			return p.errorf(p.sample.nameAt, "of this series, some samples have a timestamp and others have none")
		case stamped && !at.Equal(s.Timestamp):
			if !p.strict {
				return p.errorf(stamp.at, "samples of this series have different timestamps")
			}
			if at.Before(s.Timestamp) {
				return p.errorf(stamp.at, "the timestamp is before that of the sample above")
			}
		case !repeats(s, was, r, own):
			return nil
		case !p.strict || !stamped:
			return p.errorf(p.sample.nameAt, "this sample came before, at line %d or below", was.line)
		}
		if err := p.checkPoint(i); err != nil {
			return err
		}
	}
	*s = metric.Series{Labels: s.Labels, Timestamp: at}
	*was = progress{key: was.key, line: p.lines.number, stamped: stamped}
	return nil
}

// repeats reports whether the point already has the sample. Of buckets, quantiles and
// states it checks only the first, since each point starts with the same one. The check
// of the whole point finds the others.
func repeats(s *metric.Series, was *progress, r role, own ownLabel) bool {
	switch r {
	case bucket:
		return len(s.Buckets) > 0 && s.Buckets[0].UpperBound == own.number
	case quantile:
		return len(s.Quantiles) > 0 && s.Quantiles[0].Q == own.number
	case state:
		return len(s.States) > 0 && s.States[0].Name == string(own.state)
	}
	return was.seen.has(r)
}

// timestamp returns the sample's timestamp, or the zero time.
func (p *parser) timestamp() (time.Time, error) {
	t := p.sample.timestamp
	if len(t.text) == 0 {
		return time.Time{}, nil
	}
	if p.strict {
		return p.seconds(t)
	}
	at, ok := parseMillis(t.text)
	if !ok {
		return at, p.errorf(t.at, "%s is not a timestamp in milliseconds", quote(t.text))
	}
	return at, nil
}

func (p *parser) seconds(t token) (time.Time, error) {
	at, ok := parseSeconds(t.text)
	if !ok {
		return at, p.errorf(t.at, "%s is not a time in seconds", quote(t.text))
	}
	return at, nil
}

// store puts the sample's value into series i.
func (p *parser) store(i int, r role, own ownLabel) (err error) {
	f := &p.family
	s, text := &f.series[i], p.sample.value
	if es := p.sample.exemplars; len(es) > 0 && r != bucket && r != composite && !(f.typ == metric.Counter && r == value) {
		return p.errorf(es[0].at, "only counters' totals and buckets may have an exemplar")
	}
	if start := p.sample.start; len(start.text) > 0 {
		if f.typ != metric.Counter && f.typ != metric.Histogram && f.typ != metric.Summary {
			return p.errorf(start.at, "only counters, histograms and summaries have a start time")
		}
		if s.Created, err = p.seconds(start); err != nil {
			return err
		}
	}
	switch r {
	case value:
		if s.Value, err = p.float(text, f.typ == metric.Counter); err != nil {
			return err
		}
		if f.typ == metric.Info && s.Value != 1 {
			return p.errorf(text.at, "the value of an info is 1, not %s", quote(text.text))
		}
		s.Exemplar, err = p.firstExemplar()
	case sum:
		s.Sum, err = p.float(text, f.typ != metric.GaugeHistogram)
		if err == nil && p.strict && math.IsNaN(s.Sum) {
			return p.errorf(text.at, "a sum must not be NaN")
		}
	case count:
		s.Count, err = p.wholeNumber(text)
	case created:
		s.Created, err = p.seconds(text)
	case bucket:
		return p.addBucket(i, own)
	case composite:
		return p.addComposite(i)
	case quantile:
		return p.addQuantile(i, own)
	case state:
		v, err := p.float(text, false)
		if err != nil {
			return err
		}
		if v != 0 && v != 1 {
			return p.errorf(text.at, "the value of a state is 0 or 1, not %s", quote(text.text))
		}
		s.States = append(s.States, metric.State{Name: string(own.state), On: v == 1})
	}
	return err
}

// float reads a value. In OpenMetrics, values that only grow cannot be negative or NaN.
func (p *parser) float(t token, grows bool) (float64, error) {
	v, err := p.number(t)
	if err == nil && p.strict && grows && !(v >= 0) {
		return 0, p.errorf(t.at, "%s is not a value that counts up from 0", quote(t.text))
	}
	return v, err
}

func (p *parser) addBucket(i int, own ownLabel) error {
	s := &p.family.series[i]
	n, err := p.wholeNumber(p.sample.value)
	if err != nil {
		return err
	}
	e, err := p.firstExemplar()
	if err != nil {
		return err
	}
	if e != nil && !(e.Value <= own.number) { // not Value > number: NaN is in no bucket
		return p.errorf(p.sample.exemplars[0].value.at, "the exemplar's value is not in the bucket of %v", own.number)
	}
	if last := len(s.Buckets) - 1; last >= 0 {
		switch {
		case own.number <= s.Buckets[last].UpperBound && p.strict:
			return p.errorf(own.at, "bucket bounds must ascend: %v follows %v", own.number, s.Buckets[last].UpperBound)
		case own.number <= s.Buckets[last].UpperBound:
			p.family.progress[i].unordered = true
		case n < s.Buckets[last].Count && p.strict:
			return p.errorf(p.sample.value.at, "buckets are cumulative: %d follows %d", n, s.Buckets[last].Count)
		}
	}
	s.Buckets = append(s.Buckets, metric.Bucket{UpperBound: own.number, Count: n, Exemplar: e})
	return nil
}

func (p *parser) addQuantile(i int, own ownLabel) error {
	s := &p.family.series[i]
	v, err := p.number(p.sample.value)
	if err != nil {
		return err
	}
	if p.strict && v < 0 {
		return p.errorf(p.sample.value.at, "the value of a quantile must not be negative")
	}
	if last := len(s.Quantiles) - 1; last >= 0 && own.number <= s.Quantiles[last].Q {
		p.family.progress[i].unordered = true
	}
	s.Quantiles = append(s.Quantiles, metric.Quantile{Q: own.number, Value: v})
	return nil
}
