package textparse

import (
	"slices"
	"strings"
	"time"

	"github.com/multiprom/multiprom/metric"
)

// building is the current family.
type building struct {
	name string // as in HELP and TYPE; empty before the first family
	typ  metric.Type
	help string
	unit string

	hasHelp, hasType, hasUnit bool

	// The series, what was read of each, and which one has a key.
	series   []metric.Series
	progress []progress
	byKey    map[string]int
	key      []byte // of the current line
	last     int    // the series of the previous line, often also of this one
}

// progress is what was read of a series, or of its last point.
type progress struct {
	key       string // of its labels
	line      int    // where it started; 0 before its first sample
	seen      roles
	stamped   bool // it has a timestamp
	unordered bool // buckets or quantiles came out of order
}

// role is what a sample means in its series; roles is a set of them.
type (
	role  uint8
	roles uint8
)

const (
	value role = iota
	sum
	count
	created
	bucket   // has the label le
	quantile // has the label quantile
	state    // has a label with the name of the family
	composite
)

func (rs roles) has(r role) bool { return rs&(1<<r) != 0 }

// suffix is one of the sample names of a type.
type suffix struct {
	text string
	role role
}

// textSuffixes are the sample names that belong to a TYPE line of text. A counter's
// name already has its suffix.
var textSuffixes = map[metric.Type][]suffix{
	metric.Unknown:   {{"", value}},
	metric.Counter:   {{"", value}},
	metric.Gauge:     {{"", value}},
	metric.Histogram: {{"_bucket", bucket}, {"_sum", sum}, {"_count", count}},
	metric.Summary:   {{"", quantile}, {"_sum", sum}, {"_count", count}},
}

// openMetricsSuffixes are the sample names of OpenMetrics.
var openMetricsSuffixes = map[metric.Type][]suffix{
	metric.Unknown:        {{"", value}},
	metric.Counter:        {{"_total", value}, {"_created", created}},
	metric.Gauge:          {{"", value}},
	metric.Histogram:      {{"_bucket", bucket}, {"_sum", sum}, {"_count", count}, {"_created", created}},
	metric.Summary:        {{"", quantile}, {"_sum", sum}, {"_count", count}, {"_created", created}},
	metric.Info:           {{"_info", value}},
	metric.StateSet:       {{"", state}},
	metric.GaugeHistogram: {{"_bucket", bucket}, {"_gsum", sum}, {"_gcount", count}},
}

// openMetrics2Suffixes are the sample names of OpenMetrics 2.0. Each is that of its family.
var openMetrics2Suffixes = map[metric.Type][]suffix{
	metric.Unknown:        {{"", value}},
	metric.Counter:        {{"", value}},
	metric.Gauge:          {{"", value}},
	metric.Histogram:      {{"", composite}},
	metric.Summary:        {{"", composite}},
	metric.Info:           {{"", value}},
	metric.StateSet:       {{"", state}},
	metric.GaugeHistogram: {{"", composite}},
}

// suffixes returns the sample names of the current family.
func (p *parser) suffixes() []suffix {
	if p.second {
		return openMetrics2Suffixes[p.family.typ]
	}
	if p.strict {
		return openMetricsSuffixes[p.family.typ]
	}
	return textSuffixes[p.family.typ]
}

// roleOf returns the role of the sample name in the current family, and whether it has
// one.
func (p *parser) roleOf(name []byte) (role, bool) {
	base := len(p.family.name)
	if base == 0 || len(name) < base || string(name[:base]) != p.family.name {
		return 0, false
	}
	for _, s := range p.suffixes() {
		if string(name[base:]) == s.text {
			return s.role, true
		}
	}
	return 0, false
}

// turnTo makes the family with that name the current one. If it is another, the current
// one ends.
func (p *parser) turnTo(name token) error {
	f := &p.family
	if f.name != "" && string(name.text) == f.name {
		return nil
	}
	if err := p.finish(); err != nil {
		return err
	}
	byKey := f.byKey
	if len(byKey) > 1024 {
		byKey = nil // clearing a large map costs as much as filling it
	}
	clear(byKey)
	if byKey == nil {
		byKey = map[string]int{}
	}
	*f = building{name: string(name.text), byKey: byKey, key: f.key}
	return p.claim(f.name, name.at)
}

// setType sets the type of the current family and claims its sample names.
func (p *parser) setType(t metric.Type, at int) error {
	f := &p.family
	switch {
	case len(f.series) > 0:
		return p.errorf(0, "a TYPE line after samples of %s", quote(f.name))
	case f.hasType:
		return p.errorf(0, "a second TYPE line for %s", quote(f.name))
	}
	f.typ, f.hasType = t, true
	if p.second && t == metric.Info && (!strings.HasSuffix(f.name, "_info") || f.name == "_info") {
		return p.errorf(at, "the name of the info %s does not end in _info", quote(f.name))
	}
	for _, s := range p.suffixes() {
		if s.text == "" {
			continue // claimed as the family's name
		}
		if err := p.claim(f.name+s.text, at); err != nil {
			return err
		}
	}
	return p.checkUnit(at)
}

// finish passes the current family, if there is one, to next.
func (p *parser) finish() error {
	f := &p.family
	if f.name == "" {
		return nil
	}
	for i := range f.series {
		if err := p.checkPoint(i); err != nil {
			return err
		}
	}
	if len(f.series) == 0 {
		if err := p.count(); err != nil {
			return err
		}
	}
	done := &metric.Family{Name: f.name, Help: f.help, Unit: f.unit, Type: f.typ, Series: f.series}
	if f.typ == metric.Counter && (!p.strict || p.second) {
		name, found := strings.CutSuffix(f.name, "_total")
		if found && name != "" {
			done.Name = name
		} else {
			done.Type = metric.Unknown // a counter's samples would be renamed
			for i := range f.series {
				f.series[i].Created, f.series[i].Exemplar = time.Time{}, nil
			}
		}
	}
	if p.second {
		if f.typ == metric.Info {
			done.Name = strings.TrimSuffix(f.name, "_info")
		}
		if !strings.HasSuffix(done.Name, "_"+f.unit) {
			done.Unit = "" // a family's unit is the end of its name
		}
	}
	compare := func(a, b metric.Series) int { return a.Labels.Compare(b.Labels) }
	if !slices.IsSortedFunc(done.Series, compare) {
		slices.SortFunc(done.Series, compare)
	}
	p.done = done
	return nil
}
