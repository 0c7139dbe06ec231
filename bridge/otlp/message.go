package otlp

import (
	"encoding/binary"
	"encoding/hex"
	"math"

	"google.golang.org/protobuf/encoding/protowire"

	"github.com/multiprom/multiprom/internal/openmetrics"
	"github.com/multiprom/multiprom/metric"
)

// Field numbers, by message. A test compares what is written with OpenTelemetry's own decoder.
const (
	requestResource                  = 1    // ExportMetricsServiceRequest
	resourceResource, resourceScope  = 1, 2 // ResourceMetrics
	resourceAttributes               = 1
	scopeScope, scopeMetrics         = 1, 2 // ScopeMetrics
	scopeName                        = 1
	keyValueKey, keyValueValue       = 1, 2
	anyString                        = 1
	metricName, metricDescription    = 1, 2
	metricUnit, metricGauge          = 3, 5
	metricSum, metricHistogram       = 7, 9
	metricExponential                = 10
	metricSummary, metricMetadata    = 11, 12
	dataPoints, dataTemporality      = 1, 2 // of Gauge, Sum, Histogram and Summary
	sumMonotonic                     = 3
	pointStart, pointTime            = 2, 3 // of all points
	pointCount, pointSum             = 4, 5 // of histograms and summaries
	numberAttributes, numberDouble   = 7, 4
	numberExemplars, numberFlags     = 5, 8
	histogramAttributes              = 9
	histogramCounts, histogramBounds = 6, 7
	histogramExemplars               = 8
	histogramFlags                   = 10
	summaryAttributes                = 7
	summaryQuantiles, summaryFlags   = 6, 8
	quantileQuantile, quantileValue  = 1, 2
	exemplarAttributes, exemplarTime = 7, 2
	exemplarDouble                   = 3
	exemplarSpan, exemplarTrace      = 4, 5
	responsePartial                  = 1
	partialRejected, partialMessage  = 1, 2
	cumulative, noRecordedValue      = 2, 1
)

// scopeField is the scope of all metrics.
var scopeField = appendMessage(nil, scopeScope, appendText(nil, scopeName, "github.com/multiprom/multiprom"))

func appendTag(dst []byte, field int, t protowire.Type) []byte {
	return append(dst, byte(protowire.EncodeTag(protowire.Number(field), t)))
}

// appendHead appends the key and the length of a message or packed field.
func appendHead(dst []byte, field, size int) []byte {
	return protowire.AppendVarint(appendTag(dst, field, protowire.BytesType), uint64(size))
}

// headSize is how many bytes appendHead appends.
func headSize(size int) int { return 1 + protowire.SizeVarint(uint64(size)) }

func appendMessage(dst []byte, field int, body []byte) []byte {
	return append(appendHead(dst, field, len(body)), body...)
}

func appendText(dst []byte, field int, text string) []byte {
	return append(appendHead(dst, field, len(text)), text...)
}

func appendUint(dst []byte, field int, v uint64) []byte {
	return protowire.AppendVarint(appendTag(dst, field, protowire.VarintType), v)
}

func appendLittle(dst []byte, v uint64) []byte { return binary.LittleEndian.AppendUint64(dst, v) }

func appendFixed(dst []byte, field int, v uint64) []byte {
	return appendLittle(appendTag(dst, field, protowire.Fixed64Type), v)
}

// appendAttribute appends a KeyValue with a string.
func appendAttribute(dst []byte, field int, name, value string) []byte {
	inner := headSize(len(value)) + len(value)
	dst = appendHead(dst, field, headSize(len(name))+len(name)+headSize(inner)+inner)
	dst = appendText(dst, keyValueKey, name)
	dst = appendHead(dst, keyValueValue, inner)
	return appendText(dst, anyString, value)
}

func appendResource(dst []byte, attributes metric.Labels) []byte {
	var body []byte
	for _, l := range attributes {
		body = appendAttribute(body, resourceAttributes, l.Name, l.Value)
	}
	return appendMessage(dst, resourceResource, body)
}

// appendExemplar appends x, unless it is nil or not valid.
func (e *encoder) appendExemplar(dst []byte, field int, x *metric.Exemplar, s *metric.Series) []byte {
	if x == nil || openmetrics.CheckExemplar(x.Labels) != nil {
		return dst
	}
	var body []byte
	for _, l := range x.Labels {
		if to, size := exemplarID(l.Name); size > 0 {
			if id, err := hex.DecodeString(l.Value); err == nil && len(id) == size {
				body = appendMessage(body, to, id)
				continue
			}
		}
		body = appendAttribute(body, exemplarAttributes, l.Name, l.Value)
	}
	at := e.at(s)
	if !x.Timestamp.IsZero() {
		at = uint64(x.Timestamp.UnixNano())
	}
	body = appendFixed(body, exemplarTime, at)
	body = appendFixed(body, exemplarDouble, math.Float64bits(x.Value))
	return appendMessage(dst, field, body)
}

// exemplarID returns the field of an ID and its length in bytes; 0 for other labels.
func exemplarID(label string) (field, size int) {
	switch label {
	case "trace_id":
		return exemplarTrace, 16
	case "span_id":
		return exemplarSpan, 8
	}
	return 0, 0
}

// units are those of UCUM for units of OpenMetrics.
var units = map[string]string{
	"seconds": "s", "bytes": "By", "ratio": "1", "meters": "m", "volts": "V", "amperes": "A", "joules": "J",
	"grams": "g", "celsius": "Cel", "hertz": "Hz", "percent": "%",
}

func unit(s string) string {
	if u, ok := units[s]; ok {
		return u
	}
	return validUTF8(s)
}

// partialSuccess returns what an answer says of points that were not stored.
func partialSuccess(body []byte) (rejected int, message string) {
	partial := field(body, responsePartial)
	if v, n := protowire.ConsumeVarint(field(partial, partialRejected)); n > 0 && v < math.MaxInt32 {
		rejected = int(v)
	}
	return rejected, validUTF8(string(field(partial, partialMessage)))
}

// field returns the bytes of a field, or of its number; nil if it is not there or the message
// is damaged or cut off.
func field(message []byte, want protowire.Number) []byte {
	for len(message) > 0 {
		n, typ, size := protowire.ConsumeTag(message)
		if size < 0 {
			return nil
		}
		message = message[size:]
		size = protowire.ConsumeFieldValue(n, typ, message)
		if size < 0 {
			return nil
		}
		if n == want {
			if typ == protowire.BytesType {
				v, _ := protowire.ConsumeBytes(message)
				return v
			}
			return message[:size]
		}
		message = message[size:]
	}
	return nil
}
