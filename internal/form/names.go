package form

import "strings"

// IsLegacyName reports whether s is a metric name that needs no quotes:
// [a-zA-Z_:][a-zA-Z0-9_:]*.
func IsLegacyName(s string) bool {
	for i := 0; i < len(s); i++ {
		if c := s[i]; !isLetter(c) && c != ':' && (i == 0 || c < '0' || c > '9') {
			return false
		}
	}
	return s != ""
}

// IsLegacyLabelName reports whether s is a label name that needs no quotes:
// [a-zA-Z_][a-zA-Z0-9_]*.
func IsLegacyLabelName(s string) bool { return IsLegacyName(s) && !strings.Contains(s, ":") }

// Underscored returns s with an underscore for each character that a legacy name cannot have.
// A label name cannot have a colon.
func Underscored(s string, colon bool) string {
	if s == "" {
		return "_"
	}
	out := make([]byte, 0, len(s))
	for i, r := range s {
		if r < 0x80 && (isLetter(byte(r)) || r >= '0' && r <= '9' && i > 0 || r == ':' && colon) {
			out = append(out, byte(r))
		} else {
			out = append(out, '_')
		}
	}
	return string(out)
}

func isLetter(c byte) bool { return c|0x20 >= 'a' && c|0x20 <= 'z' || c == '_' }

// AppendEscaped appends s as it stands between double quotes in both text
// formats: backslash, double quote and line feed escaped.
func AppendEscaped(dst []byte, s string) []byte {
	start := 0
	for i := 0; i < len(s); i++ {
		var esc byte
		switch s[i] {
		case '\\', '"':
			esc = s[i]
		case '\n':
			esc = 'n'
		default:
			continue
		}
		dst = append(dst, s[start:i]...)
		dst = append(dst, '\\', esc)
		start = i + 1
	}
	return append(dst, s[start:]...)
}
