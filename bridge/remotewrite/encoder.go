package remotewrite

import (
	"math"
	"net/http"
	"slices"
	"sync/atomic"
	"time"

	"github.com/klauspost/compress/s2"
	"github.com/klauspost/compress/snappy"

	"github.com/multiprom/multiprom/bridge/internal/send"
	"github.com/multiprom/multiprom/exposition"
	"github.com/multiprom/multiprom/internal/form"
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
	version              atomic.Int32 // 2, or 1 once the receiver has refused 2.0
	external             metric.Labels
	maxSamples, maxBytes int
	metadataAt           time.Time // when 1.0 has sent it last

	// The round.
	round   *send.Round
	v2      bool
	now     int64 // in milliseconds
	claimed map[string]bool
	encoded map[string]bool // families of the round
	escaped map[string]*escaped
	omitted exposition.OmissionError
	plains  map[string]uint64 // by family: the layout of which plain said yes

	// The batch. gen tells one from the next: what was written with the symbols of another
	// one is not valid.
	gen     uint64
	samples int
	series  []byte // fields of the request, one for each series
	symbols symbols
	whole   []byte

	family familyState
	row    seriesState
}

// Encode adds a round.
func (e *encoder) Encode(r *send.Round, families []views.Family, gone []*send.Gone) exposition.OmissionError {
	e.begin(r)
	for i := range families {
		if f := &families[i]; f.Family != nil && f.Len() > 0 && f.Type.Valid() {
			e.encodeFamily(f)
		}
	}
	for _, g := range gone {
		e.encodeGone(g)
	}
	e.flush()
	if !e.v2 && len(families) > 0 && r.Time.Sub(e.metadataAt) >= metadataPeriod {
		e.metadataAt = r.Time
		e.encodeMetadata(families)
	}
	return e.omitted
}

func (e *encoder) begin(r *send.Round) {
	if e.claimed == nil {
		e.claimed, e.encoded, e.escaped = map[string]bool{}, map[string]bool{}, map[string]*escaped{}
		e.plains = map[string]uint64{}
	}
	clear(e.claimed)
	clear(e.encoded)
	clear(e.escaped)
	e.round, e.now, e.v2 = r, r.Time.UnixMilli(), e.version.Load() == 2
	e.omitted = exposition.OmissionError{}
	e.reset()
}

// reset begins a batch.
func (e *encoder) reset() {
	e.gen++
	e.samples, e.series = 0, e.series[:0]
	e.symbols.reset()
}

// flush ends a batch, unless it is empty.
func (e *encoder) flush() {
	if e.samples > 0 {
		e.add(e.samples)
	}
	e.reset()
}

// add adds the batch to the round.
func (e *encoder) add(samples int) {
	form := form1
	e.whole = e.whole[:0]
	if e.v2 {
		form = form2
		e.whole = append(e.whole, e.symbols.fields...)
	}
	e.whole = append(e.whole, e.series...)
	e.round.Add(form, samples, func(dst []byte) []byte { return appendSnappy(dst, e.whole) })
}

func appendSnappy(dst, src []byte) []byte {
	n, most := len(dst), snappy.MaxEncodedLen(len(src))
	dst = slices.Grow(dst, most)
	return dst[:n+len(s2.EncodeSnappy(dst[n:n+most], src))]
}

// familyState is what the samples of a family have in common.
type familyState struct {
	typ       metric.Type
	reserved  string  // label that the type writes
	name      special // of a sample without suffix, _total or _info
	sum       special
	count     special
	bounds    []special // values of the reserved label: bounds, quantiles, states
	typeNum   uint64
	help      string
	unit      string
	meta      []byte // the field metadata
	metaGen   uint64
	wantNames []string
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

// sampleNames sets the names of the family's samples. It reports false if one is taken.
func (e *encoder) sampleNames(name string, t metric.Type) {
	fam := &e.family
	base := e.metricName(name)
	fam.typ, fam.reserved = t, t.ReservedLabel(name)
	if t == metric.StateSet {
		fam.reserved = e.labelName(name)
	}
	fam.wantNames = fam.wantNames[:0]
	set := func(s *special, suffix string) {
		s.set(nameLabel, base+suffix)
		fam.wantNames = append(fam.wantNames, s.text)
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
		set(&fam.count, count)
		set(&fam.sum, sum)
	default:
		set(&fam.name, "")
	}
}

// begins sets the state for a family. Families are told apart by gen: their texts may be equal.
func (e *encoder) beginFamily(f *metric.Family) bool {
	e.sampleNames(f.Name, f.Type)
	for _, name := range e.family.wantNames {
		if e.claimed[name] {
			e.omitted.Names = append(e.omitted.Names, f.Name)
			return false
		}
	}
	for _, name := range e.family.wantNames {
		e.claimed[name] = true
	}
	e.encoded[f.Name] = true
	e.setMetadata(f.Type, f.Help, f.Unit)
	return true
}

func (e *encoder) encodeFamily(f *views.Family) {
	if !e.beginFamily(f.Family) {
		return
	}
	if !e.isPlain(f) {
		rows, n := e.escape(f)
		e.omitted.Series += n
		for i := range rows {
			e.encodeSeries(&rows[i], false, false)
		}
		return
	}
	if f.Rows == nil {
		for i := range f.Series {
			e.encodeSeries(&f.Series[i], false, false)
		}
		return
	}
	row := &e.row.read
	for i := range f.Rows.Len() {
		labels := f.Rows.AppendLabels(e.row.labels[:0], i)
		f.Rows.Read(i, row)
		row.Labels, e.row.labels = labels, labels
		e.encodeSeries(row, false, false)
	}
}

// encodeGone writes markers for the series that left. One whose name another family has taken
// gets none.
func (e *encoder) encodeGone(g *send.Gone) {
	e.sampleNames(g.Name, g.Type)
	for _, name := range e.family.wantNames {
		if e.claimed[name] && !(g.Live && e.encoded[g.Name]) {
			return
		}
	}
	e.setMetadata(g.Type, "", "")
	known := e.escaped[g.Name]
	g.Each(func(s *metric.Series, part bool) {
		labels, ok := e.escapeLabels(s.Labels)
		if !ok || known != nil && known.seen[labels.String()] {
			return
		}
		s.Labels = labels
		e.encodeSeries(s, true, part)
	})
}

// seriesState is the current series.
type seriesState struct {
	read     metric.Series
	labels   metric.Labels // of read
	all      metric.Labels // with the external ones
	segments [3][]byte     // all, before, between and after the labels that the encoder writes
	gen      uint64
	first    string // the smaller of the labels that the encoder writes
	second   string // the other one, if any
	refs     []labelRefs
}

// encodeSeries writes the samples of a series, or markers of those. part writes only those
// that have the reserved label.
func (e *encoder) encodeSeries(s *metric.Series, stale, part bool) {
	fam := &e.family
	e.row.all = e.join(e.row.all[:0], s.Labels)
	e.row.gen = 0
	at, start := e.now, int64(0)
	if !s.Timestamp.IsZero() {
		at = s.Timestamp.UnixMilli()
	}
	if !s.Created.IsZero() && !stale && (fam.typ == metric.Counter || fam.typ == metric.Histogram || fam.typ == metric.Summary) {
		start = s.Created.UnixMilli()
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
