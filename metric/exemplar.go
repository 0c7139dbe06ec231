package metric

import (
	"cmp"
	"errors"
	"fmt"
	"time"
	"unicode/utf8"
)

// Exemplar points from a value to something outside, such as a trace.
type Exemplar struct {
	Labels    Labels
	Value     float64
	Timestamp time.Time // zero when none was given
}

// MaxExemplarRunes is how many characters the names and values of an exemplar's
// labels may have together (OpenMetrics 1.0, "Exemplars").
const MaxExemplarRunes = 128

// ErrInvalidExemplar: the labels of an exemplar are too long, not sorted, or not UTF-8,
// or have a name twice.
var ErrInvalidExemplar = errors.New("invalid exemplar")

// CheckExemplar returns nil if these can be the labels of an exemplar: valid names in
// ascending order, and at most MaxExemplarRunes in all. The error matches
// ErrInvalidExemplar or an error of CheckLabelName.
func CheckExemplar(ls Labels) error {
	runes := 0
	for i, l := range ls {
		if err := CheckLabelName(l.Name); err != nil {
			return err
		}
		switch {
		case i > 0 && ls[i-1].Name >= l.Name:
			return fmt.Errorf("%w: its labels are not sorted, or one is there twice", ErrInvalidExemplar)
		case !utf8.ValidString(l.Value):
			return fmt.Errorf("%w: the value of %s is not UTF-8", ErrInvalidExemplar, l.Name)
		}
		runes += utf8.RuneCountInString(l.Name) + utf8.RuneCountInString(l.Value)
	}
	if runes > MaxExemplarRunes {
		return fmt.Errorf("%w: its labels have %d characters, the most is %d", ErrInvalidExemplar, runes, MaxExemplarRunes)
	}
	return nil
}

// Compare orders exemplars by age, the oldest first, and those of the same age by value
// and labels, so that the choice between two never depends on which was read first.
func (e *Exemplar) Compare(o *Exemplar) int {
	return cmp.Or(e.Timestamp.Compare(o.Timestamp), cmp.Compare(e.Value, o.Value), e.Labels.Compare(o.Labels))
}
