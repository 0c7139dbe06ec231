package openmetrics

import (
	"fmt"
	"unicode/utf8"

	"github.com/multiprom/multiprom/internal/form"
	"github.com/multiprom/multiprom/metric"
)

// MaxExemplarRunes is how many characters the names and values of an exemplar's
// labels may have together (OpenMetrics 1.0, "Exemplars").
const MaxExemplarRunes = 128

// CheckExemplar returns nil if these can be the labels of an exemplar: valid names in
// ascending order, and at most MaxExemplarRunes in all. The error matches
// metric.ErrInvalid.
func CheckExemplar(ls metric.Labels) error {
	runes := 0
	for i, l := range ls {
		if err := form.CheckLabelName(l.Name); err != nil {
			return err
		}
		switch {
		case i > 0 && ls[i-1].Name >= l.Name:
			return fmt.Errorf("%w: its labels are not sorted, or one is there twice", form.ErrExemplar)
		case !utf8.ValidString(l.Value):
			return fmt.Errorf("%w: the value of %s is not UTF-8", form.ErrExemplar, l.Name)
		}
		runes += utf8.RuneCountInString(l.Name) + utf8.RuneCountInString(l.Value)
	}
	if runes > MaxExemplarRunes {
		return fmt.Errorf("%w: its labels have %d characters, the most is %d", form.ErrExemplar, runes, MaxExemplarRunes)
	}
	return nil
}
