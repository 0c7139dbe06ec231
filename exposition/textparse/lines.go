package textparse

import (
	"bufio"
	"errors"
	"fmt"
	"io"
)

// lineReader cuts the input into lines.
type lineReader struct {
	src    *bufio.Reader
	long   []byte // a line that does not fit in src's buffer
	number int    // of the last line read, from 1

	// What is left of the limits. Negative means no limit.
	maxLine  int
	maxBytes int64
	read     int64
}

// readSize is how much is read at once, and the longest line that is not copied.
const readSize = 64 << 10

func newLineReader(r io.Reader, maxLine int, maxBytes int64) lineReader {
	return lineReader{src: bufio.NewReaderSize(r, readSize), maxLine: maxLine, maxBytes: maxBytes}
}

// next returns the next line without its line feed, and whether it had one. The line is
// valid until the next call. The error is io.EOF after the last line, or an *Error. A
// line that is too long is cut at the limit.
func (l *lineReader) next() (line []byte, terminated bool, err error) {
	l.number++
	l.long = l.long[:0]
	for {
		piece, err := l.src.ReadSlice('\n')
		l.read += int64(len(piece))
		if l.maxBytes >= 0 && l.read > l.maxBytes {
			return nil, false, l.limit(len(l.long)+len(piece), "the input has more than %d bytes", l.maxBytes)
		}
		terminated = err == nil
		if terminated {
			piece = piece[:len(piece)-1]
		}
		if l.maxLine >= 0 && len(l.long)+len(piece) > l.maxLine {
			return nil, false, l.limit(l.maxLine, "the line has more than %d bytes", l.maxLine)
		}
		switch {
		case errors.Is(err, bufio.ErrBufferFull):
			l.long = append(l.long, piece...)
			continue
		case err != nil && err != io.EOF:
			return nil, false, &Error{Line: l.number, Column: len(l.long) + len(piece) + 1, Reason: fmt.Sprintf("reading failed: %v", err), Err: err}
		}
		if len(l.long) > 0 {
			l.long = append(l.long, piece...)
			piece = l.long
		}
		if err == io.EOF && len(piece) == 0 {
			return nil, false, io.EOF
		}
		return piece, terminated, nil
	}
}

func (l *lineReader) limit(at int, format string, args ...any) error {
	return &Error{Line: l.number, Column: at + 1, Reason: fmt.Sprintf(format, args...), Err: ErrLimit}
}
