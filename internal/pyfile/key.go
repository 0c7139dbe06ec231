package pyfile

import (
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/multiprom/multiprom/metric"
)

// key is a record's key: the sample it belongs to.
type key struct {
	family, sample, help string
	labels               metric.Labels // sorted
	ruby                 bool          // written by GitLab's client for Ruby
}

var errKey = errors.New("its key is not JSON of the form [family, sample, labels, help]")

// parseKey parses a key in any valid JSON spelling: spaces, escapes, surrogate pairs, raw
// UTF-8. It is written by hand because it runs for each new key. The result shares the
// memory of raw.
func parseKey(raw string) (k key, err error) {
	s := scanner{b: raw}
	k = s.key()
	s.space()
	if s.bad || len(s.b) > 0 {
		return key{}, errKey
	}
	k.labels.Sort()
	for i := 1; i < len(k.labels); i++ {
		if k.labels[i-1].Name == k.labels[i].Name {
			return key{}, errors.New("its key has a label twice")
		}
	}
	return k, nil
}

// key reads a key.
func (s *scanner) key() (k key) {
	s.expect('[')
	k.family = s.str()
	s.expect(',')
	k.sample = s.str()
	s.expect(',')
	switch s.next() {
	case '{':
		k.labels = s.object()
		if s.next() == ',' {
			s.expect(',')
			k.help = s.str()
		}
	case '[': // names, then values
		k.ruby, k.labels = true, s.arrays()
	default:
		s.bad = true
	}
	s.expect(']')
	return k
}

// scanner reads JSON from the front of b. After an error, bad stays true. If the error is
// that the input ends, b is empty.
type scanner struct {
	b   string
	bad bool
}

func (s *scanner) space() {
	for len(s.b) > 0 && (s.b[0] == ' ' || s.b[0] == '\t' || s.b[0] == '\n' || s.b[0] == '\r') {
		s.b = s.b[1:]
	}
}

// next returns the next byte that is not a space without consuming it, or 0 at the end.
func (s *scanner) next() byte {
	s.space()
	if len(s.b) == 0 {
		return 0
	}
	return s.b[0]
}

func (s *scanner) expect(c byte) {
	if s.next() != c {
		s.bad = true
		return
	}
	s.b = s.b[1:]
}

// list calls item for each element up to the closing byte.
func (s *scanner) list(open, closing byte, item func()) {
	s.expect(open)
	if s.next() == closing {
		s.expect(closing)
		return
	}
	for !s.bad {
		item()
		if s.next() != ',' {
			break
		}
		s.expect(',')
	}
	s.expect(closing)
}

func (s *scanner) object() metric.Labels {
	var few [8]metric.Label // most keys have no more, so the slice is allocated once
	ls := metric.Labels(few[:0])
	s.list('{', '}', func() {
		name := s.str()
		s.expect(':')
		ls = append(ls, metric.Label{Name: name, Value: s.str()})
	})
	if len(ls) == 0 {
		return nil
	}
	return slices.Clone(ls)
}

// arrays reads [names], [values].
func (s *scanner) arrays() (ls metric.Labels) {
	s.list('[', ']', func() { ls = append(ls, metric.Label{Name: s.str()}) })
	s.expect(',')
	n := 0
	s.list('[', ']', func() {
		v := s.value()
		if n < len(ls) {
			ls[n].Value = v
		}
		n++
	})
	s.bad = s.bad || n != len(ls)
	return ls
}

// value reads a label's value. In Ruby it need not be a string: numbers, true and false
// become their text, and null becomes the empty string.
func (s *scanner) value() string {
	if s.next() == '"' {
		return s.str()
	}
	end := strings.IndexAny(s.b, ",] \t\r\n")
	if end < 0 {
		s.b = ""
	}
	if end <= 0 || s.b[0] == '{' || !json.Valid([]byte(s.b[:end])) {
		s.bad = true
		return ""
	}
	v := s.b[:end]
	s.b = s.b[end:]
	if v == "null" {
		return ""
	}
	return v
}

// str reads a string. Almost all have no escape and are returned as they are.
func (s *scanner) str() string {
	s.expect('"')
	if s.bad {
		return ""
	}
	for i := range len(s.b) {
		switch c := s.b[i]; {
		case c == '"':
			out := s.b[:i]
			s.b = s.b[i+1:]
			s.bad = !utf8.ValidString(out)
			return out
		case c == '\\':
			return s.escaped(i)
		case c < ' ':
			s.bad = true
			return ""
		}
	}
	s.b, s.bad = "", true
	return ""
}

// escaped reads a string whose first escape is at i.
func (s *scanner) escaped(i int) string {
	out := append([]byte(nil), s.b[:i]...)
	s.b = s.b[i:]
	for !s.bad && len(s.b) > 0 {
		c := s.b[0]
		s.b = s.b[1:]
		switch {
		case c == '"':
			if !utf8.Valid(out) {
				s.bad = true
			}
			return string(out)
		case c == '\\':
			out = s.escape(out)
		case c < ' ':
			s.bad = true
		default:
			out = append(out, c)
		}
	}
	s.bad = true
	return ""
}

func (s *scanner) escape(out []byte) []byte {
	if len(s.b) == 0 {
		s.bad = true
		return out
	}
	c := s.b[0]
	s.b = s.b[1:]
	switch c {
	case '"', '\\', '/':
		return append(out, c)
	case 'b':
		return append(out, '\b')
	case 'f':
		return append(out, '\f')
	case 'n':
		return append(out, '\n')
	case 'r':
		return append(out, '\r')
	case 't':
		return append(out, '\t')
	case 'u':
		r := s.hex()
		if utf16.IsSurrogate(r) && len(s.b) >= 6 && s.b[0] == '\\' && s.b[1] == 'u' {
			rest := s.b
			s.b = s.b[2:]
			if pair := utf16.DecodeRune(r, s.hex()); pair != utf8.RuneError {
				return utf8.AppendRune(out, pair)
			}
			s.b = rest // the second escape is a character of its own
		}
		return utf8.AppendRune(out, r) // half of a pair becomes U+FFFD
	}
	s.bad = true
	return out
}

// hex reads four hexadecimal digits.
func (s *scanner) hex() (r rune) {
	if len(s.b) < 4 {
		s.b, s.bad = "", true
		return 0
	}
	for _, c := range []byte(s.b[:4]) {
		r <<= 4
		switch {
		case c >= '0' && c <= '9':
			r |= rune(c - '0')
		case c >= 'a' && c <= 'f':
			r |= rune(c-'a') + 10
		case c >= 'A' && c <= 'F':
			r |= rune(c-'A') + 10
		default:
			s.bad = true
		}
	}
	s.b = s.b[4:]
	return r
}
