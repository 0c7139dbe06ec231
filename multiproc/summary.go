package multiproc

import (
	"sync/atomic"

	"github.com/multiprom/multiprom/internal/mpm"
	"github.com/multiprom/multiprom/metric"
)

// Summary counts observations and adds them up. It has no quantiles. Its methods never
// block, allocate or panic, except that the first update of a process opens the store.
type Summary struct{ s series }

// NewSummary declares a summary in the default Set. It panics if the options are
// invalid.
func NewSummary(opts SummaryOpts) *Summary { return must(Default().NewSummary(opts)) }

// NewSummary declares a summary. The error matches ErrConflict or an error of
// package metric.
func (s *Set) NewSummary(opts SummaryOpts) (*Summary, error) {
	schema, err := Opts(opts).schema(metric.Summary, 0, nil)
	if err != nil {
		return nil, err
	}
	return declare(s, schema, opts.MaxSeries, opts.Separate, single[Summary])
}

func (m *Summary) init(in *instrument, values []string) { m.s.init(in, values, &m.s) }

// Observe counts v and adds it to the sum.
func (m *Summary) Observe(v float64) {
	w := m.s.word()
	addFloat(at(w, mpm.CellSummarySum), v)
	atomic.AddUint64(at(w, mpm.CellSummaryCount), 1)
	m.s.keepAlive()
}

func (m *Summary) remove() { m.s.remove() }

// SummaryVec has one Summary for each set of label values. In the methods that all Vecs
// share, T is Summary.
type SummaryVec struct{ metricVec[Summary] }

// NewSummaryVec declares a summary with labels in the default Set. It panics if the options are
// invalid.
func NewSummaryVec(opts SummaryOpts, labels []string) *SummaryVec {
	return must(Default().NewSummaryVec(opts, labels))
}

// NewSummaryVec declares a summary with labels. The error matches ErrConflict or an
// error of package metric.
func (s *Set) NewSummaryVec(opts SummaryOpts, labels []string) (*SummaryVec, error) {
	schema, err := Opts(opts).schema(metric.Summary, 0, labels)
	if err != nil {
		return nil, err
	}
	return declare(s, schema, opts.MaxSeries, opts.Separate, func(in *instrument) *SummaryVec {
		return &SummaryVec{metricVec[Summary]{v: newVec[Summary](in)}}
	})
}

// CurryWith returns a view of the Vec in which these labels have fixed values. The error
// matches metric.ErrInvalid.
func (v *SummaryVec) CurryWith(labels Labels) (*SummaryVec, error) {
	c, err := v.curryWith(labels)
	if err != nil {
		return nil, err
	}
	return &SummaryVec{c}, nil
}

// MustCurryWith is CurryWith, but panics if there is an error.
func (v *SummaryVec) MustCurryWith(labels Labels) *SummaryVec { return must(v.CurryWith(labels)) }
