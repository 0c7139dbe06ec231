package exposition

import "fmt"

// Version is what a response is written in: a format with its version.
type Version uint8

const (
	// Text004 is the version of the text format that every Prometheus
	// understands, the default. Names that are not legacy ones are always
	// escaped in it.
	Text004 Version = iota
	// Text100 differs by its content type and by quoted UTF-8 names, for
	// clients that ask for them.
	Text100
	// OpenMetrics001 differs from OpenMetrics100 by its content type, and has
	// no quoted names.
	OpenMetrics001
	// OpenMetrics100 is OpenMetrics 1.0.0, as text.
	OpenMetrics100
	// Protobuf is a sequence of io.prometheus.client.MetricFamily, each
	// preceded by its length.
	Protobuf
)

var mediaTypes = [...]string{
	Text004:        "text/plain; version=0.0.4; charset=utf-8",
	Text100:        "text/plain; version=1.0.0; charset=utf-8",
	OpenMetrics001: "application/openmetrics-text; version=0.0.1; charset=utf-8",
	OpenMetrics100: "application/openmetrics-text; version=1.0.0; charset=utf-8",
	Protobuf:       "application/vnd.google.protobuf; proto=io.prometheus.client.MetricFamily; encoding=delimited",
}

// Escaping says what becomes of a metric or label name that is not of the
// legacy form [a-zA-Z_:][a-zA-Z0-9_:]*. The schemes are those of Prometheus
// (docs, "Escaping schemes").
type Escaping uint8

const (
	// EscapingUnstated is what a client gets that says nothing about escaping:
	// underscores, but the content type of text 0.0.4 does not mention it.
	EscapingUnstated Escaping = iota
	// Underscores replaces each character that is not allowed.
	Underscores
	// AllowUTF8 writes names as they are, in text in quotes. Text 0.0.4 and
	// OpenMetrics 0.0.1 have no quotes and take it for Underscores.
	AllowUTF8
	// Dots writes _dot_ for a dot, and two underscores for any other character
	// that is not allowed and for an underscore, in legacy names too.
	Dots
	// Values writes names that are not legacy ones as U__ with two underscores
	// for one, and the code point of each character that is not allowed, in
	// hexadecimal between underscores.
	Values
)

var escapingNames = [...]string{Underscores: "underscores", AllowUTF8: "allow-utf-8", Dots: "dots", Values: "values"}

// ParseEscaping returns the scheme of that name, as Accept headers have it.
func ParseEscaping(name string) (Escaping, error) {
	for e, n := range escapingNames {
		if n == name && n != "" {
			return Escaping(e), nil
		}
	}
	return 0, fmt.Errorf("exposition: unknown escaping scheme %q", name)
}

// Format is what a response is written in. The zero value, text 0.0.4, is
// what everybody understands. Formats can be compared with ==.
type Format struct {
	Version  Version
	Escaping Escaping
}

// ContentType returns the value of the header Content-Type. It is that of the
// zero Format where Version is none of the above.
func (f Format) ContentType() string {
	switch {
	case int(f.Version) >= len(mediaTypes):
		return mediaTypes[Text004]
	case f == Format{}:
		return mediaTypes[Text004]
	}
	return mediaTypes[f.Version] + "; escaping=" + escapingNames[f.escaping()]
}

// escaping returns the scheme that names are escaped by.
func (f Format) escaping() Escaping {
	switch f.Escaping {
	case Dots, Values:
		return f.Escaping
	case AllowUTF8:
		if f.Version != Text004 && f.Version != OpenMetrics001 {
			return AllowUTF8
		}
	}
	return Underscores
}
