package pyfile

import (
	"errors"
	"fmt"
	"hash/maphash"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/multiprom/multiprom/internal/labelkey"
	"github.com/multiprom/multiprom/internal/mpm"
	"github.com/multiprom/multiprom/metric"
)

// Kind is what all records of a file have in common. The file's name says it.
type Kind struct {
	Type metric.Type
	Mode metric.Mode // of a gauge
}

// Keys holds the keys of all files of a directory. Each key is parsed once, because the
// workers of a fleet write the same keys. Keys are never removed. The zero value is ready
// to use. Keys belongs to one goroutine at a time.
type Keys struct {
	sets map[Kind]*KeySet
}

// Of returns the keys of files of that kind.
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

// Len returns the number of keys.
func (k *Keys) Len() (n int) {
	for _, s := range k.sets {
		n += len(s.keys)
	}
	return n
}

// KeySet holds the keys of files of one kind, with their series and families. Each of the
// three is numbered from 0 in the order of first appearance. A fleet may have very many
// keys and series, so these contain no pointers.
type KeySet struct {
	kind     Kind
	keys     []Key
	series   []seriesID
	families []*Family
	symbols  mpm.SymbolTable // raw keys, and labels of series as labelkey.Append encodes them
	seed     maphash.Seed
	byHash   map[uint64]uint32 // by hash of the raw key, or the next free number after it
	bySeries map[seriesID]uint32
	byFamily map[familyID]uint32
	first    uint32 // the first key of some file

	// State of the file that was read last. The next file may be like it.
	guessing         bool // its keys were in the expected order
	stride           int
	records, offsets []uint32

	spare [2][]uint32 // buffers for the records and offsets of the file that is being read
}

// Key says what the value of a record is.
type Key struct {
	Series uint32 // its number
	Part   Part
	Bound  float64 // upper bound of a bucket

	ruby bool // written by GitLab's client for Ruby
	raw  mpm.Symbol
	next uint32 // the key that follows it in some file
	hash uint64
}

// Part says which part of its series a record is.
type Part uint8

// The parts. Counters and gauges have only a value.
const (
	Value   Part = iota // also the sum of a summary or histogram
	Count               // of a summary
	Bucket              // of a histogram, not cumulative
	Ignored             // it repeats what other records say
)

// seriesID is one series of a kind.
type seriesID struct {
	family uint32
	labels mpm.Symbol
}

// Family is the family of keys, in files of one kind.
type Family struct {
	Name, Help string
	labels     []string // the names that were checked last
	checked    bool
	schemas    []*metric.Schema // the last few, by the bounds that files have
}

// none is the number of no key.
const none = math.MaxUint32

// Kind returns the kind of the files.
func (s *KeySet) Kind() Kind { return s.kind }

// Keys returns all keys. The slice only grows.
func (s *KeySet) Keys() []Key { return s.keys }

// Series returns the number of series.
func (s *KeySet) Series() int { return len(s.series) }

// Families returns the families of all keys. The slice only grows.
func (s *KeySet) Families() []*Family { return s.families }

// FamilyOf returns the number of a series' family.
func (s *KeySet) FamilyOf(series uint32) int { return int(s.series[series].family) }

// AppendLabels appends the labels of a series, sorted and without le.
func (s *KeySet) AppendLabels(dst metric.Labels, series uint32) metric.Labels {
	return labelkey.Labels(dst, s.symbols.Lookup(s.series[series].labels))
}

// raw returns a key as it is in files.
func (s *KeySet) raw(n uint32) string { return s.symbols.Lookup(s.keys[n].raw) }

// follow returns the number of the key raw, which follows the key after in a file. Most
// files are like the one before, and then the guess is right.
func (s *KeySet) follow(after uint32, raw []byte) (uint32, error) {
	guess := &s.first
	if after != none {
		guess = &s.keys[after].next
	}
	// Comparing with a wrong guess costs more than a hash, so guess only while guesses are
	// right.
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
		at++ // another key has the same hash, or was moved here for that reason
		n, known = s.byHash[at]
	}
	if !known {
		text := string(raw) // the file may change
		k, err := s.parse(text)
		if err == nil {
			k.raw, err = s.intern(text) // only for a valid key, since symbols are never removed
		}
		if err != nil {
			return none, err
		}
		k.hash = hash
		n = uint32(len(s.keys))
		s.keys = append(s.keys, k)
		s.byHash[at] = n
		if after != none {
			guess = &s.keys[after].next // append may have moved the keys
		}
	}
	*guess = n
	return n, nil
}

func (s *KeySet) is(n uint32, hash uint64, raw []byte) bool {
	return s.keys[n].hash == hash && s.raw(n) == string(raw)
}

// share returns a copy of the records and offsets of a file, or those of the previous file
// if they are equal.
func (s *KeySet) share(records, offsets []uint32) (_, _ []uint32) {
	if !slices.Equal(records, s.records) || !slices.Equal(offsets, s.offsets) {
		s.records, s.offsets = slices.Clip(slices.Clone(records)), slices.Clip(slices.Clone(offsets))
	}
	return s.records, s.offsets // appending to them copies them
}

// expect allocates space for the keys of the first file.
func (s *KeySet) expect(n int) {
	const most = 1 << 16 // a damaged header may announce any number
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

// parse parses a key that no file has had so far.
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
			out.Part = Ignored // the bucket +Inf has the same value
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

// counterFamily returns the family of a counter's sample. As in client_python, the sample's
// name is served, and one suffix _total of it does not belong to the family's name. The
// family name in the key is no help, because clients before 0.4 do not remove the suffix.
func counterFamily(sample string) string {
	if family := strings.TrimSuffix(sample, "_total"); family != "" {
		return family
	}
	return sample
}

// defaultHelp is client_python's help for keys without one.
const defaultHelp = "Multiprocess metric"

// intern adds a text to the symbol table.
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
	text := string(labelkey.Append(make([]byte, 0, 128), k.labels))
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

// check reports whether the family can have a series with these label names.
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

// family returns the number of a family. Its strings may share the memory of a key.
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

// maxSchemas is how many programs with different buckets may alternate in a directory and
// still share schemas.
const maxSchemas = 8

// schema returns the schema for files whose histograms have these bounds. All such files
// share it.
func (f *Family) schema(kind Kind, bounds []float64) *metric.Schema {
	for _, s := range f.schemas {
		if slices.Equal(s.Bounds, bounds) {
			return s
		}
	}
	if len(f.schemas) == maxSchemas { // a growing file had each of them once
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
