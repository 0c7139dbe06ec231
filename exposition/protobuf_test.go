package exposition

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"math"
	"strings"
	"testing"
	"time"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/encoding/protodelim"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/multiprom/multiprom/internal/randfamily"
	"github.com/multiprom/multiprom/metric"
)

// client_model is the oracle: the hand-written encoding must equal its encoding of the
// same families.

var (
	protobuf       = Options{ContentType: ContentType{Protobuf, AllowUTF8}, Created: true}
	protobufLegacy = Options{ContentType: ContentType{Format: Protobuf}, Created: true}
)

func TestProtobufFieldNumbers(t *testing.T) {
	for _, m := range []struct {
		message proto.Message
		fields  map[string]int
	}{
		{&dto.MetricFamily{}, map[string]int{"name": familyName, "help": familyHelp, "type": familyType, "metric": familyMetric, "unit": familyUnit}},
		{&dto.Metric{}, map[string]int{"label": metricLabel, "gauge": metricGauge, "counter": metricCounter, "summary": metricSummary,
			"untyped": metricUntyped, "histogram": metricHistogram, "timestamp_ms": metricTimestamp}},
		{&dto.LabelPair{}, map[string]int{"name": labelName, "value": labelValue}},
		{&dto.Gauge{}, map[string]int{"value": valueValue}},
		{&dto.Untyped{}, map[string]int{"value": valueValue}},
		{&dto.Counter{}, map[string]int{"value": valueValue, "exemplar": counterExemplar, "created_timestamp": counterCreated}},
		{&dto.Summary{}, map[string]int{"sample_count": summaryCount, "sample_sum": summarySum, "quantile": summaryQuantile, "created_timestamp": summaryCreated}},
		{&dto.Quantile{}, map[string]int{"quantile": quantileQuantile, "value": quantileValue}},
		{&dto.Histogram{}, map[string]int{"sample_count": histogramCount, "sample_sum": histogramSum, "bucket": histogramBucket, "created_timestamp": histogramCreated,
			"schema": histogramSchema, "zero_threshold": histogramThreshold, "zero_count": histogramZero,
			"negative_span": histogramNegative, "negative_delta": histogramNegativeDelta,
			"positive_span": histogramPositive, "positive_delta": histogramPositiveDelta, "exemplars": histogramExemplar}},
		{&dto.BucketSpan{}, map[string]int{"offset": spanOffset, "length": spanLength}},
		{&dto.Bucket{}, map[string]int{"cumulative_count": bucketCount, "upper_bound": bucketBound, "exemplar": bucketExemplar}},
		{&dto.Exemplar{}, map[string]int{"label": exemplarLabel, "value": exemplarValue, "timestamp": exemplarTimestamp}},
		{&timestamppb.Timestamp{}, map[string]int{"seconds": timestampSeconds, "nanos": timestampNanos}},
	} {
		fields := m.message.ProtoReflect().Descriptor().Fields()
		for name, number := range m.fields {
			require.EqualValues(t, number, fields.ByName(protoreflect.Name(name)).Number(), "%T.%s", m.message, name)
		}
	}
	for typ, value := range protobufTypes {
		name := strings.ToUpper(textTypes[typ])
		if typ == metric.GaugeHistogram {
			name = "GAUGE_HISTOGRAM"
		}
		require.EqualValues(t, value, dto.MetricType_value[name], name)
	}
}

// dtos returns client_model's messages for families whose names need no escaping.
func dtos(families []*metric.Family) (out []*dto.MetricFamily) {
	for _, f := range families {
		m := &dto.MetricFamily{Name: proto.String(f.Name + ownSuffix(f.Type))}
		if f.Help != "" {
			m.Help = &f.Help
		}
		if f.Unit != "" {
			m.Unit = &f.Unit
		}
		for i := range f.Series {
			m.Metric = append(m.Metric, dtoMetrics(f, &f.Series[i])...)
		}
		switch f.Type {
		case metric.Counter:
			m.Type = dto.MetricType_COUNTER.Enum()
		case metric.Gauge, metric.Info, metric.StateSet:
			m.Type = dto.MetricType_GAUGE.Enum()
		case metric.Summary:
			m.Type = dto.MetricType_SUMMARY.Enum()
		case metric.Histogram:
			m.Type = dto.MetricType_HISTOGRAM.Enum()
		case metric.GaugeHistogram:
			m.Type = dto.MetricType_GAUGE_HISTOGRAM.Enum()
		default:
			m.Type = dto.MetricType_UNTYPED.Enum()
		}
		out = append(out, m)
	}
	return out
}

