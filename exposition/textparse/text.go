package textparse

import (
	"bytes"
	"unicode/utf8"

	"github.com/multiprom/multiprom/metric"
)

// textTypes are the types that a TYPE line of text can have.
var textTypes = map[string]metric.Type{
	"counter":   metric.Counter,
	"gauge":     metric.Gauge,
	"histogram": metric.Histogram,
	"summary":   metric.Summary,
	"untyped":   metric.Unknown,
}

// readText reads a line of the text format.
func (p *parser) readText() error {
	p.blanks()
	if p.atEnd() {
		return nil
	}
	comment := p.take('#')
	var keyword token
	if comment {
		p.blanks()
		if keyword = p.token(); string(keyword.text) != "HELP" && string(keyword.text) != "TYPE" {
			return nil
		}
	}
	if err := p.checkUTF8(); err != nil {
		return err
	}
	if !comment {
		if err := p.readSample(); err != nil {
			return err
		}
		return p.addSample()
	}

	p.blanks()
	name, err := p.readTextName()
	if err != nil {
		return err
	}
	rest := p.line[p.at:]
	if string(keyword.text) == "TYPE" {
		return p.setTextType(name, token{bytes.TrimRight(rest, " \t"), p.at})
	}
	if err := p.turnTo(name); err != nil {
		return err
	}
	if p.family.hasHelp {
		return p.errorf(keyword.at, "a second HELP line for %s", quote(p.family.name))
	}
	p.family.hasHelp = true
	p.family.help, _ = unescape(rest)
	return nil
}

// readName reads the name of a HELP, TYPE or UNIT line.
func (p *parser) readName() (name token, err error) {
	name.at = p.at
	if p.quotes && p.peek('"') {
		p.sample.quoted, err = p.readQuotedName(p.sample.quoted[:0])
		name.text = p.sample.quoted
	} else if name.text = p.name(true); len(name.text) == 0 {
		err = p.unexpected("a metric name")
	}
	return name, err
}

// readTextName reads the name of a HELP or TYPE line and the blanks after it.
func (p *parser) readTextName() (token, error) {
	name, err := p.readName()
	if err != nil {
		return name, err
	}
	if !p.separator() && !p.atEnd() {
		return name, p.unexpected("a blank")
	}
	return name, nil
}

func (p *parser) setTextType(name, typ token) error {
	t, ok := textTypes[string(typ.text)]
	if !ok {
		return p.errorf(typ.at, "%s is not a type of the text format", quote(typ.text))
	}
	if err := p.turnTo(name); err != nil {
		return err
	}
	return p.setType(t, name.at)
}

// checkUTF8 checks that the current line is UTF-8.
func (p *parser) checkUTF8() error {
	if utf8.Valid(p.line) {
		return nil
	}
	valid := 0
	for {
		r, size := utf8.DecodeRune(p.line[valid:])
		if r == utf8.RuneError && size == 1 {
			return p.errorf(valid, "the byte %#x is not UTF-8", p.line[valid])
		}
		valid += size
	}
}
