package textparse

// cursor walks over a line. In strict mode it accepts only blanks that are part of the
// grammar.
type cursor struct {
	line   []byte
	at     int
	strict bool
	quotes bool // names may be quoted
}

// peek reports whether b is the next byte.
func (c *cursor) peek(b byte) bool { return c.at < len(c.line) && c.line[c.at] == b }

// take steps over b if it is the next byte, and reports whether it was.
func (c *cursor) take(b byte) bool {
	if c.peek(b) {
		c.at++
		return true
	}
	return false
}

func (c *cursor) atEnd() bool { return c.at == len(c.line) }

func isBlank(b byte) bool { return b == ' ' || b == '\t' }

// blanks steps over blanks and tabs, unless the cursor is strict.
func (c *cursor) blanks() {
	for !c.strict && c.at < len(c.line) && isBlank(c.line[c.at]) {
		c.at++
	}
}

// separator steps over the separator between two tokens and reports whether there was
// one: one blank if strict, otherwise any number of blanks and tabs.
func (c *cursor) separator() bool {
	if c.strict {
		return c.take(' ')
	}
	start := c.at
	c.blanks()
	return c.at > start
}

// word steps over everything up to the next blank and returns it. For a strict cursor a
// tab is not a blank: it becomes part of the word, which is then invalid.
func (c *cursor) word() []byte {
	start := c.at
	for c.at < len(c.line) && c.line[c.at] != ' ' && (c.strict || c.line[c.at] != '\t') {
		c.at++
	}
	return c.line[start:c.at]
}

// name steps over an unquoted name, with or without colons. It is empty if there is
// none.
func (c *cursor) name(colons bool) []byte {
	start := c.at
	for c.at < len(c.line) {
		b := c.line[c.at]
		letter := b|0x20 >= 'a' && b|0x20 <= 'z' || b == '_' || b == ':' && colons
		if !letter && (c.at == start || b < '0' || b > '9') {
			break
		}
		c.at++
	}
	return c.line[start:c.at]
}

// quoted steps over a quoted string and appends its unescaped text to dst. It reports
// whether the closing quote was there.
func (c *cursor) quoted(dst []byte) ([]byte, bool) {
	start := c.at + 1
	for i := start; i < len(c.line); i++ {
		switch c.line[i] {
		case '"':
			c.at = i + 1
			return append(dst, c.line[start:i]...), true
		case '\\':
			dst = append(dst, c.line[start:i]...)
			i++
			if i < len(c.line) {
				dst = appendUnescaped(dst, c.line[i])
			}
			start = i + 1
		}
	}
	return dst, false
}

// appendUnescaped appends the meaning of a backslash and b. Both formats have three
// escapes; any other character stands for itself.
func appendUnescaped(dst []byte, b byte) []byte {
	switch b {
	case 'n':
		return append(dst, '\n')
	case '"', '\\':
		return append(dst, b)
	}
	return append(dst, '\\', b)
}

// unescape returns the meaning of a HELP line's text, and whether it ended within an
// escape. That backslash is kept.
func unescape(text []byte) (help string, cut bool) {
	out := make([]byte, 0, len(text))
	for i := 0; i < len(text); i++ {
		switch {
		case text[i] != '\\':
			out = append(out, text[i])
		case i+1 == len(text):
			out, cut = append(out, '\\'), true
		default:
			i++
			out = appendUnescaped(out, text[i])
		}
	}
	return string(out), cut
}
