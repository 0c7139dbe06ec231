package textparse

import (
	"fmt"
	"io"
	"iter"

	"github.com/multiprom/multiprom/internal/options"
	"github.com/multiprom/multiprom/metric"
)

// Format is the format of the input.
type Format uint8

const (
	// Text is the Prometheus text format, version 0.0.4 or 1.0.0.
	Text Format = iota
	// OpenMetrics is OpenMetrics 1.0.0.
	OpenMetrics
	// OpenMetrics2 is OpenMetrics 2.0, of which there is a draft.
	OpenMetrics2
)

// Options of [Parse] and [Families]. The zero value reads text within limits that no
// real exposition is likely to reach.
type Options struct {
	// Format of the input. Default Text.
	Format Format

	// QuotedNames accepts quoted names in OpenMetrics, as Prometheus and its clients
	// write them with the content type's escaping=allow-utf-8. The specification has
	// none, so by default they are errors. Text and OpenMetrics2 always accept them.
	QuotedNames bool

	// MaxLine is the most bytes in a line. Default 1 MiB; metric.NoLimit.
	MaxLine int
	// MaxBytes is the most bytes in the input. Default 256 MiB; metric.NoLimit.
	MaxBytes int64
	// MaxSeries is the most series of all families together. A family without series
	// counts as one. Default 1,000,000; metric.NoLimit.
	MaxSeries int
}

// withDefaults checks the options and fills in what was left out.
func (o Options) withDefaults() (Options, error) {
	var c options.Checker
	if o.Format > OpenMetrics2 {
		c.Failf("Format", "is %d: it must be Text, OpenMetrics or OpenMetrics2", o.Format)
	}
	options.Number(&c, "MaxLine", &o.MaxLine, 1<<20, options.NoLimit)
	options.Number(&c, "MaxBytes", &o.MaxBytes, 256<<20, options.NoLimit)
	options.Number(&c, "MaxSeries", &o.MaxSeries, 1_000_000, options.NoLimit)
	return o, c.Err()
}

// Parse returns the families of r in the order of the input, or an [Error], or an error
// that names an invalid option.
func Parse(r io.Reader, opts Options) ([]*metric.Family, error) {
	var families []*metric.Family
	for f, err := range Families(r, opts) {
		if err != nil {
			return nil, err
		}
		families = append(families, f)
	}
	return families, nil
}

// Families yields the families of r as they are read. Each belongs to the caller. An
// error, as of [Parse], comes last, with a nil family.
func Families(r io.Reader, opts Options) iter.Seq2[*metric.Family, error] {
	return func(yield func(*metric.Family, error) bool) {
		opts, err := opts.withDefaults()
		if err != nil {
			yield(nil, fmt.Errorf("textparse: %w", err))
			return
		}
		p := newParser(r, opts)
		for {
			f, err := p.next()
			switch {
			case err == io.EOF:
				return
			case err != nil:
				yield(nil, err)
				return
			case !yield(f, nil):
				return
			}
		}
	}
}

// parser turns lines into families. A family ends where the next one starts, so when a
// family is returned, a line of the next one has already been read.
type parser struct {
	lines  lineReader
	strict bool // OpenMetrics
	second bool // its version 2.0

	// The current line and its parts; the next line overwrites them.
	cursor
	sample sample

	// The current family, or the one that has just ended, until next returns it.
	family building
	done   *metric.Family

	// What all families have used.
	claims  map[string]string // sample names, with the family that has them
	series  int
	most    int  // of series; negative if there is no limit
	sawEOF  bool // the line # EOF was read
	drained bool // the input has ended without an error
}

func newParser(r io.Reader, opts Options) *parser {
	strict, second := opts.Format != Text, opts.Format == OpenMetrics2
	quotes := !strict || second || opts.QuotedNames
	p := &parser{
		lines:  newLineReader(r, opts.MaxLine, opts.MaxBytes),
		strict: strict,
		second: second,
		claims: map[string]string{},
		most:   opts.MaxSeries,
	}
	p.cursor.strict, p.cursor.quotes = strict, quotes
	return p
}

// next returns the next family, io.EOF after the last one, or an *Error.
func (p *parser) next() (*metric.Family, error) {
	for p.done == nil {
		if p.drained {
			return nil, io.EOF
		}
		line, terminated, err := p.lines.next()
		if err == io.EOF {
			err = p.end()
		} else if err == nil {
			p.line, p.at = line, 0
			err = p.readLine(terminated)
		}
		if err != nil {
			return nil, err
		}
	}
	f := p.done
	p.done = nil
	return f, nil
}

// end ends the last family.
func (p *parser) end() error {
	if p.strict && !p.sawEOF {
		return &Error{Line: p.lines.number, Column: 1, Reason: "the input ends without # EOF", Err: ErrTruncated}
	}
	p.drained = true
	return p.finish()
}

func (p *parser) readLine(terminated bool) error {
	switch {
	case p.sawEOF:
		return p.errorf(0, "there is text after # EOF")
	case p.strict && string(p.line) == "# EOF":
		p.sawEOF = true
		return nil
	case !terminated:
		err := p.errorf(len(p.line), "the input ends within a line")
		err.Err = ErrTruncated
		return err
	case p.strict:
		return p.readOpenMetrics()
	}
	return p.readText()
}

// errorf returns an error at offset at of the current line.
func (p *parser) errorf(at int, format string, args ...any) *Error {
	return &Error{Line: p.lines.number, Column: at + 1, Reason: fmt.Sprintf(format, args...)}
}

// claim takes a sample name for the current family.
func (p *parser) claim(name string, at int) error {
	switch owner, taken := p.claims[name]; {
	case taken && owner == name:
		return p.errorf(at, "the family %s came before, and its lines must be together", quote(name))
	case taken:
		return p.errorf(at, "the name %s is taken by the family %s above", quote(name), quote(owner))
	}
	p.claims[name] = p.family.name
	return nil
}

// count counts a series, or a family without series.
func (p *parser) count() error {
	p.series++
	if p.most >= 0 && p.series > p.most {
		err := p.errorf(0, "there are more than %d series", p.most)
		err.Err = ErrLimit
		return err
	}
	return nil
}

// quote shows a piece of the input in an error, shortened.
func quote[T string | []byte](s T) string {
	const shown = 60
	if len(s) > shown {
		return fmt.Sprintf("%q…", s[:shown])
	}
	return fmt.Sprintf("%q", s)
}
