package remotewrite

import (
	"encoding/binary"
	"math"
	"net/http"
	"slices"
	"sync/atomic"
	"time"

	"github.com/klauspost/compress/s2"
	"github.com/klauspost/compress/snappy"

	"google.golang.org/protobuf/encoding/protowire"

	"github.com/multiprom/multiprom/bridge/internal/send"
	"github.com/multiprom/multiprom/internal/form"
	"github.com/multiprom/multiprom/internal/histogram"
	"github.com/multiprom/multiprom/internal/views"
	"github.com/multiprom/multiprom/metric"
)

// Forms of a batch.
const (
	form1 byte = 1 // prometheus.WriteRequest
	form2 byte = 2 // io.prometheus.write.v2.Request
)

// Bits of values that mean something: a marker says that the series ended, and any other NaN
// is written as Prometheus writes it.
const (
	staleNaN  = 0x7ff0000000000002
	normalNaN = 0x7ff8000000000001
)

// metadataPeriod is how often 1.0 sends metadata.
const metadataPeriod = time.Minute

// encoder writes rows as requests. It keeps its buffers, so that a round allocates nothing
// for a series.
type encoder struct {
	auto                 bool
	native               string       // when native buckets are sent
	version              atomic.Int32 // 2, or 1 once the receiver has refused 2.0
	external             metric.Labels
	maxSamples, maxBytes int
	metadataAt           time.Time // when 1.0 has sent it last

	// The round.
	round    *send.Round
	v2       bool
	now      int64           // in milliseconds
	taken    map[string]bool // names of samples that are left out
	metadata []byte          // of 1.0, if it is due: fields of the request
	due      bool
	known    send.LabelCache
	escaped  map[string]*escaped
	plains   map[string]uint64 // by family: the layout of which plain said yes

	// The batch. gen tells one from the next: what was written with the symbols of another
	// one is not valid.
	gen     uint64
	samples int
	series  []byte // fields of the request, one for each series
	symbols symbols
	joined  metric.Labels
	whole   []byte

	// Templates.
	kept      templates
	prefix    uint64    // what the batch has, as segments know it
	prefixes  uint64    // how many segments were recorded
	recording *template // made of the samples that are written, or nil
	from      segment   // how long the lists of the batch were before these
	update    *update   // gets samples instead of the batch, unless it is nil
	updated   update
	read      metric.Series
	time      []byte // of the round, as samples have it

	histogram []byte // the native histogram that is written

	family familyState
	row    seriesState
}

// Begin begins a round.
func (e *encoder) Begin(r *send.Round) {
	if e.escaped == nil {
		e.escaped, e.plains = map[string]*escaped{}, map[string]uint64{}
	}
	v2 := e.version.Load() == 2
	if v2 != e.v2 || e.symbols.tooMany() {
		e.symbols = symbols{}
		e.known.Reset()
		e.kept = templates{}
	}
	e.known.Begin()
	e.kept.begin()
	clear(e.escaped)
	e.round, e.now, e.v2 = r, r.Time.UnixMilli(), v2
	e.row.times = e.row.times[:0]
	e.metadata, e.due = e.metadata[:0], !v2 && r.Time.Sub(e.metadataAt) >= metadataPeriod
	e.reset()
}

// End ends it.
func (e *encoder) End() {
	e.flush()
	e.flushMetadata()
	e.symbols.settle()
}

// reset begins a batch.
func (e *encoder) reset() {
	e.gen++
	e.prefix, e.samples, e.series = empty, 0, e.series[:0]
	e.symbols.begin()
}

// flush ends a batch, unless it is empty.
func (e *encoder) flush() {
	if e.samples > 0 {
		e.endSegment()
		form := form1
		e.whole = e.whole[:0]
		if e.v2 {
			form = form2
			e.whole = append(e.whole, e.symbols.fields...)
		}
		e.whole = append(e.whole, e.series...)
		e.round.Add(form, e.samples, func(dst []byte) []byte { return appendSnappy(dst, e.whole) })
	}
	e.reset()
	e.beginSegment()
}

func appendSnappy(dst, src []byte) []byte {
	n, most := len(dst), snappy.MaxEncodedLen(len(src))
	dst = slices.Grow(dst, most)
	return dst[:n+len(s2.EncodeSnappy(dst[n:n+most], src))]
}

// familyState is what the samples of a family have in common.
type familyState struct {
	typ      metric.Type
	reserved string  // label that the type writes
	first    string  // the smaller of the labels that the encoder writes
	second   string  // the other one, if any
	name     special // of a sample without suffix, _total or _info
	base     special // of native buckets
	sum      special
	count    special
	bounds   []special // values of the reserved label: bounds, quantiles, states
	typeNum  uint64
	help     string
	unit     string
	meta     []byte // the field metadata
	metaGen  uint64
	names    []string
}

