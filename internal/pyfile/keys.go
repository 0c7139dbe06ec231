package pyfile

import (
	"errors"
	"fmt"
	"hash/maphash"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/multiprom/multiprom/internal/mpm"
	"github.com/multiprom/multiprom/metric"
)

// Kind is what all records of a file have in common, as its name says.
type Kind struct {
	Type metric.Type
	Mode metric.Mode // of a gauge
}

// Keys holds the keys of all files of a directory, each parsed once: the workers
// of a fleet write the same keys, one file after the other. Nothing is ever
// taken out. The zero value is ready; it belongs to one goroutine at a time.
type Keys struct {
	sets map[Kind]*KeySet
}

// Of returns the keys of the files of that kind.
func (k *Keys) Of(kind Kind) *KeySet {
	s := k.sets[kind]
	if s == nil {
		s = &KeySet{
			kind: kind, first: none, stride: strideTimed,
			seed: maphash.MakeSeed(), byHash: map[uint64]uint32{}, bySeries: map[seriesID]uint32{}, byFamily: map[familyID]uint32{},
		}
		if k.sets == nil {
			k.sets = map[Kind]*KeySet{}
		}
		k.sets[kind] = s
	}
	return s
}

// Len returns how many keys there are.
func (k *Keys) Len() (n int) {
	for _, s := range k.sets {
		n += len(s.keys)
	}
	return n
}

// KeySet are the keys of files of one kind, numbered from 0 in the order in
// which they were first seen, and so are the series that they belong to, and their
// families. There may be as many keys and series as a fleet has, so there is no pointer in
// those.
type KeySet struct {
	kind     Kind
	keys     []Key
	series   []seriesID
	families []*Family
	symbols  mpm.SymbolTable // raw keys; labels of series, as Labels.AppendKey has them
	seed     maphash.Seed
	byHash   map[uint64]uint32 // of the raw key, or the next free place behind it
	bySeries map[seriesID]uint32
	byFamily map[familyID]uint32
	first    uint32 // the key that some file begins with

	// Of the file that was read last: the next may be like it.
	guessing         bool // its keys stood in the order that was expected
	stride           int
	records, offsets []uint32

	spare [2][]uint32 // for the records and offsets of the file that is read now
}

// Key is what a record says of its value.
type Key struct {
	Series uint32 // its number
	Part   Part
	Bound  float64 // of a bucket: its upper bound

	ruby bool // it is written as GitLab's client for Ruby does
	raw  mpm.Symbol
	next uint32 // the key that some file has behind it
	hash uint64
}

// Part is which part of its series a record is.
type Part uint8

// The parts. A counter and a gauge have nothing but a value.
const (
	Value   Part = iota // also the sum of a summary or histogram
	Count               // of a summary
	Bucket              // of a histogram: what was observed in it alone
	Ignored             // it says what others say
)

// seriesID is one series of a kind.
type seriesID struct {
	family uint32
	labels mpm.Symbol
}

// Family is what a key says of its family, in files of one kind.
type Family struct {
	Name, Help string
	labels     []string // the names that were checked last
	checked    bool
	schemas    []*metric.Schema // by the bounds that files have, the last few
}

// none is the number of no key.
const none = math.MaxUint32

// Kind returns what the keys have in common.
func (s *KeySet) Kind() Kind { return s.kind }

// Keys returns all keys. The slice only grows.
func (s *KeySet) Keys() []Key { return s.keys }

// Series returns how many series the keys belong to.
func (s *KeySet) Series() int { return len(s.series) }

// Families returns the families of all keys. The slice only grows.
func (s *KeySet) Families() []*Family { return s.families }

// FamilyOf returns the number of a series' family.
func (s *KeySet) FamilyOf(series uint32) int { return int(s.series[series].family) }

// AppendLabels appends the labels of a series: sorted, without le.
func (s *KeySet) AppendLabels(dst metric.Labels, series uint32) metric.Labels {
	return metric.AppendLabels(dst, s.symbols.Lookup(s.series[series].labels))
}

// raw returns a key as files have it.
func (s *KeySet) raw(n uint32) string { return s.symbols.Lookup(s.keys[n].raw) }

// follow returns the number of the key raw, which stands behind the key after in
// a file. Most files are like the one before: then the guess is right.
func (s *KeySet) follow(after uint32, raw []byte) (uint32, error) {
	guess := &s.first
	if after != none {
		guess = &s.keys[after].next
	}
	// Comparing with a wrong guess costs more than a hash: it is tried as long as
	// guesses are right.
	if n := *guess; s.guessing && n != none && s.raw(n) == string(raw) {
		return n, nil
	}
	hash := maphash.Bytes(s.seed, raw)
	if n := *guess; n != none && s.is(n, hash, raw) {
		s.guessing = true
		return n, nil
	}
	s.guessing = false
	at := hash
	n, known := s.byHash[at]
	for known && !s.is(n, hash, raw) {
		at++ // another key has the same hash, or this place for that reason
		n, known = s.byHash[at]
	}
	if !known {
		text := string(raw) // the file may change
		k, err := s.parse(text)
		if err == nil {
			k.raw, err = s.intern(text) // only of a good key: what is kept is kept for long
		}
		if err != nil {
			return none, err
		}
		k.hash = hash
		n = uint32(len(s.keys))
		s.keys = append(s.keys, k)
		s.byHash[at] = n
		if after != none {
			guess = &s.keys[after].next // they may have moved
		}
	}
	*guess = n
	return n, nil
}

func (s *KeySet) is(n uint32, hash uint64, raw []byte) bool {
	return s.keys[n].hash == hash && s.raw(n) == string(raw)
}

