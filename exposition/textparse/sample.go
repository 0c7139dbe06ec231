package textparse

import "github.com/multiprom/multiprom/metric"

// sample is a sample line, in pieces of the line. Whether they are valid numbers is
// known only with the current family.
type sample struct {
	name   []byte
	nameAt int
	quoted []byte // what name points to if it was quoted
	labels labelSet

	value     token
	timestamp token // empty if there is none

	// Only in OpenMetrics.
	start     token // empty if there is none, or it is not version 2.0
	exemplars []exemplar
}

type exemplar struct {
	at        int
	labels    labelSet
	value     token
	timestamp token
}

// token is a word of the line and its offset.
type token struct {
	text []byte
	at   int
}

func (p *parser) token() token {
	at := p.at
	return token{p.word(), at}
}

// readSample reads the line as a sample.
func (p *parser) readSample() error {
	s := &p.sample
	s.labels.reset()
	s.timestamp, s.start, s.exemplars = token{}, token{}, s.exemplars[:0]

	s.nameAt = p.at
	inside := p.quotes && p.peek('{') // the name is in the braces, in quotes
	if !inside {
		s.name = p.name(true)
		if len(s.name) == 0 {
			return p.errorf(p.at, "a metric name cannot begin so")
		}
	} else {
		s.name = nil
	}
	separated := p.separatorBeforeLabels()
	if !(p.strict && separated) && p.take('{') {
		if err := p.readLabels(&s.labels, inside); err != nil {
			return err
		}
		separated = p.separator() || !p.strict
	}
	if !separated {
		return p.unexpected("a blank and the value")
	}

	s.value = p.token()
	if len(s.value.text) == 0 {
		return p.unexpected("the value")
	}
	if p.strict {
		return p.readStrictTail()
	}
	p.blanks()
	s.timestamp = p.token()
	p.blanks()
	if !p.atEnd() {
		return p.unexpected("the end of the line")
	}
	return nil
}

// separatorBeforeLabels steps over the separator after the name. A strict cursor must
// not do that in front of a brace.
func (p *parser) separatorBeforeLabels() bool {
	if p.strict && p.peek('{') {
		return false
	}
	return p.separator()
}

// addExemplar adds an exemplar that begins here. It keeps the memory of an earlier line's.
func (s *sample) addExemplar(at int) *exemplar {
	if n := len(s.exemplars); n < cap(s.exemplars) {
		s.exemplars = s.exemplars[:n+1]
	} else {
		s.exemplars = append(s.exemplars, exemplar{})
	}
	e := &s.exemplars[len(s.exemplars)-1]
	e.at, e.timestamp = at, token{}
	e.labels.reset()
	return e
}

// readStrictTail reads what comes after the value: a timestamp, a start time if it is version
// 2.0, and exemplars, of which version 1.0 has at most one.
func (p *parser) readStrictTail() error {
	s := &p.sample
	if p.atEnd() {
		return nil
	}
	p.at++ // the blank at which the value ended
	if !p.peek('#') && !(p.second && p.peek('s')) {
		s.timestamp = p.token()
		if len(s.timestamp.text) == 0 {
			return p.unexpected("a timestamp or an exemplar")
		}
		if !p.take(' ') {
			return nil
		}
	}
	if p.second && p.has("st@") {
		if s.start = p.token(); len(s.start.text) == 0 {
			return p.unexpected("a start time")
		}
		if !p.take(' ') {
			return nil
		}
	}
	for {
		if err := p.readExemplar(s.addExemplar(p.at)); err != nil || !p.second || !p.take(' ') {
			return err
		}
	}
}

// readExemplar reads an exemplar. In version 1.0 the line ends with it; in version 2.0 it has a
// time.
func (p *parser) readExemplar(e *exemplar) error {
	if !p.take('#') || !p.take(' ') || !p.take('{') {
		return p.unexpected("an exemplar, which begins with # {")
	}
	if err := p.readLabels(&e.labels, false); err != nil {
		return err
	}
	if !p.take(' ') {
		return p.unexpected("a blank and the exemplar's value")
	}
	if e.value = p.token(); len(e.value.text) == 0 {
		return p.unexpected("the exemplar's value")
	}
	if p.take(' ') {
		if e.timestamp = p.token(); len(e.timestamp.text) == 0 {
			return p.unexpected("the exemplar's timestamp")
		}
	}
	switch {
	case p.second && len(e.timestamp.text) == 0:
		return p.unexpected("the exemplar's timestamp")
	case !p.second && !p.atEnd():
		return p.unexpected("the end of the line")
	}
	return nil
}

