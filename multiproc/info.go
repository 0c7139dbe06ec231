package multiproc

import (
	"fmt"
	"slices"
	"strings"

	"github.com/multiprom/multiprom/internal/form"
	"github.com/multiprom/multiprom/internal/mpm"
	"github.com/multiprom/multiprom/metric"
)

// Info is text about the process, in the labels of a series whose value is 1. It is safe
// for concurrent use, but not for hot paths: each change makes a new series.
type Info struct {
	s      series   // without words
	values []string // immutable

	// Guarded by s.in.set.mu.
	content metric.Labels
	handle  *mpm.Series
	gone    bool
}

// NewInfo declares an info in the default Set. It panics if the options are
// invalid.
func NewInfo(opts InfoOpts) *Info { return must(Default().NewInfo(opts)) }

// NewInfo declares an info. The error matches ErrConflict or an error of
// package metric.
func (s *Set) NewInfo(opts InfoOpts) (*Info, error) {
	schema, err := Opts(opts).schema(metric.Info, 0, nil)
	if err != nil {
		return nil, err
	}
	return declare(s, schema, opts.MaxSeries, opts.Separate, single[Info])
}

func (i *Info) init(in *instrument, values []string) {
	i.s.in, i.values = in, cloned(values)
	switch {
	case in.nowhere:
		i.gone = true
	case in.set.Opened():
		i.bindLocked(i.values)
	default:
		in.set.await(i, nil)
	}
}

func (i *Info) bindLocked([]string) {
	if i.gone || i.handle != nil || i.s.in.family == nil {
		return
	}
	if h, err := i.s.in.set.store.Load().AddSeries(i.s.in.family, i.values, i.content); err == nil {
		i.handle = h
	}
}

// Set replaces the labels. If there is an error, nothing changes. It matches
// metric.ErrInvalid, mmapstore.ErrRecordTooLarge or mmapstore.ErrClosed.
func (i *Info) Set(content Labels) error {
	ls, err := i.check(content)
	if err != nil {
		return err
	}
	set := i.s.in.set
	set.mu.Lock()
	defer set.unlock()
	if i.gone {
		return nil
	}
	set.open()
	switch {
	case i.s.in.family == nil:
		return fmt.Errorf("multiproc: %s: %w", i.s.in.schema.Name, mpm.ErrClosed)
	case i.handle != nil && ls.Equal(i.content):
		return nil
	}
	// The new series first: a scrape between sees both, never none.
	h, err := set.store.Load().AddSeries(i.s.in.family, i.values, ls)
	if err != nil {
		return fmt.Errorf("multiproc: %s: %w", i.s.in.schema.Name, err)
	}
	if i.handle != nil {
		i.handle.Remove()
	}
	i.handle, i.content = h, ls
	return nil
}

func (i *Info) check(content Labels) (metric.Labels, error) {
	ls := metric.LabelsFromMap(content)
	schema := i.s.in.schema
	for n, l := range ls {
		if err := form.CheckLabelName(l.Name); err != nil {
			return nil, fmt.Errorf("multiproc: %s: %w", schema.Name, err)
		}
		if _, isConst := schema.Const.Get(l.Name); isConst || slices.Contains(schema.Labels, l.Name) {
			return nil, labelsError(schema.Name, "the key %q is one of its labels", l.Name)
		}
		ls[n].Name, ls[n].Value = strings.Clone(l.Name), valid(l.Value)
		if size := len(ls[n].Value); size > form.MaxLabelValueLen {
			return nil, labelsError(schema.Name, "the value of %q has %d bytes, the most is %d", l.Name, size, form.MaxLabelValueLen)
		}
	}
	if n := len(ls) + len(schema.Const) + len(schema.Labels); n > form.MaxLabels {
		return nil, labelsError(schema.Name, "%d labels with its own, the most is %d", n, form.MaxLabels)
	}
	return ls, nil
}

func (i *Info) remove() {
	i.s.in.set.mu.Lock()
	defer i.s.in.set.mu.Unlock()
	i.gone = true
	if i.handle != nil {
		i.handle.Remove()
	} else {
		i.s.in.set.forget(i)
	}
}

// InfoVec has one Info for each set of label values. In the methods that all Vecs
// share, T is Info.
type InfoVec struct{ metricVec[Info] }

// NewInfoVec declares an info with labels in the default Set. It panics if the options are
// invalid.
func NewInfoVec(opts InfoOpts, labels []string) *InfoVec {
	return must(Default().NewInfoVec(opts, labels))
}

// NewInfoVec declares an info with labels. The error matches ErrConflict or an
// error of package metric.
func (s *Set) NewInfoVec(opts InfoOpts, labels []string) (*InfoVec, error) {
	schema, err := Opts(opts).schema(metric.Info, 0, labels)
	if err != nil {
		return nil, err
	}
	return declare(s, schema, opts.MaxSeries, opts.Separate, func(in *instrument) *InfoVec {
		return &InfoVec{metricVec[Info]{v: newVec[Info](in)}}
	})
}

// CurryWith returns a view of the Vec in which these labels have fixed values. The error
// matches metric.ErrInvalid.
func (v *InfoVec) CurryWith(labels Labels) (*InfoVec, error) {
	c, err := v.curryWith(labels)
	if err != nil {
		return nil, err
	}
	return &InfoVec{c}, nil
}

// MustCurryWith is CurryWith, but panics if there is an error.
func (v *InfoVec) MustCurryWith(labels Labels) *InfoVec { return must(v.CurryWith(labels)) }
