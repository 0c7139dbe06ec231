package exposition

import (
	"fmt"
	"io"
	"slices"
	"sync"

	"github.com/multiprom/multiprom/internal/options"
	"github.com/multiprom/multiprom/internal/views"
	"github.com/multiprom/multiprom/metric"
)

// Options of [Encode] and [Append]. The zero value is text 0.0.4 without
// created times.
type Options struct {
	// ContentType is what to write. Default text 0.0.4.
	ContentType ContentType
	// Created adds the time when each counter, histogram and summary started, if it is
	// known. By default it is left out.
	Created bool
	// Lenient writes OpenMetrics as client_golang does, with values that its
	// specification forbids: negative or NaN counters, sums and quantiles, the sum of a
	// histogram with a negative bound, and a count without a sum. Prometheus and
	// OpenTelemetry's collector read them. A parser that enforces the specification
	// rejects the whole exposition. Other formats are not affected. By default these
	// values are left out.
	Lenient bool
}

// check returns an error that names the invalid options.
func (o Options) check() error {
	var c options.Checker
	if o.ContentType.Format > Protobuf {
		c.Failf("ContentType.Format", "is %d: it must be one of the constants", o.ContentType.Format)
	}
	if o.ContentType.Escaping > Values {
		c.Failf("ContentType.Escaping", "is %d: it must be one of the constants", o.ContentType.Escaping)
	}
	if err := c.Err(); err != nil {
		return fmt.Errorf("exposition: %w", err)
	}
	return nil
}

// Encode writes families to w, in pieces of some ten kilobytes, or whole families in
// Protobuf. It returns the first error of w, or an [OmissionError] if something was
// left out. If an option is invalid, it writes nothing and returns an error that names
// the option.
func Encode(w io.Writer, families []*metric.Family, opts Options) error {
	if err := opts.check(); err != nil {
		return err
	}
	e := encoders.Get().(*encoder)
	e.w, e.buf = w, slices.Grow(e.own[:0], flushSize)
	err := e.encode(views.Plain(families), opts)
	if cap(e.buf) <= 4*flushSize {
		e.own = e.buf[:0] // do not keep one giant family's buffer
	}
	e.release()
	encoders.Put(e)
	return err
}

// Append appends families to dst and returns the result. Its error is an
// [OmissionError] if something was left out. If an option is invalid, it appends
// nothing and returns an error that names the option.
func Append(dst []byte, families []*metric.Family, opts Options) ([]byte, error) {
	if err := opts.check(); err != nil {
		return dst, err
	}
	e := encoders.Get().(*encoder)
	e.buf = dst
	err := e.encode(views.Plain(families), opts)
	dst = e.buf
	e.release()
	encoders.Put(e)
	return dst, err
}

var encoders = sync.Pool{New: func() any { return &encoder{names: names{claims: map[claim]struct{}{}}} }}

// encoder writes families, one format at a time.
type encoder struct {
	output
	names
	lines
	recorder
	page    *page // nil if the text goes to w or stays in buf
	created bool
	lenient bool          // see Options
	row     metric.Series // see series
}

// seriesList is the series of a family, or their rows.
type seriesList struct {
	series []metric.Series
	rows   views.Rows
}

func (l seriesList) len() int {
	if l.rows != nil {
		return l.rows.Len()
	}
	return len(l.series)
}

// labels returns the labels of series number i. It may use dst for them.
func (l seriesList) labels(dst metric.Labels, i int) metric.Labels {
	if l.rows != nil {
		return l.rows.AppendLabels(dst, i)
	}
	return l.series[i].Labels
}

// series returns series number i of the list, valid until the next call. While only
// numbers are read, a row's series has no labels.
func (e *encoder) series(l seriesList, i int) *metric.Series {
	if l.rows == nil {
		return &l.series[i]
	}
	labels := e.row.Labels[:0]
	if !e.reading {
		labels = l.rows.AppendLabels(labels, i)
	}
	l.rows.Read(i, &e.row)
	e.row.Labels = labels
	return &e.row
}

// layout is how a format arranges a family. All layouts share names and output; those
// of text also share the lines.
type layout struct {
	// emitted holds the suffixes of a type's sample names.
	emitted map[metric.Type][]string
	// apart holds the suffixes of the gauges that a type needs outside its family.
	apart map[metric.Type][]string

	syntax *syntax // of the lines; nil if there are none
	// family writes a family. Its series can be written as they are, except values that
	// the format cannot hold.
	family func(e *encoder, f *views.Family, series seriesList)
	end    string // what comes after the last family
}

func (f ContentType) layout() *layout {
	switch f.Format {
	case OpenMetrics001, OpenMetrics100:
		return &openMetricsLayout
	case OpenMetrics200:
		return &openMetrics2Layout
	case Protobuf:
		return &protobufLayout
	}
	return &textLayout
}

// encode writes all families. It claims names before it writes anything, because an
// existing x_created must not lose its name to the created times of x.
func (e *encoder) encode(families []views.Family, opts Options) error {
	l := opts.ContentType.layout()
	e.escaping, e.syntax, e.created, e.lenient = opts.ContentType.escaping(), l.syntax, opts.Created, opts.Lenient
	kept := make([]*views.Family, 0, len(families))
	for i := range families {
		f := &families[i]
		if f.Family == nil || f.Len() == 0 || !f.Type.Valid() {
			continue
		}
		if e.claimFamily(f.Family, l) {
			kept = append(kept, f)
		} else {
			e.omitted.Names = append(e.omitted.Names, f.Name)
		}
	}
	for _, f := range kept {
		if e.err != nil {
			return e.err
		}
		series := seriesList{f.Series, f.Rows}
		reserved := e.reservedLabel(f.Family)
		if e.writable = e.knows(f) || writable(series, reserved, e.escaping); !e.writable {
			kept, n := escapeSeries(f.Whole().Series, reserved, e.escaping)
			series = seriesList{series: kept}
			e.omitted.Series += n
		}
		e.setName(e.base(f.Name, ownSuffix(f.Type)))
		l.family(e, f, series)
	}
	e.buf = append(e.buf, l.end...)
	e.flush(0)
	if e.err != nil {
		return e.err
	}
	return e.omitted.OrNil()
}

// release drops all references to what belongs to the caller.
func (e *encoder) release() {
	clear(e.claims)
	e.bounds = e.bounds[:0]
	e.buf, e.w, e.err, e.omitted, e.name, e.row = nil, nil, nil, OmissionError{}, "", metric.Series{}
}

// flushSize is how much an encoder collects before it writes.
const flushSize = 64 << 10

// output is where an encoder writes.
type output struct {
	buf []byte
	w   io.Writer // nil if everything stays in buf
	err error     // the first error of w; nothing is written after it
	own []byte    // kept from one Encode to the next
}

// flush writes buf if it holds more than size bytes. It reports whether buf is empty
// now.
func (o *output) flush(size int) bool {
	if o.w == nil || len(o.buf) <= size {
		return false
	}
	if o.err == nil {
		_, o.err = o.w.Write(o.buf)
	}
	o.buf = o.buf[:0]
	return true
}
