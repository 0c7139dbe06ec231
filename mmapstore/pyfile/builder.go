package pyfile

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/multiprom/multiprom/metric"
	"github.com/multiprom/multiprom/mmapstore"
)

// defaultHelp is what client_python says where a key has no help.
const defaultHelp = "Multiprocess metric"

// builder turns records into series.
type builder struct {
	name     Name
	epoch    int
	groups   map[string]*group // by family and labels; of a summary or histogram
	touched  []*group          // histograms with new buckets
	schemas  map[string]*metric.Schema
	last     *metric.Schema // that was used last: most records follow their like
	families []*metric.Schema
	series   []mmapstore.SeriesInfo
	parts    [][]part // of each of series
}

// group are the records of one series.
type group struct {
	key    key
	bounds []float64 // finite, ascending
	parts  []part
	index  int // in series, -1 where it is not there yet
}

// part is one record of a series: what it says, and where its value lies.
type part struct {
	word int
	le   float64 // of a bucket
	off  int
}

// Words of parts. A bucket's is wordBucket and its number.
const (
	wordValue  = 0 // counter, gauge; sum of a summary or histogram
	wordCount  = 1 // of a summary
	wordBucket = 2
)

func newBuilder(n Name) builder {
	return builder{name: n, epoch: 1, groups: map[string]*group{}, schemas: map[string]*metric.Schema{}}
}

// Epoch is raised when a series that was returned before has changed. While it
// stays the same, Series only grows.
func (b *builder) Epoch() int { return b.epoch }

// Families returns the definitions, in the order of their appearance.
func (b *builder) Families() []*metric.Schema { return b.families }

// Series returns the series, without words; see AppendValues.
func (b *builder) Series() []mmapstore.SeriesInfo { return b.series }

// record adds a record whose value lies at off. An error leaves it out.
func (b *builder) record(k key, off int) error {
	p := part{word: wordValue, off: off}
	switch b.name.Type {
	case metric.Counter:
		k.family = strings.TrimSuffix(k.family, "_total")
	case metric.Summary, metric.Histogram:
		suffix, ok := strings.CutPrefix(k.sample, k.family)
		switch {
		case ok && suffix == "_sum":
		case ok && suffix == "_count" && b.name.Type == metric.Summary:
			p.word = wordCount
		case ok && suffix == "_bucket" && b.name.Type == metric.Histogram:
			le, _ := k.labels.Get("le")
			var err error
			if p.le, err = bound(le); err != nil {
				return err
			}
			p.word = wordBucket
			k.labels = slices.DeleteFunc(k.labels, func(l metric.Label) bool { return l.Name == "le" })
		default:
			return fmt.Errorf("a sample %s of the %s %s", k.sample, b.name.Type, k.family)
		}
	}
	if k.help == "" {
		k.help = defaultHelp
	}
	if b.name.Type == metric.Counter || b.name.Type == metric.Gauge {
		// Each record is a series: where a key is there twice, the merge adds them.
		return b.show(&group{key: k, parts: []part{p}})
	}
	id := k.family + "\xff" + k.labels.String()
	g := b.groups[id]
	if g == nil {
		g = &group{key: k, index: -1}
		if _, err := b.schema(g); err != nil && b.name.Type != metric.Histogram {
			return err
		}
		b.groups[id] = g
	}
	g.parts = append(g.parts, p)
	switch {
	case b.name.Type == metric.Histogram:
		if p.word == wordBucket && !math.IsInf(p.le, 1) {
			if i, there := slices.BinarySearch(g.bounds, p.le); !there {
				g.bounds = slices.Insert(g.bounds, i, p.le)
			}
		}
		b.touched = append(b.touched, g)
	case g.index < 0:
		return b.show(g)
	default:
		b.parts[g.index] = g.parts
	}
	return nil
}

// finish brings histograms up to date with the buckets that were read. Series
// that were there at the last call and have changed raise the epoch.
func (b *builder) finish(before int) {
	for _, g := range b.touched {
		for i := range g.parts {
			if p := &g.parts[i]; p.word >= wordBucket {
				n, _ := slices.BinarySearch(g.bounds, p.le)
				p.word = wordBucket + n
			}
		}
		if g.index < 0 {
			_ = b.show(g) // without a bound yet it is not shown
			continue
		}
		schema, err := b.schema(g)
		if err != nil {
			continue
		}
		if s := &b.series[g.index]; s.Family != schema {
			s.Family = schema
			if g.index < before {
				b.epoch++
			}
		}
		b.parts[g.index] = g.parts
	}
	b.touched = b.touched[:0]
}

// show makes a group a series.
func (b *builder) show(g *group) error {
	schema, err := b.schema(g)
	if err != nil {
		return err
	}
	info := mmapstore.SeriesInfo{Family: schema, Created: time.Unix(0, 0), Values: make([]string, 0, len(g.key.labels))}
	for _, l := range g.key.labels {
		info.Values = append(info.Values, l.Value)
	}
	g.index = len(b.series)
	b.series = append(b.series, info)
	b.parts = append(b.parts, g.parts)
	return nil
}

// schema returns the definition of a group's series.
func (b *builder) schema(g *group) (*metric.Schema, error) {
	if b.last != nil && g.defines(b.last) {
		return b.last, nil
	}
	s, err := b.findSchema(g)
	if err == nil {
		b.last = s
	}
	return s, err
}

// defines reports whether s is the definition of the group's series.
func (g *group) defines(s *metric.Schema) bool {
	if g.key.family != s.Name || g.key.help != s.Help || len(g.key.labels) != len(s.Labels) {
		return false
	}
	for i, l := range g.key.labels {
		if l.Name != s.Labels[i] {
			return false
		}
	}
	return slices.Equal(g.bounds, s.Bounds)
}

func (b *builder) findSchema(g *group) (*metric.Schema, error) {
	var id strings.Builder
	fmt.Fprintf(&id, "%s\xff%s\xff%v", g.key.family, g.key.help, g.bounds)
	for _, l := range g.key.labels {
		id.WriteString("\xff" + l.Name)
	}
	if s := b.schemas[id.String()]; s != nil {
		return s, nil
	}
	s := &metric.Schema{Name: g.key.family, Help: g.key.help, Type: b.name.Type, Mode: b.name.Mode, Bounds: g.bounds}
	for _, l := range g.key.labels {
		s.Labels = append(s.Labels, l.Name)
	}
	if err := s.Check(); err != nil {
		return nil, err
	}
	s.Bounds = slices.Clone(g.bounds)
	b.schemas[id.String()] = s
	b.families = append(b.families, s)
	return s, nil
}