func dtoMetrics(f *metric.Family, s *metric.Series) []*dto.Metric {
	m := &dto.Metric{Label: dtoLabels(s.Labels)}
	if !s.Timestamp.IsZero() {
		m.TimestampMs = proto.Int64(s.Timestamp.UnixMilli())
	}
	sum := &s.Sum
	if s.NoSum {
		sum = nil
	}
	switch f.Type {
	case metric.Counter:
		m.Counter = &dto.Counter{Value: &s.Value, Exemplar: dtoExemplar(s.Exemplar), CreatedTimestamp: dtoTime(s.Created)}
	case metric.Gauge:
		m.Gauge = &dto.Gauge{Value: &s.Value}
	case metric.Info:
		m.Gauge = &dto.Gauge{Value: proto.Float64(1)}
	case metric.Summary:
		m.Summary = &dto.Summary{SampleCount: &s.Count, SampleSum: sum, CreatedTimestamp: dtoTime(s.Created)}
		for i := range s.Quantiles {
			m.Summary.Quantile = append(m.Summary.Quantile, &dto.Quantile{Quantile: &s.Quantiles[i].Q, Value: &s.Quantiles[i].Value})
		}
	case metric.Histogram, metric.GaugeHistogram:
		m.Histogram = &dto.Histogram{SampleCount: &s.Count, SampleSum: sum}
		if f.Type == metric.Histogram {
			m.Histogram.CreatedTimestamp = dtoTime(s.Created)
		}
		dtoNative(m.Histogram, f, s)
		buckets := s.Buckets
		if len(buckets) == 1 && s.Native != nil && buckets[0].Exemplar == nil {
			buckets = nil
		}
		for i := range buckets {
			b := &buckets[i]
			m.Histogram.Bucket = append(m.Histogram.Bucket, &dto.Bucket{CumulativeCount: &b.Count, UpperBound: &b.UpperBound, Exemplar: dtoExemplar(b.Exemplar)})
		}
	case metric.StateSet:
		var states []*dto.Metric
		for _, st := range s.States {
			v := 0.0
			if st.On {
				v = 1
			}
			label := &dto.LabelPair{Name: &f.Name, Value: &st.Name}
			states = append(states, &dto.Metric{Label: append(dtoLabels(s.Labels), label), Gauge: &dto.Gauge{Value: &v}, TimestampMs: m.TimestampMs})
		}
		return states
	default:
		m.Untyped = &dto.Untyped{Value: &s.Value}
	}
	return []*dto.Metric{m}
}

func dtoNative(out *dto.Histogram, f *metric.Family, s *metric.Series) {
	h := s.Native
	if h == nil || f.Type != metric.Histogram {
		return
	}
	out.Schema, out.ZeroThreshold, out.ZeroCount = proto.Int32(int32(h.Schema)), &h.ZeroThreshold, &h.ZeroCount
	out.PositiveSpan, out.PositiveDelta = dtoSpans(h.Positive)
	out.NegativeSpan, out.NegativeDelta = dtoSpans(h.Negative)
	if h.ZeroThreshold == 0 && h.ZeroCount == 0 && h.Positive == nil && h.Negative == nil {
		out.PositiveSpan = []*dto.BucketSpan{{Offset: proto.Int32(0), Length: proto.Uint32(0)}}
	}
	for _, x := range h.Exemplars {
		if !x.Timestamp.IsZero() {
			out.Exemplars = append(out.Exemplars, dtoExemplar(x))
		}
	}
}

func dtoSpans(spans []metric.Span) (out []*dto.BucketSpan, deltas []int64) {
	var all []uint64
	for _, s := range spans {
		out = append(out, &dto.BucketSpan{Offset: proto.Int32(int32(s.Offset)), Length: proto.Uint32(uint32(len(s.Counts)))})
		all = append(all, s.Counts...)
	}
	for i := range all {
		if i == 0 {
			deltas = append(deltas, int64(all[0]))
		} else {
			deltas = append(deltas, int64(all[i])-int64(all[i-1]))
		}
	}
	return out, deltas
}

func dtoLabels(ls metric.Labels) (out []*dto.LabelPair) {
	for i := range ls {
		out = append(out, &dto.LabelPair{Name: &ls[i].Name, Value: &ls[i].Value})
	}
	return out
}

func dtoExemplar(x *metric.Exemplar) *dto.Exemplar {
	if x == nil {
		return nil
	}
	return &dto.Exemplar{Label: dtoLabels(x.Labels), Value: &x.Value, Timestamp: dtoTime(x.Timestamp)}
}

func dtoTime(t time.Time) *timestamppb.Timestamp {
	if t.IsZero() {
		return nil
	}
	return timestamppb.New(t)
}

// decoded returns what expfmt reads.
func decoded(t testing.TB, data []byte, format ContentType) (out []*dto.MetricFamily) {
	t.Helper()
	decoder := expfmt.NewDecoder(bytes.NewReader(data), expfmt.ResponseFormat(map[string][]string{"Content-Type": {format.String()}}).WithEscapingScheme(map[Escaping]model.EscapingScheme{
		AllowUTF8: model.NoEscaping, Underscores: model.UnderscoreEscaping, Dots: model.DotsEscaping, Values: model.ValueEncodingEscaping,
	}[format.escaping()]))
	for {
		m := &dto.MetricFamily{}
		err := decoder.Decode(m)
		if errors.Is(err, io.EOF) {
			return out
		}
		require.NoError(t, err, "%s", data)
		out = append(out, m)
	}
}

