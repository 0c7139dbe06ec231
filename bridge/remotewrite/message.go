package remotewrite

import (
	"encoding/binary"

	"google.golang.org/protobuf/encoding/protowire"

	"github.com/multiprom/multiprom/internal/openmetrics"
	"github.com/multiprom/multiprom/internal/views"
	"github.com/multiprom/multiprom/metric"
)

const nameLabel = "__name__"

// Field numbers, by message. A test compares what is written with Prometheus' own decoder.
const (
	requestSymbols, requestSeries2                                            = 4, 5 // io.prometheus.write.v2.Request
	series2Labels, series2Samples, series2Hist, series2Exemplars, series2Meta = 1, 2, 3, 4, 5
	meta2Type, meta2Help, meta2Unit                                           = 1, 3, 4

	requestSeries1, requestMetadata                = 1, 3 // prometheus.WriteRequest
	series1Labels, series1Samples, series1Exemplar = 1, 2, 3
	label1Name, label1Value                        = 1, 2
	meta1Type, meta1Name, meta1Help, meta1Unit     = 1, 2, 4, 5

	sampleValue, sampleTime, sampleStart        = 1, 2, 3 // of both, start only in 2.0
	exemplarLabels, exemplarValue, exemplarTime = 1, 2, 3 // of both
)

// metadataTypes are the values of the enum MetricType, of both versions.
var metadataTypes = [...]uint64{
	metric.Unknown:        0,
	metric.Counter:        1,
	metric.Gauge:          2,
	metric.Histogram:      3,
	metric.GaugeHistogram: 4,
	metric.Summary:        5,
	metric.Info:           6,
	metric.StateSet:       7,
}

// symbols is the table of strings of a request of 2.0.
type symbols struct {
	refs   map[string]uint64
	fields []byte // of the request
}

func (s *symbols) reset() {
	if s.refs == nil {
		s.refs = map[string]uint64{}
	}
	clear(s.refs)
	s.fields = s.fields[:0]
	s.ref("") // 0 is the empty string
}

func (s *symbols) ref(text string) uint64 {
	n, ok := s.refs[text]
	if !ok {
		n = uint64(len(s.refs))
		s.refs[text] = n
		s.fields = appendText(s.fields, requestSymbols, text)
	}
	return n
}

func appendTag(dst []byte, field int, t protowire.Type) []byte {
	return append(dst, byte(protowire.EncodeTag(protowire.Number(field), t)))
}

func appendText(dst []byte, field int, text string) []byte {
	return protowire.AppendString(appendTag(dst, field, protowire.BytesType), text)
}

func appendUint(dst []byte, field int, v uint64) []byte {
	return protowire.AppendVarint(appendTag(dst, field, protowire.VarintType), v)
}

func appendDouble(dst []byte, field int, bits uint64) []byte {
	return binary.LittleEndian.AppendUint64(appendTag(dst, field, protowire.Fixed64Type), bits)
}

// appendLabel appends a label of a series or an exemplar: two symbols of 2.0, or a message of
// 1.0.
func (e *encoder) appendLabel(dst []byte, name, value string) []byte {
	if e.v2 {
		dst = protowire.AppendVarint(dst, e.symbols.ref(name))
		return protowire.AppendVarint(dst, e.symbols.ref(value))
	}
	return appendLabel1(dst, name, value)
}

func appendLabel1[T string | []byte](dst []byte, name, value T) []byte {
	size := 2 + protowire.SizeVarint(uint64(len(name))) + len(name) + protowire.SizeVarint(uint64(len(value))) + len(value)
	dst = appendTag(dst, series1Labels, protowire.BytesType)
	dst = protowire.AppendVarint(dst, uint64(size))
	dst = protowire.AppendVarint(appendTag(dst, label1Name, protowire.BytesType), uint64(len(name)))
	dst = append(dst, name...)
	dst = protowire.AppendVarint(appendTag(dst, label1Value, protowire.BytesType), uint64(len(value)))
	return append(dst, value...)
}

// segment writes the labels of the series in three parts: the labels that the encoder writes
// itself come between them.
func (e *encoder) segment() {
	r := &e.row
	r.first, r.second = nameLabel, e.family.reserved
	if r.second != "" && r.second < r.first {
		r.first, r.second = r.second, r.first
	}
	for i := range r.segments {
		r.segments[i] = r.segments[i][:0]
	}
	for i, l := range r.all {
		k := 0
		if l.Name > r.first {
			k = 1
		}
		if r.second != "" && l.Name > r.second {
			k = 2
		}
		if e.v2 {
			r.segments[k] = e.appendRefs(r.segments[k], i, l)
		} else {
			r.segments[k] = appendLabel1(r.segments[k], l.Name, l.Value)
		}
	}
	r.gen = e.gen
}

// labelRefs are the symbols of a label of the series before, in this batch. Adjacent series have
// most names and many values in common.
type labelRefs struct {
	label       metric.Label
	gen         uint64
	name, value uint64
}

// appendRefs is appendLabel for label number i of a series of 2.0.
func (e *encoder) appendRefs(dst []byte, i int, l metric.Label) []byte {
	if i == len(e.row.refs) {
		e.row.refs = append(e.row.refs, labelRefs{})
	}
	r := &e.row.refs[i]
	fresh := r.gen != e.gen
	if fresh || r.label.Name != l.Name {
		r.label.Name, r.name = l.Name, e.symbols.ref(l.Name)
	}
	if fresh || r.label.Value != l.Value {
		r.label.Value, r.value = l.Value, e.symbols.ref(l.Value)
	}
	r.gen = e.gen
	dst = protowire.AppendVarint(dst, r.name)
	return protowire.AppendVarint(dst, r.value)
}

