package remotewrite

import (
	"encoding/binary"
	"math"

	"google.golang.org/protobuf/encoding/protowire"

	"github.com/multiprom/multiprom/internal/openmetrics"
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
	series1Hist                                    = 4
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

// appendSize appends a varint, which mostly has one byte.
func appendSize(dst []byte, n int) []byte {
	if n < 0x80 {
		return append(dst, byte(n))
	}
	return protowire.AppendVarint(dst, uint64(n))
}

// appendLabel appends a label of a series or an exemplar: two symbols of 2.0, which ref knows, or
// a message of 1.0.
func (e *encoder) appendLabel(dst []byte, name, value string, ref func(string) uint64) []byte {
	if e.v2 {
		dst = protowire.AppendVarint(dst, ref(name))
		return protowire.AppendVarint(dst, ref(value))
	}
	return appendLabel1(dst, name, value)
}

// sizeLabel1 is the size of the message that appendLabel1 appends.
func sizeLabel1(name, value string) int {
	return 2 + protowire.SizeBytes(len(name)) + protowire.SizeBytes(len(value))
}

func appendLabel1(dst []byte, name, value string) []byte {
	dst = appendTag(dst, series1Labels, protowire.BytesType)
	dst = protowire.AppendVarint(dst, uint64(sizeLabel1(name, value)))
	dst = protowire.AppendVarint(appendTag(dst, label1Name, protowire.BytesType), uint64(len(name)))
	dst = append(dst, name...)
	dst = protowire.AppendVarint(appendTag(dst, label1Value, protowire.BytesType), uint64(len(value)))
	return append(dst, value...)
}

// segment sets the segments of the series for this batch.
func (e *encoder) segment() {
	r := &e.row
	r.gen = e.gen
	first, size := binary.Uvarint(r.labels)
	rest := r.labels[size:]
	second, size := binary.Uvarint(rest)
	rest = rest[size:]
	if !e.v2 {
		r.segments = [3][]byte{rest[:first], rest[first : first+second], rest[first+second:]}
		return
	}
	r.refs = r.refs[:0]
	for i, n := range [2]uint64{first, second} {
		from := len(r.refs)
		rest = e.translate(rest, 2*n)
		r.segments[i] = r.refs[from:]
	}
	from := len(r.refs)
	e.translate(rest, math.MaxUint64)
	r.segments[2] = r.refs[from:]
}

// translate appends the refs of the next n symbols to those of the series, or of all.
func (e *encoder) translate(numbers []byte, n uint64) []byte {
	refs := e.row.refs
	for ; n > 0 && len(numbers) > 0; n-- {
		number := uint64(numbers[0])
		size := 1
		if number >= 0x80 {
			number, size = binary.Uvarint(numbers)
		}
		numbers = numbers[size:]
		if ref := e.symbols.ref(number); ref < 0x80 {
			refs = append(refs, byte(ref))
		} else if ref < 0x4000 {
			refs = append(refs, byte(ref)|0x80, byte(ref>>7))
		} else {
			refs = protowire.AppendVarint(refs, uint64(ref))
		}
	}
	e.row.refs = refs
	return numbers
}

// bytesOf returns a label as bytes for this batch; none for nil.
func (e *encoder) bytesOf(s *special) []byte {
	if s == nil || s.text == "" {
		return nil
	}
	if s.gen != e.gen {
		s.bytes, s.gen = e.appendLabel(s.bytes[:0], s.label, s.text, e.symbols.expected), e.gen
	}
	return s.bytes
}

// sample writes one sample as a series of its own. label is the reserved one, or nil.
func (e *encoder) sample(name, label *special, bits uint64, at, start int64, x *metric.Exemplar) {
	if e.taken[name.text] {
		return
	}
	r := &e.row
	if r.at != at || r.start != start || len(r.times) == 0 {
		e.setTimes(at, start)
	}
	fixed := x == nil && at == e.now
	if e.update != nil {
		e.update.sample(bits, r.times, fixed)
		return
	}
	e.makeRoom()
	var exemplar []byte
	if x != nil {
		exemplar = e.exemplar(x, at)
	}
	value := 9 + len(r.times)
	var meta []byte
	if e.v2 {
		meta = e.metadata2()
	}
	dst := e.labelled(name, label, 2+value+len(exemplar)+len(meta))
	dst = append(appendTag(dst, series2Samples, protowire.BytesType), byte(value))
	e.recordSample(len(dst), fixed, x == nil && at == start)
	dst = appendDouble(dst, sampleValue, bits)
	dst = append(dst, r.times...)
	if len(exemplar) > 0 {
		dst = append(dst, exemplar...)
	}
	e.series = append(dst, meta...)
	e.samples++
}

// setTimes sets the fields of a sample that follow its value.
func (e *encoder) setTimes(at, start int64) {
	r := &e.row
	r.at, r.start = at, start
	r.times = appendUint(r.times[:0], sampleTime, uint64(at))
	if e.v2 && start != 0 {
		r.times = appendUint(r.times, sampleStart, uint64(start))
	}
}

// makeRoom ends the batch if it is full.
func (e *encoder) makeRoom() {
	if e.samples >= e.maxSamples || len(e.series)+len(e.symbols.fields) >= e.maxBytes {
		e.flush()
	}
}

// labelled appends to the batch the begin of a series, with its labels. rest is the size of what
// the caller appends after them.
func (e *encoder) labelled(name, label *special, rest int) []byte {
	r := &e.row
	if r.gen != e.gen {
		e.segment()
	}
	first, second := e.bytesOf(name), e.bytesOf(label)
	if e.family.second == nameLabel {
		first, second = second, first
	}
	labels := len(r.segments[0]) + len(first) + len(r.segments[1]) + len(second) + len(r.segments[2])
	total, field := labels+rest, requestSeries1
	if e.v2 {
		total, field = 1+protowire.SizeVarint(uint64(labels))+labels+rest, requestSeries2
	}
	dst := appendSize(appendTag(e.series, field, protowire.BytesType), total)
	if e.v2 {
		dst = appendSize(appendTag(dst, series2Labels, protowire.BytesType), labels)
	}
	dst = append(dst, r.segments[0]...)
	dst = append(dst, first...)
	dst = append(dst, r.segments[1]...)
	if e.family.second == "" {
		return dst
	}
	dst = append(dst, second...)
	return append(dst, r.segments[2]...)
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
		refs = e.appendLabel(refs, l.Name, l.Value, e.symbols.other)
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

// setMetadata sets what metadata2 returns.
func (e *encoder) setMetadata(t metric.Type, help, unit string) {
	fam := &e.family
	fam.typeNum, fam.help, fam.unit, fam.metaGen = metadataTypes[t], validUTF8(help), validUTF8(unit), 0
}

// metadata2 returns the field metadata of a series of 2.0.
func (e *encoder) metadata2() []byte {
	fam := &e.family
	if fam.metaGen != e.gen {
		var body []byte
		body = appendUint(body, meta2Type, fam.typeNum)
		if fam.help != "" {
			body = appendUint(body, meta2Help, e.symbols.expected(fam.help))
		}
		if fam.unit != "" {
			body = appendUint(body, meta2Unit, e.symbols.expected(fam.unit))
		}
		fam.meta = protowire.AppendBytes(appendTag(fam.meta[:0], series2Meta, protowire.BytesType), body)
		fam.metaGen = e.gen
	}
	return fam.meta
}

// addMetadata1 adds the metadata of a family of 1.0. A counter's has the name of its samples,
// under which Prometheus looks for it.
func (e *encoder) addMetadata1(f *metric.Family) {
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
	e.metadata = protowire.AppendBytes(appendTag(e.metadata, requestMetadata, protowire.BytesType), body)
	if len(e.metadata) >= e.maxBytes {
		e.flushMetadata()
	}
}

// flushMetadata ends a request of metadata, unless it is empty.
func (e *encoder) flushMetadata() {
	if len(e.metadata) > 0 {
		e.metadataAt = e.round.Time
		e.round.Add(form1, 0, func(dst []byte) []byte { return appendSnappy(dst, e.metadata) })
		e.metadata = e.metadata[:0]
	}
}