func requireSameProtobuf(t testing.TB, families []*metric.Family, opts Options) {
	t.Helper()
	data, err := Append(nil, families, opts)
	require.NoError(t, err)
	want := dtos(families)
	got := decoded(t, data, opts.ContentType)
	require.Len(t, got, len(want))
	for i := range want {
		require.True(t, proto.Equal(want[i], got[i]), "want %v\ngot  %v", want[i], got[i])
	}

	// The length equals client_model's: no field occurs twice.
	var marshalled bytes.Buffer
	for _, m := range want {
		_, err := protodelim.MarshalTo(&marshalled, m)
		require.NoError(t, err)
	}
	require.Equal(t, marshalled.Len(), len(data))
}

func TestProtobufOnRandomFamilies(t *testing.T) {
	rounds := 500
	if testing.Short() {
		rounds = 50
	}
	for seed := range uint64(rounds) {
		rnd := randfamily.New(seed)
		requireSameProtobuf(t, rnd.Families(false), protobufLegacy)
		requireSameProtobuf(t, rnd.Families(true), protobuf)
	}
}

func FuzzProtobuf(f *testing.F) {
	f.Add(uint64(1), "help", "value", math.Float64bits(1.5), int64(1))
	f.Add(uint64(2), strings.Repeat("x", 127), strings.Repeat("y", 20000), math.Float64bits(math.NaN()), int64(-1))
	f.Fuzz(func(t *testing.T, seed uint64, help, value string, bits uint64, nanos int64) {
		families := randfamily.New(seed).Families(true)
		for _, f := range families {
			f.Help = validUTF8(help)
			s := &f.Series[0]
			s.Labels = s.Labels.With("n", validUTF8(value))
			s.Value, s.Sum, s.Count = math.Float64frombits(bits), math.Float64frombits(bits), bits
			s.Created, s.Timestamp = time.Unix(0, nanos), time.Unix(0, nanos)
		}
		requireSameProtobuf(t, families, protobuf)
	})
}

// A family is written as a whole, since its length comes first.
func TestProtobufInPieces(t *testing.T) {
	families := manySeries(3000)
	want, err := Append(nil, families, protobuf)
	require.NoError(t, err)
	w := &pieces{failAt: -1}
	require.NoError(t, Encode(w, families, protobuf))
	require.Equal(t, want, bytes.Join(w.written, nil))
	require.Greater(t, len(w.written), 1)
	for _, piece := range w.written {
		for len(piece) > 0 {
			length, n := binary.Uvarint(piece)
			require.GreaterOrEqual(t, len(piece), n+int(length))
			piece = piece[n+int(length):]
		}
	}
}

func TestProtobufLeavesOut(t *testing.T) {
	long := metric.MakeLabels("trace", strings.Repeat("é", 124))
	for _, tt := range []struct {
		name   string
		family *metric.Family
		want   *dto.MetricFamily
	}{
		{"created times", one("a", metric.Counter, metric.Series{Created: time.Unix(1, 0)}),
			&dto.MetricFamily{Name: proto.String("a_total"), Help: proto.String("Help of a."), Type: dto.MetricType_COUNTER.Enum(),
				Metric: []*dto.Metric{{Counter: &dto.Counter{Value: proto.Float64(0)}}}}},
		{"a unit that is no part of the name", &metric.Family{Name: "a_b", Unit: "c", Type: metric.Unknown, Series: []metric.Series{{}}},
			&dto.MetricFamily{Name: proto.String("a_b"), Type: dto.MetricType_UNTYPED.Enum(), Metric: []*dto.Metric{{Untyped: &dto.Untyped{Value: proto.Float64(0)}}}}},
		{"an exemplar that is too long", &metric.Family{Name: "a", Type: metric.Counter, Series: []metric.Series{{Exemplar: &metric.Exemplar{Labels: long}}}},
			&dto.MetricFamily{Name: proto.String("a_total"), Type: dto.MetricType_COUNTER.Enum(), Metric: []*dto.Metric{{Counter: &dto.Counter{Value: proto.Float64(0)}}}}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			format := ContentType{Format: Protobuf}
			data, err := Append(nil, []*metric.Family{tt.family}, Options{ContentType: format})
			require.NoError(t, err)
			got := decoded(t, data, format)
			require.Len(t, got, 1)
			require.True(t, proto.Equal(tt.want, got[0]), "%v", got[0])
		})
	}
}

// The time client_model and its marshaller take for the same families, made again for
// each scrape as a handler would have to.
func BenchmarkProtobuf(b *testing.B) {
	families := manySeries(10_000)
	b.Run("appended", func(b *testing.B) {
		var buf []byte
		b.ReportAllocs()
		for b.Loop() {
			buf, _ = Append(buf[:0], families, protobuf)
		}
		b.SetBytes(int64(len(buf)))
	})
	b.Run("client_model", func(b *testing.B) {
		var buf bytes.Buffer
		b.ReportAllocs()
		for b.Loop() {
			buf.Reset()
			for _, m := range dtos(families) {
				if _, err := protodelim.MarshalTo(&buf, m); err != nil {
					b.Fatal(err)
				}
			}
		}
		b.SetBytes(int64(buf.Len()))
	})
}