// special is a label that the encoder writes itself. Its bytes belong to one batch.
type special struct {
	label, text string
	bound       float64
	bytes       []byte
	gen         uint64
}

func (s *special) set(label, text string) {
	if s.label != label || s.text != text {
		s.label, s.text, s.gen = label, text, 0
	}
}

// Names returns the names of a family's samples. The samples that follow are its own.
func (e *encoder) Names(name string, t metric.Type) []string {
	fam := &e.family
	base := e.metricName(name)
	fam.typ, fam.reserved = t, t.ReservedLabel(name)
	if t == metric.StateSet {
		fam.reserved = e.labelName(name)
	}
	fam.first, fam.second = nameLabel, fam.reserved
	if fam.second != "" && fam.second < fam.first {
		fam.first, fam.second = fam.second, fam.first
	}
	fam.names = fam.names[:0]
	set := func(s *special, suffix string) {
		s.set(nameLabel, base+suffix)
		fam.names = append(fam.names, s.text)
	}
	switch t {
	case metric.Counter:
		set(&fam.name, "_total")
	case metric.Info:
		set(&fam.name, "_info")
	case metric.Histogram, metric.GaugeHistogram, metric.Summary:
		first, count, sum := "_bucket", "_count", "_sum"
		if t == metric.Summary {
			first = ""
		} else if t == metric.GaugeHistogram {
			count, sum = "_gcount", "_gsum"
		}
		set(&fam.name, first)
		if t == metric.Histogram {
			set(&fam.base, "")
		}
		set(&fam.count, count)
		set(&fam.sum, sum)
	default:
		set(&fam.name, "")
	}
	return fam.names
}

// Family adds a family.
func (e *encoder) Family(f *views.Family) (left int) {
	e.setMetadata(f.Type, f.Help, f.Unit)
	if e.due {
		e.addMetadata1(f.Family)
	}
	if !e.isPlain(f) {
		series, n := e.escape(f)
		f, left = &views.Family{Family: &metric.Family{Series: series}}, n
	}
	if f.Layout != 0 {
		if e.samples > 0 && e.fills(f) {
			e.flush()
		}
		t, again := e.kept.of(f.Layout)
		if e.replay(f, t) {
			return left
		}
		if again {
			e.record(f, t)
		}
	}
	e.known.Each(f, e.appendLabels, func(s *metric.Series, labels []byte) {
		e.encodeSeries(s, labels, false, false)
		e.endRow()
	})
	e.endRecord()
	return left
}

// Gone writes markers for series that left.
func (e *encoder) Gone(g *send.Gone) {
	e.setMetadata(g.Type, "", "")
	e.taken = g.Taken
	defer func() { e.taken = nil }()
	known := e.escaped[g.Name]
	var row []byte
	g.Each(func(s *metric.Series, part bool) {
		labels, ok := e.escapeLabels(s.Labels)
		if !ok || known != nil && known.seen[labels.String()] {
			return
		}
		row = e.appendLabels(row[:0], labels)
		e.encodeSeries(s, row, true, part)
	})
	e.endRecord()
}

// seriesState is the current series.
type seriesState struct {
	labels   []byte    // as appendLabels wrote them
	segments [3][]byte // the same for this batch: before, between and after the encoder's own
	gen      uint64
	refs     []byte // of the segments

	// The start of a sample's last fields, which most samples have in common.
	at, start int64
	times     []byte
}

// encodeSeries writes the samples of a series, or markers of those. part writes only those
// that have the reserved label.
func (e *encoder) encodeSeries(s *metric.Series, labels []byte, stale, part bool) {
	fam := &e.family
	e.row.labels, e.row.gen = labels, 0
	at, start := e.now, int64(0)
	if !s.Timestamp.IsZero() {
		at = s.Timestamp.UnixMilli()
	}
	if !s.Created.IsZero() && !stale && (fam.typ == metric.Counter || fam.typ == metric.Histogram || fam.typ == metric.Summary) {
		start = s.Created.UnixMilli()
	}
	if start > at { // a sample cannot be older than its start
		if s.Timestamp.IsZero() && start <= e.round.Read.UnixMilli() {
			at = start
		} else {
			start = 0 // by a clock that is or was wrong
		}
	}
	value := func(v float64) uint64 {
		switch {
		case stale:
			return staleNaN
		case v != v:
			return normalNaN
		}
		return math.Float64bits(v)
	}
	switch fam.typ {
	case metric.Info:
		e.sample(&fam.name, nil, value(1), at, 0, nil)
	case metric.StateSet:
		for i, st := range s.States {
			on := 0.0
			if st.On {
				on = 1
			}
			e.sample(&fam.name, e.state(i, st.Name), value(on), at, 0, nil)
		}
	case metric.Histogram, metric.GaugeHistogram, metric.Summary:
		if fam.typ == metric.Histogram && s.Native != nil && e.sendsNative() {
			e.nativeSample(s, at, start, stale)
			if histogram.OnlyInf(s) {
				return
			}
		}
		for i := range s.Buckets {
			b := &s.Buckets[i]
			e.sample(&fam.name, e.bound(i, b.UpperBound), value(float64(b.Count)), at, start, b.Exemplar)
		}
		for i, q := range s.Quantiles {
			e.sample(&fam.name, e.bound(i, q.Q), value(q.Value), at, 0, nil)
		}
		if part {
			return
		}
		if fam.typ != metric.Summary && (len(s.Buckets) == 0 || !math.IsInf(s.Buckets[len(s.Buckets)-1].UpperBound, 1)) {
			e.sample(&fam.name, e.bound(len(s.Buckets), math.Inf(1)), value(float64(s.Count)), at, start, nil)
		}
		if !s.NoSum {
			e.sample(&fam.sum, nil, value(s.Sum), at, start, nil)
		}
		e.sample(&fam.count, nil, value(float64(s.Count)), at, start, nil)
	default:
		e.sample(&fam.name, nil, value(s.Value), at, start, s.Exemplar)
	}
}