// share returns a copy of the records and offsets of a file, or those of the file
// before it where they are the same.
func (s *KeySet) share(records, offsets []uint32) (_, _ []uint32) {
	if !slices.Equal(records, s.records) || !slices.Equal(offsets, s.offsets) {
		s.records, s.offsets = slices.Clip(slices.Clone(records)), slices.Clip(slices.Clone(offsets))
	}
	return s.records, s.offsets // who appends to them copies them
}

// expect makes room for the keys of the first file.
func (s *KeySet) expect(n int) {
	const most = 1 << 16 // a damaged header may promise any number
	if len(s.keys) > 0 {
		return
	}
	n = min(n, most)
	s.keys = slices.Grow(s.keys, n)
	s.byHash = make(map[uint64]uint32, n)
	if s.kind.Type == metric.Counter || s.kind.Type == metric.Gauge {
		s.series = slices.Grow(s.series, n)
		s.bySeries = make(map[seriesID]uint32, n)
	}
}

// parse reads a key that no file had so far.
func (s *KeySet) parse(raw string) (Key, error) {
	k, err := parseKey(raw)
	if err != nil {
		return Key{}, err
	}
	out := Key{next: none, ruby: k.ruby}
	switch s.kind.Type {
	case metric.Counter:
		k.family = counterFamily(k.sample)
	case metric.Gauge:
		k.family = k.sample
	case metric.Summary, metric.Histogram:
		suffix, ok := strings.CutPrefix(k.sample, k.family)
		switch {
		case ok && suffix == "_sum":
		case ok && suffix == "_count" && s.kind.Type == metric.Summary:
			out.Part = Count
		case ok && suffix == "_count" && k.ruby:
			out.Part = Ignored // its bucket +Inf says the same
			return out, nil
		case ok && suffix == "_bucket" && s.kind.Type == metric.Histogram:
			out.Part = Bucket
			le, _ := k.labels.Get("le")
			if out.Bound, err = bound(le); err != nil {
				return Key{}, err
			}
			k.labels = slices.DeleteFunc(k.labels, func(l metric.Label) bool { return l.Name == "le" })
		default:
			return Key{}, fmt.Errorf("a sample %s of the %s %s", k.sample, s.kind.Type, k.family)
		}
	}
	if k.help == "" {
		k.help = defaultHelp
	}
	out.Series, err = s.seriesOf(k)
	return out, err
}

// counterFamily returns the family of a counter's sample. As with client_python, the
// sample's name is what is served, and one suffix _total of it is not the family's. The
// name that a key has for the family does not say how many there are: clients before 0.4
// have not taken one off.
func counterFamily(sample string) string {
	if family := strings.TrimSuffix(sample, "_total"); family != "" {
		return family
	}
	return sample
}

// defaultHelp is what client_python says where a key has no help.
const defaultHelp = "Multiprocess metric"

// intern keeps a text.
func (s *KeySet) intern(text string) (mpm.Symbol, error) {
	id, ok := s.symbols.Intern(text)
	if !ok {
		return 0, errors.New("there are too many keys")
	}
	return id, nil
}

// seriesOf returns the number of a key's series.
func (s *KeySet) seriesOf(k key) (uint32, error) {
	family := s.family(familyID{k.family, k.help})
	text := string(k.labels.AppendKey(make([]byte, 0, 128)))
	if n, known := s.bySeries[seriesID{family, s.symbols.Find(text)}]; known {
		return n, nil
	}
	if err := s.families[family].check(s.kind, k.labels); err != nil {
		return 0, err
	}
	labels, err := s.intern(text)
	if err != nil {
		return 0, err
	}
	id, n := seriesID{family, labels}, uint32(len(s.series))
	s.series = append(s.series, id)
	s.bySeries[id] = n
	return n, nil
}

// check reports whether the family can have a series with labels of these names.
func (f *Family) check(kind Kind, labels metric.Labels) error {
	if f.checked && slices.EqualFunc(labels, f.labels, func(l metric.Label, name string) bool { return l.Name == name }) {
		return nil
	}
	schema := metric.Schema{Name: f.Name, Help: f.Help, Type: kind.Type, Mode: kind.Mode}
	for _, l := range labels {
		schema.Labels = append(schema.Labels, strings.Clone(l.Name))
	}
	if err := schema.CheckForm(); err != nil {
		return err
	}
	f.checked, f.labels = true, schema.Labels
	return nil
}

type familyID struct{ name, help string }

// family returns the number of a family, whose strings may be those of a key.
func (s *KeySet) family(id familyID) uint32 {
	n, known := s.byFamily[id]
	if !known {
		id = familyID{strings.Clone(id.name), strings.Clone(id.help)}
		n = uint32(len(s.families))
		s.families = append(s.families, &Family{Name: id.name, Help: id.help})
		s.byFamily[id] = n
	}
	return n
}

// maxSchemas is how many programs may take turns in a directory and still share.
const maxSchemas = 8

// schema returns the schema of a file whose histograms have these bounds:
// one for all such files.
func (f *Family) schema(kind Kind, bounds []float64) *metric.Schema {
	for _, s := range f.schemas {
		if slices.Equal(s.Bounds, bounds) {
			return s
		}
	}
	if len(f.schemas) == maxSchemas { // of a file that grows, each is one that it had once
		f.schemas = slices.Delete(f.schemas, 0, 1)
	}
	s := &metric.Schema{Name: f.Name, Help: f.Help, Type: kind.Type, Mode: kind.Mode, Bounds: slices.Clone(bounds)}
	f.schemas = append(f.schemas, s)
	return s
}

// bound parses the label le.
func bound(s string) (float64, error) {
	f, err := strconv.ParseFloat(s, 64)
	if err != nil || math.IsNaN(f) || math.IsInf(f, -1) {
		return 0, fmt.Errorf("the bucket bound %q is no number", s)
	}
	return f, nil
}
