package publish

import (
	"errors"
	"fmt"
	"slices"

	"github.com/multiprom/multiprom/internal/mpm"
	"github.com/multiprom/multiprom/internal/openmetrics"
	"github.com/multiprom/multiprom/metric"
)

// family is what the publisher keeps of one family of the source.
type family struct {
	name  string
	typ   metric.Type // as the source has it
	names []string    // of its samples, to be claimed
	mode  metric.Mode
	skip  bool  // by Options.Mode
	fault error // why it cannot be published

	shapes   []*shape
	series   map[string]*series // by labelkey.Append
	live     int                // of them in the store
	vanished int                // the others, whose last values are kept in case they come again
}

// shape is one schema of a family. The store needs one for each set of label names, bucket
// bounds and states.
type shape struct {
	schema *metric.Schema
	in     *mpm.SchemaRef
}

// maxShapes limits the schemas of a family, which never leave a store.
const maxShapes = 64

// define decides how a new family is published.
func (b *book) define(f *metric.Family) *family {
	fam := &family{name: f.Name, typ: f.Type, names: openmetrics.SampleNames(f.Name, f.Type), series: map[string]*series{}}
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
	case f.Type.LikeGauge(), f.Type == metric.StateSet:
		fam.mode = mode
	}
	return fam
}

// askMode calls Options.Mode, which may panic.
func askMode(ask func(*metric.Family) (metric.Mode, bool), f *metric.Family) (mode metric.Mode, wanted bool, err error) {
	defer func() {
		if v := recover(); v != nil {
			err = fmt.Errorf("Options.Mode panicked: %v", v)
		}
	}()
	mode, wanted = ask(f)
	return mode, wanted, nil
}

// shapeOf returns the schema of s.
func (b *book) shapeOf(fam *family, f *metric.Family, s *metric.Series) (*shape, error) {
	for _, sh := range fam.shapes {
		if sh.fits(s) {
			return sh, nil
		}
	}
	if len(fam.shapes) == maxShapes {
		return nil, fmt.Errorf("more than %d sets of label names, bucket bounds or states", maxShapes)
	}
	schema := &metric.Schema{Name: f.Name, Help: f.Help, Unit: f.Unit, Type: f.Type, Mode: fam.mode}
	if f.Type != metric.Info { // the labels of an info are its content
		for _, l := range s.Labels {
			schema.Labels = append(schema.Labels, l.Name)
		}
	}
	switch f.Type {
	case metric.Histogram:
		for _, bucket := range s.Buckets[:len(s.Buckets)-1] { // the last one is +Inf
			schema.Bounds = append(schema.Bounds, bucket.UpperBound)
		}
		if s.Native != nil {
			schema.Native = nativeSchema(s.Native)
		}
	case metric.StateSet:
		for _, st := range s.States {
			schema.States = append(schema.States, st.Name)
		}
	}
	in, err := b.store.AddSchema(schema)
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
		if (d.Native == nil) != (s.Native == nil) || d.Native != nil && d.Native.ZeroThreshold != s.Native.ZeroThreshold {
			return false
		}
		return slices.EqualFunc(d.Labels, s.Labels, sameLabel) &&
			slices.EqualFunc(d.Bounds, s.Buckets[:len(s.Buckets)-1], func(le float64, b metric.Bucket) bool { return le == b.UpperBound })
	case metric.StateSet:
		return slices.EqualFunc(d.Labels, s.Labels, sameLabel) &&
			slices.EqualFunc(d.States, s.States, func(name string, st metric.State) bool { return name == st.Name })
	default:
		return slices.EqualFunc(d.Labels, s.Labels, sameLabel)
	}
}

// forget drops the last values of series that went before this round.
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
