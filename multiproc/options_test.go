package multiproc

import (
	"log/slog"
	"strings"
	"testing"

	"github.com/multiprom/multiprom/internal/optiontest"
)

func TestOptions(t *testing.T) {
	dir := t.TempDir()
	optiontest.Check(t, SetOptions{Logger: slog.New(slog.DiscardHandler)}, map[string]optiontest.Row{
		"Dir":       {Bad: []any{dir + "/missing"}, Good: []any{dir}},
		"ProcessID": {Bad: []any{strings.Repeat("x", 129), "\xff"}, Good: []any{"a b", "é"}},
		"FileMode":  {Bad: []any{0o7, 0o666, 0o700, 0o4600, 9}, Good: []any{0o640, 0o660}},
		"MaxSeries": {Special: []int64{NoLimit}}, "PublishPeriod": {}, "Logger": {}, "Now": {},
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
		"Help": {Needed: true}, "Unit": {Good: []any{"seconds"}}, "MaxSeries": {Special: []int64{NoLimit}}, "Separate": {},
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
	optiontest.Check(t, CounterOpts{Name: "n", Help: "H."}, with(map[string]optiontest.Row{}), func(o CounterOpts) error {
		_, err := NewSet(SetOptions{}).NewCounterVec(o, labels)
		return named(err)
	})
	optiontest.Check(t, SummaryOpts{Name: "n", Help: "H."}, with(map[string]optiontest.Row{}), func(o SummaryOpts) error {
		_, err := NewSet(SetOptions{}).NewSummaryVec(o, labels)
		return named(err)
	})
	optiontest.Check(t, InfoOpts{Name: "n", Help: "H."}, with(map[string]optiontest.Row{"Unit": {Bad: []any{"seconds"}}}), func(o InfoOpts) error {
		_, err := NewSet(SetOptions{}).NewInfoVec(o, labels)
		return named(err)
	})
	optiontest.Check(t, GaugeOpts{Name: "n", Help: "H."}, with(map[string]optiontest.Row{"Mode": {Bad: []any{77}}}), func(o GaugeOpts) error {
		_, err := NewSet(SetOptions{}).NewGaugeVec(o, labels)
		return named(err)
	})
	optiontest.Check(t, HistogramOpts{Name: "n", Help: "H."}, with(map[string]optiontest.Row{
		"Buckets": {Bad: []any{[]float64{}, []float64{2, 1}, []float64{1, 1}}, Good: []any{[]float64{-1, 0}}},
	}), func(o HistogramOpts) error {
		_, err := NewSet(SetOptions{}).NewHistogramVec(o, labels)
		return named(err)
	})
	enum := with(map[string]optiontest.Row{"States": {Needed: true, Bad: []any{[]string{}, []string{"a", "a"}}}, "PerProcess": {}, "MostRecent": {}})
	delete(enum, "Unit")
	delete(enum, "Separate")
	optiontest.Check(t, EnumOpts{Name: "n", Help: "H.", States: []string{"a", "b"}}, enum, func(o EnumOpts) error {
		_, err := NewSet(SetOptions{}).NewEnumVec(o, labels)
		return named(err)
	})
}

// dirError names the field of the system's error, which names the directory.
type dirError struct{ error }

func (e *dirError) Error() string { return "Dir: " + e.error.Error() }

// named has the errors of a definition, which describe it in words, name the field
// too: they say help, buckets, states, a label, the metric's name.
func named(err error) error {
	if err == nil {
		return nil
	}
	return &definitionError{err}
}

type definitionError struct{ error }

func (e *definitionError) Error() string {
	said := strings.ToLower(e.error.Error())
	var fields []string
	for word, field := range map[string]string{
		"metric name": "Name Namespace Subsystem", "label": "ConstLabels", "help": "Help", "unit": "Unit", "mode": "Mode", "bucket": "Buckets", "bound": "Buckets",
		"state": "States", "maxseries": "MaxSeries",
	} {
		if strings.Contains(said, word) {
			fields = append(fields, field)
		}
	}
	return e.error.Error() + " (" + strings.Join(fields, " ") + ")"
}
