package exposition

import "fmt"

// Format is a format and its version.
type Format uint8

const (
	// Text004 is the text format version that every Prometheus understands, and the
	// default. Names that are not legacy names are always escaped.
	Text004 Format = iota
	// Text100 differs in its content type and has quoted UTF-8 names, for clients that
	// ask for them.
	Text100
	// OpenMetrics001 differs from OpenMetrics100 in its content type, and has no quoted
	// names.
	OpenMetrics001
	// OpenMetrics100 is OpenMetrics 1.0.0, as text.
	OpenMetrics100
	// OpenMetrics200 is OpenMetrics 2.0, an experiment of its authors, for clients that ask
	// for it. It has native histograms.
	OpenMetrics200
	// Protobuf is a sequence of io.prometheus.client.MetricFamily, each
	// preceded by its length.
	Protobuf
)

var mediaTypes = [...]string{
	Text004:        "text/plain; version=0.0.4; charset=utf-8",
	Text100:        "text/plain; version=1.0.0; charset=utf-8",
	OpenMetrics001: "application/openmetrics-text; version=0.0.1; charset=utf-8",
	OpenMetrics100: "application/openmetrics-text; version=1.0.0; charset=utf-8",
	OpenMetrics200: "application/openmetrics-text; version=2.0.0; charset=utf-8",
	Protobuf:       "application/vnd.google.protobuf; proto=io.prometheus.client.MetricFamily; encoding=delimited",
}

// Escaping says how a metric or label name is written that does not have the legacy
// form [a-zA-Z_:][a-zA-Z0-9_:]*. The schemes are those of Prometheus (docs, "Escaping
// schemes").
type Escaping uint8

// The schemes. The zero Escaping is for a client that does not ask for one: underscores, but
// the content type of text 0.0.4 does not mention it.
const (
	// Underscores replaces each character that is not allowed.
	Underscores Escaping = iota + 1
	// AllowUTF8 writes names as they are, in quotes in text. Text 0.0.4 and OpenMetrics
	// 0.0.1 have no quotes and use Underscores.
	AllowUTF8
	// Dots writes _dot_ for a dot, and two underscores for an underscore or any other
	// character that is not allowed, in legacy names too.
	Dots
	// Values writes names that are not legacy names as U__ and the name, with two
	// underscores for one, and each character that is not allowed as its code point in
	// hexadecimal between underscores.
	Values
)

var escapingNames = [...]string{Underscores: "underscores", AllowUTF8: "allow-utf-8", Dots: "dots", Values: "values"}

// UnmarshalText sets e to the scheme with that name, as in Accept headers.
func (e *Escaping) UnmarshalText(name []byte) error {
	for scheme, n := range escapingNames {
		if n == string(name) && n != "" {
			*e = Escaping(scheme)
			return nil
		}
	}
	return fmt.Errorf("exposition: unknown escaping scheme %q", name)
}

// ContentType is what a response is written in. The zero value, text 0.0.4, is understood by
// every client. Content types can be compared with ==.
type ContentType struct {
	Format   Format
	Escaping Escaping
}

// String returns the value of the Content-Type header. If the format is none of the above,
// it is that of the zero ContentType.
func (f ContentType) String() string {
	switch {
	case int(f.Format) >= len(mediaTypes):
		return mediaTypes[Text004]
	case f == ContentType{}:
		return mediaTypes[Text004]
	}
	return mediaTypes[f.Format] + "; escaping=" + escapingNames[f.escaping()]
}

// escaping returns the scheme that is used for names.
func (f ContentType) escaping() Escaping {
	switch f.Escaping {
	case Dots, Values:
		return f.Escaping
	case AllowUTF8:
		if f.Format != Text004 && f.Format != OpenMetrics001 {
			return AllowUTF8
		}
	}
	return Underscores
}
