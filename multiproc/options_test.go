package multiproc

import (
	"log/slog"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/multiprom/multiprom/internal/options"
	"github.com/multiprom/multiprom/internal/optiontest"
)

func TestOptions(t *testing.T) {
	dir := t.TempDir()
	optiontest.Check(t, SetOptions{Logger: slog.New(slog.DiscardHandler)}, map[string]optiontest.Row{
		"Dir":       {Bad: []any{dir + "/missing"}, Good: []any{dir}},
		"ProcessID": {Bad: []any{strings.Repeat("x", 129), "\xff"}, Good: []any{"a b", "é"}},
		"FileMode":  {Bad: []any{0o7, 0o666, 0o700, 0o4600, 9}, Good: []any{0o640, 0o660}},
		"MaxSeries": {Special: []int64{options.NoLimit}}, "PublishPeriod": {}, "KeepRemoved": {Special: []int64{options.KeepNone}}, "Logger": {}, "Now": {},
		"TTL": {Special: []int64{options.NoLimit}, Bad: []any{time.Second, 1000 * time.Hour}, Good: []any{time.Minute}},
	}, func(o SetOptions) error {
		s := NewSet(o)
		defer s.Close()
		if err := s.Open(); err != nil && o.Dir == dir+"/missing" {
			return &dirError{err}
		} else if err != nil {
			return err
		}
		return nil
	})

	// What all instruments have, and what some have besides.
	common := map[string]optiontest.Row{
		"Namespace": {Bad: []any{"\xff"}}, "Subsystem": {Bad: []any{"\xff"}}, "Name": {Needed: true, Bad: []any{"\xff", strings.Repeat("x", 2000)}},
		"Help": {Needed: true, Bad: []any{"\xff"}}, "Unit": {Bad: []any{"\xff"}, Good: []any{"seconds"}}, "MaxSeries": {Special: []int64{options.NoLimit}}, "Separate": {},
		"TTL":         {Special: []int64{options.NoLimit}, Bad: []any{time.Second, 1000 * time.Hour}, Good: []any{time.Minute}},
		"ConstLabels": {Bad: []any{Labels{"__x": ""}}, Good: []any{Labels{"a": "b"}}},
	}
	with := func(more map[string]optiontest.Row) map[string]optiontest.Row {
		for name, row := range common {
			if _, ok := more[name]; !ok {
				more[name] = row
			}
		}
		return more
	}
	labels := []string{"l"}
	never := optiontest.Row{Special: []int64{options.NoLimit}, Bad: []any{time.Minute}}
	optiontest.Check(t, Opts{Name: "n", Help: "H."}, with(map[string]optiontest.Row{"TTL": never}), func(o Opts) error {
		_, err := NewSet(SetOptions{}).NewCounterFunc(CounterOpts(o), func() float64 { return 1 })
		return err
	})
	optiontest.Check(t, CounterOpts{Name: "n", Help: "H."}, with(map[string]optiontest.Row{}), func(o CounterOpts) error {
		_, err := NewSet(SetOptions{}).NewCounterVec(o, labels)
		_, single := NewSet(SetOptions{}).NewCounter(o)
		return same(t, o.TTL, err, single)
	})
	optiontest.Check(t, SummaryOpts{Name: "n", Help: "H."}, with(map[string]optiontest.Row{}), func(o SummaryOpts) error {
		_, err := NewSet(SetOptions{}).NewSummaryVec(o, labels)
		_, single := NewSet(SetOptions{}).NewSummary(o)
		return same(t, o.TTL, err, single)
	})
	optiontest.Check(t, InfoOpts{Name: "n", Help: "H."}, with(map[string]optiontest.Row{"Unit": {Bad: []any{"seconds"}}, "TTL": never}), func(o InfoOpts) error {
		_, err := NewSet(SetOptions{}).NewInfoVec(o, labels)
		_, single := NewSet(SetOptions{}).NewInfo(o)
		return same(t, o.TTL, err, single)
	})
	optiontest.Check(t, GaugeOpts{Name: "n", Help: "H."}, with(map[string]optiontest.Row{"Mode": {Bad: []any{77}}}), func(o GaugeOpts) error {
		_, err := NewSet(SetOptions{}).NewGaugeFunc(o, func() float64 { return 1 })
		if err != nil && o.TTL == 0 {
			return err
		}
		_, err = NewSet(SetOptions{}).NewGaugeVec(o, labels)
		_, single := NewSet(SetOptions{}).NewGauge(o)
		return same(t, o.TTL, err, single)
	})
	optiontest.Check(t, HistogramOpts{Name: "n", Help: "H."}, with(map[string]optiontest.Row{
		"Buckets":                        {Bad: []any{[]float64{}, []float64{2, 1}, []float64{1, 1}}, Good: []any{[]float64{-1, 0}}},
		"NativeHistogramBucketFactor":    {Good: []any{1.1, 0.5, 1e9, math.Inf(1)}},
		"NativeHistogramZeroThreshold":   {Any: true, Bad: []any{math.NaN(), math.Inf(1), math.Inf(-1)}, Good: []any{-1.0, 0.5}},
		"NativeHistogramMaxBucketNumber": {Bad: []any{1025}, Good: []any{1, 1024}},
		"NativeHistogramMaxExemplars":    {Any: true, Bad: []any{17}, Good: []any{16}},
		"NativeHistogramExemplarTTL":     {Any: true},
	}), func(o HistogramOpts) error {
		_, err := NewSet(SetOptions{}).NewHistogramVec(o, labels)
		_, single := NewSet(SetOptions{}).NewHistogram(o)
		return same(t, o.TTL, err, single)
	})
	enum := with(map[string]optiontest.Row{"States": {Needed: true, Bad: []any{[]string{}, []string{"a", "a"}}}, "PerProcess": {}, "MostRecent": {}})
	delete(enum, "Unit")
	delete(enum, "Separate")
	optiontest.Check(t, EnumOpts{Name: "n", Help: "H.", States: []string{"a", "b"}}, enum, func(o EnumOpts) error {
		_, err := NewSet(SetOptions{}).NewEnumVec(o, labels)
		_, single := NewSet(SetOptions{}).NewEnum(o)
		return same(t, o.TTL, err, single)
	})
}

// same returns the error of a Vec, which the instrument without labels must have too. A TTL is
// one that it cannot have.
func same(t *testing.T, ttl time.Duration, ofVec, single error) error {
	if ttl > 0 && single == nil {
		t.Errorf("without labels, TTL = %v is ignored", ttl)
	} else if ttl > 0 {
		return ofVec
	}
	if (ofVec == nil) != (single == nil) {
		t.Errorf("of a Vec %v, without labels %v", ofVec, single)
	}
	return ofVec
}

// dirError names the field of the system's error, which names the directory.
type dirError struct{ error }

func (e *dirError) Error() string { return "Dir: " + e.error.Error() }
