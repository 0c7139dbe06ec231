package publish

import (
	"errors"
	"fmt"
	"time"

	"github.com/multiprom/multiprom/internal/labelkey"
	"github.com/multiprom/multiprom/internal/mpm"
	"github.com/multiprom/multiprom/metric"
)

// book is what the publisher has in the store.
type book struct {
	owner     *Publisher // of the names
	store     *mpm.Store
	claim     func(owner any, names []string) error
	mode      func(*metric.Family) (metric.Mode, bool)
	maxSeries int

	families map[string]*family
	round    uint64
	key      []byte // scratch
}

// enter writes the families of one publication, and returns errors for what it could not
// write.
func (b *book) enter(families []*metric.Family, now time.Time) error {
	b.round++
	var errs []error
	for _, f := range families {
		if err := b.family(f, now); err != nil {
			errs = append(errs, fmt.Errorf("%s %q: %w", f.Type, f.Name, err))
		}
	}
	return errors.Join(errs...)
}

func (b *book) family(f *metric.Family, now time.Time) error {
	fam := b.families[f.Name]
	if fam == nil || fam.typ != f.Type {
		b.withdraw(fam)
		fam = b.define(f)
		b.families[f.Name] = fam
	}
	if fam.skip || fam.fault != nil {
		return fam.fault
	}
	if err := b.claim(b.owner, fam.names); err != nil {
		b.withdraw(fam)
		return err
	}
	leftOut := 0
	var first error
	for i := range f.Series {
		if err := b.write(fam, f, &f.Series[i], now); err != nil {
			if leftOut++; first == nil {
				first = fmt.Errorf("%s: %w", f.Series[i].Labels, err)
			}
		}
	}
	if leftOut == 0 {
		return nil
	}
	return fmt.Errorf("%d series left out, first %w", leftOut, first)
}

// write brings one series of the source into the store.
func (b *book) write(fam *family, f *metric.Family, s *metric.Series, now time.Time) error {
	b.key = labelkey.Append(b.key[:0], s.Labels)
	e := fam.series[string(b.key)]
	err := check(f.Type, s)
	if err == nil && e != nil && !e.shape.fits(s) {
		if f.Type == metric.Histogram {
			// What it has counted is in buckets that do not exist any more. Neither
			// continuing nor beginning again would count everything once.
			err = errBounds
		} else {
			b.remove(fam, string(b.key), e)
			e = nil
		}
	}
	if err != nil {
		if e != nil && cumulative(f.Type) {
			e.round = b.round // it stays as it is
		}
		return err
	}
	if e == nil || e.handle == nil {
		if e, err = b.place(fam, f, e, s); err != nil {
			return err
		}
	}
	e.round = b.round
	e.write(s, now)
	b.exemplars(e, s, now)
	return nil
}

// place makes a series in the store. e is what is known of it if it was there before, and
// nil if it is new.
func (b *book) place(fam *family, f *metric.Family, e *series, s *metric.Series) (*series, error) {
	if fam.live >= b.maxSeries {
		return nil, fmt.Errorf("the family has %d series, the most that Options.MaxSeries permits", fam.live)
	}
	sh, err := b.shapeOf(fam, f, s)
	if err != nil {
		return nil, err
	}
	var values []string
	var content metric.Labels
	if sh.schema.Type == metric.Info {
		content = s.Labels
	} else {
		for _, l := range s.Labels {
			values = append(values, l.Value)
		}
	}
	handle, err := b.store.AddSeries(sh.in, values, content)
	if err != nil {
		return nil, err
	}
	if e == nil {
		e = &series{shape: sh}
		fam.series[string(b.key)] = e
	} else {
		e.revive()
		fam.vanished--
	}
	e.handle = handle
	fam.live++
	return e, nil
}

// sweep removes the series that the publication did not write. If the publication is not
// complete, cumulative values stay as they are, since the merged counter would fall. A gauge
// goes, since nothing says that its value still holds.
func (b *book) sweep(complete bool) {
	for _, fam := range b.families {
		if !complete && cumulative(fam.typ) {
			continue
		}
		for key, e := range fam.series {
			if e.handle != nil && e.round != b.round {
				b.remove(fam, key, e)
			}
		}
		if fam.vanished > b.maxSeries {
			fam.forget(b.round)
		}
	}
}

// withdraw removes all series of a family.
func (b *book) withdraw(fam *family) {
	if fam == nil {
		return
	}
	for key, e := range fam.series {
		if e.handle != nil {
			b.remove(fam, key, e)
		}
	}
}

// remove removes a series from the store. Of a cumulative one the last value is kept: if it
// comes again, only what it has grown since is counted, because readers go on counting what
// a removed series had while another process has it.
func (b *book) remove(fam *family, key string, e *series) {
	e.handle.Remove()
	e.handle, e.round = nil, b.round
	fam.live--
	if cumulative(fam.typ) {
		fam.vanished++
	} else {
		delete(fam.series, key)
	}
}
