package exposition

// Version is a version of the Prometheus text format.
type Version uint8

const (
	// Text004 is the version that every Prometheus understands, the default.
	// Names that are not legacy ones are always escaped in it.
	Text004 Version = iota
	// Text100 differs by its content type and by quoted UTF-8 names, for
	// clients that ask for them.
	Text100
)

// Escaping says what becomes of a metric or label name that is not of the
// legacy form [a-zA-Z_:][a-zA-Z0-9_:]*.
type Escaping uint8

const (
	// EscapingUnstated is what a client gets that says nothing about escaping:
	// underscores, but the content type of text 0.0.4 does not mention it.
	EscapingUnstated Escaping = iota
	// Underscores replaces each character that is not allowed.
	Underscores
	// AllowUTF8 writes names as they are, in quotes. It needs text 1.0.0;
	// text 0.0.4 takes it for Underscores.
	AllowUTF8
)

// Format is what a response is written in. The zero value, text 0.0.4, is
// what everybody understands. Formats can be compared with ==.
type Format struct {
	Version  Version
	Escaping Escaping
}

// ContentType returns the value of the header Content-Type.
func (f Format) ContentType() string {
	switch {
	case f.utf8():
		return "text/plain; version=1.0.0; charset=utf-8; escaping=allow-utf-8"
	case f.Version == Text100:
		return "text/plain; version=1.0.0; charset=utf-8; escaping=underscores"
	case f.Escaping == EscapingUnstated:
		return "text/plain; version=0.0.4; charset=utf-8"
	default:
		return "text/plain; version=0.0.4; charset=utf-8; escaping=underscores"
	}
}

// utf8 reports whether names are written as they are.
func (f Format) utf8() bool { return f.Version == Text100 && f.Escaping == AllowUTF8 }
