package textparse

import (
	"bytes"

	"github.com/multiprom/multiprom/metric"
)

// openMetricsTypes are the types that an OpenMetrics TYPE line can have.
var openMetricsTypes = map[string]metric.Type{
	"unknown":        metric.Unknown,
	"counter":        metric.Counter,
	"gauge":          metric.Gauge,
	"histogram":      metric.Histogram,
	"gaugehistogram": metric.GaugeHistogram,
	"summary":        metric.Summary,
	"info":           metric.Info,
	"stateset":       metric.StateSet,
}

// readOpenMetrics reads a line of OpenMetrics other than # EOF.
func (p *parser) readOpenMetrics() error {
	if p.atEnd() {
		return p.errorf(0, "a blank line")
	}
	if err := p.checkUTF8(); err != nil {
		return err
	}
	if last := len(p.line) - 1; p.line[last] == '\r' {
		return p.errorf(last, "the line ends in a carriage return")
	}
	if p.take('#') {
		return p.readMetadata()
	}
	if err := p.readSample(); err != nil {
		return err
	}
	return p.addSample()
}

// readMetadata reads what comes after the # of a HELP, TYPE or UNIT line.
func (p *parser) readMetadata() error {
	if !p.take(' ') {
		return p.unexpected("a blank, as there are no comments,")
	}
	keyword := p.token()
	switch string(keyword.text) {
	case "HELP", "TYPE", "UNIT":
	case "EOF":
		return p.errorf(p.at, "there is text after # EOF")
	default:
		return p.errorf(keyword.at, "%s is none of HELP, TYPE, UNIT and EOF", quote(keyword.text))
	}
	if !p.take(' ') {
		return p.unexpected("a blank and a metric name")
	}
	name, err := p.readName()
	if err != nil {
		return err
	}
	if !p.take(' ') {
		return p.unexpected("a blank")
	}
	rest := token{p.line[p.at:], p.at}

	if err := p.turnTo(name); err != nil {
		return err
	}
	if len(p.family.series) > 0 {
		return p.errorf(keyword.at, "a %s line after samples of %s", keyword.text, quote(p.family.name))
	}
	switch string(keyword.text) {
	case "HELP":
		return p.setHelp(keyword, rest)
	case "TYPE":
		t, ok := openMetricsTypes[string(rest.text)]
		if !ok {
			return p.errorf(rest.at, "%s is not a type", quote(rest.text))
		}
		return p.setType(t, name.at)
	}
	return p.setUnit(keyword, rest)
}

func (p *parser) setHelp(keyword, text token) error {
	f := &p.family
	if f.hasHelp {
		return p.errorf(keyword.at, "a second HELP line for %s", quote(f.name))
	}
	f.hasHelp = true
	var cut bool
	if f.help, cut = unescape(text.text); cut {
		return p.errorf(len(p.line)-1, "a backslash with nothing after it")
	}
	return nil
}

func (p *parser) setUnit(keyword, unit token) error {
	f := &p.family
	if f.hasUnit {
		return p.errorf(keyword.at, "a second UNIT line for %s", quote(f.name))
	}
	f.hasUnit = true
	if len(unit.text) == 0 {
		return nil // the same as without the line
	}
	name, found := bytes.CutSuffix([]byte(f.name), unit.text)
	if p.second { // there it need not be
		f.unit = string(unit.text)
		return p.checkUnit(unit.at)
	}
	if !found || !bytes.HasSuffix(name, []byte("_")) {
		return p.errorf(unit.at, "the name %s does not end in an underscore and the unit %s", quote(f.name), quote(unit.text))
	}
	f.unit = string(unit.text)
	return p.checkUnit(unit.at)
}

// checkUnit checks that the type, if known, may have a unit.
func (p *parser) checkUnit(at int) error {
	if f := &p.family; f.unit != "" && (f.typ == metric.Info || f.typ == metric.StateSet) {
		return p.errorf(at, "the %s %s has a unit", f.typ, quote(f.name))
	}
	return nil
}