// readLabels reads everything up to the closing brace and sorts it. If named, a quoted
// metric name comes first.
func (p *parser) readLabels(set *labelSet, named bool) error {
	p.blanks()
	if named {
		if err := p.readQuotedMetric(); err != nil {
			return err
		}
		if p.blanks(); !p.take(',') && !p.peek('}') {
			return p.unexpected("a comma or a closing brace")
		}
		p.blanks()
	}
	for !p.take('}') {
		if err := p.readLabel(set); err != nil {
			return err
		}
		p.blanks()
		if !p.take(',') {
			if !p.take('}') {
				return p.unexpected("a comma or a closing brace")
			}
			break
		}
		p.blanks()
		if p.strict && p.peek('}') {
			return p.unexpected("a label")
		}
	}
	if twice, ok := set.sort(); ok {
		return p.errorf(twice.at, "the label %s is given twice", quote(set.name(twice)))
	}
	return nil
}

func (p *parser) readQuotedMetric() error {
	s := &p.sample
	s.nameAt = p.at
	name, err := p.readQuotedName(s.quoted[:0])
	s.quoted, s.name = name, name
	return err
}

func (p *parser) readQuotedName(dst []byte) ([]byte, error) {
	if !p.peek('"') {
		return dst, p.unexpected("a name in quotes")
	}
	start, before := p.at, len(dst)
	dst, closed := p.quoted(dst)
	switch {
	case !closed:
		return dst, p.errorf(start, "the closing quote is missing")
	case len(dst) == before:
		return dst, p.errorf(start, "a name must not be empty")
	}
	return dst, nil
}

func (p *parser) readLabel(set *labelSet) error {
	l := pair{from: len(set.text), at: p.at}
	if p.quotes && p.peek('"') {
		var err error
		if set.text, err = p.readQuotedName(set.text); err != nil {
			return err
		}
	} else {
		name := p.name(false)
		if len(name) == 0 {
			return p.unexpected("a label name")
		}
		set.text = append(set.text, name...)
	}
	l.mid = len(set.text)
	if string(set.name(l)) == "__name__" {
		return p.errorf(l.at, "the label __name__ is the metric's name")
	}

	p.blanks()
	if !p.take('=') {
		return p.unexpected("an equals sign")
	}
	p.blanks()
	if !p.peek('"') {
		return p.unexpected("a value in quotes")
	}
	start := p.at
	var closed bool
	if set.text, closed = p.quoted(set.text); !closed {
		return p.errorf(start, "the closing quote is missing")
	}
	l.to = len(set.text)
	set.pairs = append(set.pairs, l)
	return nil
}

// unexpected says what was expected at the cursor.
func (p *parser) unexpected(want string) error {
	if p.atEnd() {
		return p.errorf(p.at, "the line ends, but %s should follow", want)
	}
	return p.errorf(p.at, "%q stands where %s should", p.line[p.at], want)
}

// number reads a value.
func (p *parser) number(t token) (float64, error) {
	v, ok := parseFloat(t.text)
	if !ok {
		return 0, p.errorf(t.at, "%s is not a number", quote(t.text))
	}
	return v, nil
}

// wholeNumber reads the value of a count or bucket.
func (p *parser) wholeNumber(t token) (uint64, error) {
	n, ok := parseCount(t.text)
	if !ok {
		return 0, p.errorf(t.at, "%s is not a count, which is whole and not negative", quote(t.text))
	}
	return n, nil
}

// firstExemplar returns the sample's first exemplar, or nil if there is none.
func (p *parser) firstExemplar() (first *metric.Exemplar, err error) {
	for i := range p.sample.exemplars {
		x, err := p.newExemplar(&p.sample.exemplars[i])
		if err != nil {
			return nil, err
		}
		if i == 0 {
			first = x
		}
	}
	return first, nil
}

func (p *parser) newExemplar(e *exemplar) (*metric.Exemplar, error) {
	const mostRunes = 128
	value, err := p.number(e.value)
	if err != nil {
		return nil, err
	}
	if n := e.labels.runes(); n > mostRunes && !p.second {
		return nil, p.errorf(e.at, "the exemplar's labels have %d characters, the most is %d", n, mostRunes)
	}
	out := &metric.Exemplar{Value: value, Labels: e.labels.labels(string(e.labels.appendKey(nil)))}
	if t := e.timestamp; len(t.text) > 0 {
		if out.Timestamp, err = p.seconds(t); err != nil {
			return nil, err
		}
	}
	return out, nil
}