// bound returns the label of bucket or quantile i.
func (e *encoder) bound(i int, v float64) *special {
	b := e.nth(i)
	if b.bound != v || b.label != e.family.reserved || b.text == "" {
		b.bound = v
		b.set(e.family.reserved, string(form.AppendCanonical(nil, v)))
	}
	return b
}

func (e *encoder) state(i int, name string) *special {
	b := e.nth(i)
	b.bound = math.NaN()
	b.set(e.family.reserved, validUTF8(name))
	return b
}

func (e *encoder) nth(i int) *special {
	if i == len(e.family.bounds) {
		e.family.bounds = append(e.family.bounds, special{})
	}
	return &e.family.bounds[i]
}

// appendLabels appends the labels of a series and the external ones, sorted, in three parts: the
// labels that the encoder writes itself come between them. In 1.0 they are messages, after the
// sizes of the first two parts, in 2.0 the numbers of symbols, after the numbers of labels.
// Empty labels are left out.
func (e *encoder) appendLabels(dst []byte, own metric.Labels) []byte {
	all := &e.joined
	*all = e.join((*all)[:0], own)
	var parts [3]metric.Labels
	rest := *all
	for i, end := range []string{e.family.first, e.family.second} {
		n := 0
		for n < len(rest) && end != "" && rest[n].Name < end {
			n++
		}
		parts[i], rest = rest[:n], rest[n:]
	}
	parts[2] = rest
	if e.family.second == "" {
		parts[1], parts[2] = rest, nil
	}
	if e.v2 {
		dst = binary.AppendUvarint(binary.AppendUvarint(dst, uint64(len(parts[0]))), uint64(len(parts[1])))
		for _, l := range *all {
			dst = binary.AppendUvarint(dst, uint64(e.symbols.number(l.Name)))
			dst = binary.AppendUvarint(dst, uint64(e.symbols.number(l.Value)))
		}
		return dst
	}
	for _, part := range parts[:2] {
		size := 0
		for _, l := range part {
			size += 1 + protowire.SizeBytes(sizeLabel1(l.Name, l.Value))
		}
		dst = binary.AppendUvarint(dst, uint64(size))
	}
	for _, l := range *all {
		dst = appendLabel1(dst, l.Name, l.Value)
	}
	return dst
}

// join appends the labels of a series and the external ones, sorted. Empty ones are left out.
func (e *encoder) join(dst, own metric.Labels) metric.Labels {
	ext := e.external
	for _, l := range own {
		for len(ext) > 0 && ext[0].Name < l.Name {
			dst, ext = e.addExternal(dst, ext[0]), ext[1:]
		}
		if l.Value == "" {
			continue // the same as no label, which the external one may replace
		}
		if len(ext) > 0 && ext[0].Name == l.Name {
			ext = ext[1:]
		}
		dst = append(dst, l)
	}
	for _, l := range ext {
		dst = e.addExternal(dst, l)
	}
	return dst
}

func (e *encoder) addExternal(dst metric.Labels, l metric.Label) metric.Labels {
	if l.Name == e.family.reserved {
		return dst
	}
	return append(dst, l)
}

// Header sets the headers of a request.
func (e *encoder) Header(form byte, h http.Header) {
	h.Set("Content-Encoding", "snappy")
	if form == form2 {
		h.Set("Content-Type", "application/x-protobuf;proto=io.prometheus.write.v2.Request")
		h.Set("X-Prometheus-Remote-Write-Version", "2.0.0")
		return
	}
	h.Set("Content-Type", "application/x-protobuf")
	h.Set("X-Prometheus-Remote-Write-Version", "0.1.0")
}
