package exposition

import (
	"fmt"
	"io"
	"slices"
	"sync"

	"github.com/multiprom/multiprom/metric"
)

// Options of [Encode] and [Append]. The zero value is text 0.0.4 without
// created times.
type Options struct {
	Format Format
	// Created adds the time when each counter, histogram and summary began,
	// where it is known, as a gauge x_created.
	Created bool
}

// CollisionError says what an encoder left out because its name was taken, as
// escaping had made two names equal or because two families share a sample
// name. All else was written.
type CollisionError struct {
	// Names of families, and of x_created groups, that were left out.
	Names []string
	// Series is the number of single series that were left out of families
	// that were written.
	Series int
}

// Error names the first few of them.
func (e *CollisionError) Error() string {
	const shown = 5
	msg := fmt.Sprintf("exposition: %d families and %d series left out, since their names are taken", len(e.Names), e.Series)
	if len(e.Names) > 0 {
		msg += fmt.Sprintf(": %q", e.Names[:min(shown, len(e.Names))])
	}
	if len(e.Names) > shown {
		msg += "…"
	}
	return msg
}

// Encode writes families to w, in pieces of some ten kilobytes. It returns the
// first error of w, or else a [CollisionError] if something had to be left out.
func Encode(w io.Writer, families []*metric.Family, opts Options) error {
	e := encoders.Get().(*textEncoder)
	e.w, e.buf = w, slices.Grow(e.own[:0], flushSize)
	err := e.encode(families, opts)
	if cap(e.buf) <= 4*flushSize {
		e.own = e.buf[:0] // one giant family's buffer is not worth keeping
	}
	e.release()
	encoders.Put(e)
	return err
}

// Append appends families to dst and returns the result. Its error is a
// [CollisionError] if something had to be left out.
func Append(dst []byte, families []*metric.Family, opts Options) ([]byte, error) {
	e := encoders.Get().(*textEncoder)
	e.buf = dst
	err := e.encode(families, opts)
	dst = e.buf
	e.release()
	encoders.Put(e)
	return dst, err
}

var encoders = sync.Pool{New: func() any { return &textEncoder{claims: map[claim]struct{}{}} }}