// bytesOf returns a label as bytes for this batch; none for nil.
func (e *encoder) bytesOf(s *special) []byte {
	if s == nil {
		return nil
	}
	if s.gen != e.gen {
		s.bytes, s.gen = e.appendLabel(s.bytes[:0], s.label, s.text), e.gen
	}
	return s.bytes
}

// sample writes one sample as a series of its own. label is the reserved one, or nil.
func (e *encoder) sample(name, label *special, bits uint64, at, start int64, x *metric.Exemplar) {
	if e.samples >= e.maxSamples || len(e.series)+len(e.symbols.fields) >= e.maxBytes {
		e.flush()
	}
	r := &e.row
	if r.gen != e.gen {
		e.segment()
	}
	first, second := e.bytesOf(name), e.bytesOf(label)
	if r.second == nameLabel {
		first, second = second, first
	}
	labels := len(r.segments[0]) + len(first) + len(r.segments[1]) + len(second) + len(r.segments[2])
	value := 9 + 1 + protowire.SizeVarint(uint64(at))
	var exemplar []byte
	if x != nil {
		exemplar = e.exemplar(x, at)
	}
	total, field := labels+2+value+len(exemplar), requestSeries1
	var meta []byte
	if e.v2 {
		if start != 0 {
			value += 1 + protowire.SizeVarint(uint64(start))
		}
		meta = e.metadata()
		field = requestSeries2
		total = 1 + protowire.SizeVarint(uint64(labels)) + labels + 2 + value + len(exemplar) + len(meta)
	}
	dst := protowire.AppendVarint(appendTag(e.series, field, protowire.BytesType), uint64(total))
	if e.v2 {
		dst = protowire.AppendVarint(appendTag(dst, series2Labels, protowire.BytesType), uint64(labels))
	}
	dst = append(dst, r.segments[0]...)
	dst = append(dst, first...)
	dst = append(dst, r.segments[1]...)
	dst = append(dst, second...)
	dst = append(dst, r.segments[2]...)
	dst = append(appendTag(dst, series2Samples, protowire.BytesType), byte(value))
	dst = appendDouble(dst, sampleValue, bits)
	dst = appendUint(dst, sampleTime, uint64(at))
	if e.v2 && start != 0 {
		dst = appendUint(dst, sampleStart, uint64(start))
	}
	dst = append(dst, exemplar...)
	e.series = append(dst, meta...)
	e.samples++
}

// exemplar returns x as a field of a series. One that is not valid is left out.
func (e *encoder) exemplar(x *metric.Exemplar, at int64) []byte {
	labels := x.Labels
	if !e.v2 {
		labels, _ = e.escapeLabels(labels)
	}
	if openmetrics.CheckExemplar(labels) != nil {
		return nil
	}
	if !x.Timestamp.IsZero() {
		at = x.Timestamp.UnixMilli()
	}
	var body, refs []byte
	for _, l := range labels {
		refs = e.appendLabel(refs, l.Name, l.Value)
	}
	field := series1Exemplar
	if body = refs; e.v2 {
		field = series2Exemplars
		body = protowire.AppendBytes(appendTag(nil, exemplarLabels, protowire.BytesType), refs)
	}
	body = appendDouble(body, exemplarValue, bitsOf(x.Value))
	body = appendUint(body, exemplarTime, uint64(at))
	return protowire.AppendBytes(appendTag(nil, field, protowire.BytesType), body)
}

// setMetadata sets what metadata returns.
func (e *encoder) setMetadata(t metric.Type, help, unit string) {
	fam := &e.family
	fam.typeNum, fam.help, fam.unit, fam.metaGen = metadataTypes[t], validUTF8(help), validUTF8(unit), 0
}

// metadata returns the field metadata of a series of 2.0.
func (e *encoder) metadata() []byte {
	fam := &e.family
	if fam.metaGen != e.gen {
		var body []byte
		body = appendUint(body, meta2Type, fam.typeNum)
		if fam.help != "" {
			body = appendUint(body, meta2Help, e.symbols.ref(fam.help))
		}
		if fam.unit != "" {
			body = appendUint(body, meta2Unit, e.symbols.ref(fam.unit))
		}
		fam.meta = protowire.AppendBytes(appendTag(fam.meta[:0], series2Meta, protowire.BytesType), body)
		fam.metaGen = e.gen
	}
	return fam.meta
}

// encodeMetadata adds batches with the metadata of all families, for 1.0. A counter's has the
// name of its samples, under which Prometheus looks for it.
func (e *encoder) encodeMetadata(families []views.Family) {
	e.reset()
	for i := range families {
		f := &families[i]
		if f.Family == nil || !e.encoded[f.Name] {
			continue
		}
		name := e.metricName(f.Name)
		switch f.Type {
		case metric.Counter:
			name += "_total"
		case metric.Info:
			name += "_info"
		}
		body := appendUint(nil, meta1Type, metadataTypes[f.Type])
		body = appendText(body, meta1Name, name)
		body = appendText(body, meta1Help, validUTF8(f.Help))
		if f.Unit != "" {
			body = appendText(body, meta1Unit, validUTF8(f.Unit))
		}
		e.series = protowire.AppendBytes(appendTag(e.series, requestMetadata, protowire.BytesType), body)
		if len(e.series) >= e.maxBytes {
			e.add(0)
			e.reset()
		}
	}
	if len(e.series) > 0 {
		e.add(0)
	}
}
