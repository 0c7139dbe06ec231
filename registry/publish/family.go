package publish

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/multiprom/multiprom/metric"
	"github.com/multiprom/multiprom/mmapstore"
)

// family is what the publisher keeps of one family of the source.
type family struct {
	name  string
	typ   metric.Type // as the source has it
	names []string    // of its samples, to be claimed
	mode  metric.Mode
	skip  bool  // Options.Mode does not want it
	fault error // why nothing of it can be published

	shapes   []*shape
	series   map[string]*series // by metric.Labels.AppendKey
	live     int                // of them in the store
	vanished int                // the others, which keep their last value in case they come again
}

// shape is one definition of a family, of which the store needs one for each
// set of label names and of bucket bounds or states.
type shape struct {
	schema *metric.Schema
	in     *mmapstore.Family
}

// maxShapes bounds the definitions of a family, which never leave a store.
const maxShapes = 64

// book is what the publisher has in the store.
type book struct {
	owner     *Publisher // of the names
	store     *mmapstore.Store
	claim     func(owner any, names []string) error
	mode      func(*metric.Family) (metric.Mode, bool)
	maxSeries int

	families map[string]*family
	round    uint64
	key      []byte // scratch
}

// enter writes the families of one publication and returns what was left out.
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

// define decides what becomes of a family that is new.
func (b *book) define(f *metric.Family) *family {
	fam := &family{name: f.Name, typ: f.Type, names: metric.SampleNames(f.Name, storedType(f.Type)), series: map[string]*series{}}
	if f.Type == metric.GaugeHistogram {
		fam.fault = errors.New("the store has no gauge histograms")
		return fam
	}
	mode, wanted, err := askMode(b.mode, f)
	switch base := mode.Base(); {
	case err != nil:
		fam.fault = err
	case !wanted:
		fam.skip = true
	case !mode.Valid():
		fam.fault = fmt.Errorf("Options.Mode gave an unknown mode, %d", mode)
	case f.Type == metric.StateSet && base != metric.ModeAll && base != metric.ModeMostRecent:
		fam.fault = fmt.Errorf("states do not merge by mode %s, only by all, mostrecent and their live forms", mode)
	case f.Type == metric.Gauge, f.Type == metric.Unknown, f.Type == metric.StateSet:
		fam.mode = mode
	}
	return fam
}

// askMode calls a function of the user's.
func askMode(ask func(*metric.Family) (metric.Mode, bool), f *metric.Family) (mode metric.Mode, wanted bool, err error) {
	defer func() {
		if v := recover(); v != nil {
			err = fmt.Errorf("Options.Mode panicked: %v", v)
		}
	}()
	mode, wanted = ask(f)
	return mode, wanted, nil
}

// storedType is the type that the store has for one of the source's.
func storedType(t metric.Type) metric.Type {
	if t == metric.Unknown {
		return metric.Gauge // which says no more of its values
	}
	return t
}

// write brings one series of the source into the store.
func (b *book) write(fam *family, f *metric.Family, s *metric.Series, now time.Time) error {
	if err := check(f.Type, s); err != nil {
		return err
	}
	b.key = s.Labels.AppendKey(b.key[:0])
	e := fam.series[string(b.key)]
	if e != nil && !e.shape.fits(s) {
		if f.Type == metric.Histogram {
			// What it has counted is in buckets that there are no more: neither
			// going on nor beginning again would count everything once.
			e.round = b.round
			return errBounds
		}
		b.remove(fam, string(b.key), e)
		e = nil
	}
	if e == nil || e.handle == nil {
		var err error
		if e, err = b.place(fam, f, e, s); err != nil {
			return err
		}
	}
	e.round = b.round
	e.write(s, now)
	return nil
}

// shapeOf returns the definition that s falls under.
func (b *book) shapeOf(fam *family, f *metric.Family, s *metric.Series) (*shape, error) {
	for _, sh := range fam.shapes {
		if sh.fits(s) {
			return sh, nil
		}
	}
	if len(fam.shapes) == maxShapes {
		return nil, fmt.Errorf("more than %d sets of label names, bucket bounds or states", maxShapes)
	}
	schema := &metric.Schema{Name: f.Name, Help: f.Help, Unit: f.Unit, Type: storedType(f.Type), Mode: fam.mode}
	if f.Type != metric.Info { // whose labels are its content
		for _, l := range s.Labels {
			schema.Labels = append(schema.Labels, l.Name)
		}
	}
	switch f.Type {
	case metric.Histogram:
		for _, bucket := range s.Buckets[:len(s.Buckets)-1] { // the last one is +Inf
			schema.Bounds = append(schema.Bounds, bucket.UpperBound)
		}
	case metric.StateSet:
		for _, st := range s.States {
			schema.States = append(schema.States, st.Name)
		}
	}
	in, err := b.store.AddFamily(schema)
	if err != nil {
		return nil, err
	}
	sh := &shape{schema, in}
	fam.shapes = append(fam.shapes, sh)
	return sh, nil
}

func (sh *shape) fits(s *metric.Series) bool {
	sameLabel := func(name string, l metric.Label) bool { return name == l.Name }
	switch d := sh.schema; d.Type {
	case metric.Info:
		return true
	case metric.Histogram:
		return slices.EqualFunc(d.Labels, s.Labels, sameLabel) &&
			slices.EqualFunc(d.Bounds, s.Buckets[:len(s.Buckets)-1], func(le float64, b metric.Bucket) bool { return le == b.UpperBound })
	case metric.StateSet:
		return slices.EqualFunc(d.Labels, s.Labels, sameLabel) &&
			slices.EqualFunc(d.States, s.States, func(name string, st metric.State) bool { return name == st.Name })
	default:
		return slices.EqualFunc(d.Labels, s.Labels, sameLabel)
	}
}

// place gives a series its place in the store. e is what is left of it where it
// has vanished before, nil where it is new.
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

// sweep removes the series that the publication did not write. One that is not
// complete misses what its failures would have given: there, cumulative values
// stay as they are, since the merged counter would fall, while a gauge goes,
// since nobody says that it still holds.
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

// remove takes a series out of the store. A cumulative one leaves its last
// value: should it come again, only what it grows from there is counted, for a
// reader goes on counting what a removed series had while another process has
// the same one.
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

// forget drops the last values of series that vanished before this round.
func (fam *family) forget(round uint64) {
	for key, e := range fam.series {
		if e.handle == nil && e.round != round {
			delete(fam.series, key)
			fam.vanished--
		}
	}
}

func cumulative(t metric.Type) bool {
	return t == metric.Counter || t == metric.Histogram || t == metric.Summary
}
