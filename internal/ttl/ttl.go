package ttl

import (
	"fmt"
	"slices"
	"time"
)

// Bounds of a TTL. A file has it in whole seconds below 0x8000, and in minutes from there on.
const (
	Min = 10 * time.Second
	Max = 0x7FFF * time.Minute

	exact = 0x7FFF * time.Second
)

// Check returns an error if a series cannot have this TTL. The text begins with "is" and
// continues the name of an option. 0 means that the series never expires.
func Check(d time.Duration) error {
	switch {
	case d < 0:
		return fmt.Errorf("is %v: it must not be negative", d)
	case d > 0 && d < Min:
		return fmt.Errorf("is %v: the shortest is %v", d, Min)
	case d > Max:
		return fmt.Errorf("is %v: the longest is %v", d, Max)
	}
	return nil
}

// Round returns the TTL that a file can have: whole seconds, or minutes if it is longer than
// 9 hours. It rounds up.
func Round(d time.Duration) time.Duration {
	unit := time.Second
	if d > exact {
		unit = time.Minute
	}
	return (d + unit - 1) / unit * unit
}

// Encode returns a rounded TTL in the form of a file.
func Encode(d time.Duration) uint16 {
	if d > exact {
		return 0x8000 | uint16(min(d/time.Minute, 0x7FFF))
	}
	return uint16(d / time.Second)
}

// Decode is the inverse of Encode.
func Decode(n uint16) time.Duration {
	if n >= 0x8000 {
		return time.Duration(n&0x7FFF) * time.Minute
	}
	return time.Duration(n) * time.Second
}

// Tick is how often a janitor looks at its series.
func Tick(ttl time.Duration) time.Duration { return ttl / 4 }

// Guard is how far apart two processes may see the same moment, and how long a janitor may
// take from its clock to its store.
func Guard(ttl time.Duration) time.Duration { return ttl / 8 }

// Part is one process's record of a series, or what the archive has of it.
type Part struct {
	Created int64
	Active  int64 // when it was last seen to change
	Removed int64 // when it was removed, 0 if it was not
}

// Span is how long a part lasts: from From until before To. A part that begins later than
// this one is of the same life if it begins before Join.
type Span struct{ From, Join, To int64 }

// Span returns how long the part lasts.
//
// A removed part holds its life for a while: updates of others that were shown with it may not
// be covered by their own active yet. But what is created after the removal is another life.
//
// Created is after Active only if the wall clock was set back in between, or while a new life
// begins. Then the part begins at Active, so that it does not vanish.
func (p Part) Span(ttl time.Duration) Span {
	guard := int64(Guard(ttl))
	end := p.Active + int64(ttl) + int64(ttl)/2 + guard
	s := Span{min(p.Created, p.Active), end - guard, end}
	if p.Removed != 0 {
		s.Join, s.To = min(s.Join, p.Removed), min(s.To, p.Removed+int64(ttl)/2+guard)
	}
	return s
}

// Empty reports whether the part lasts no time at all. It belongs to no life.
func (s Span) Empty() bool { return s.From >= s.To }

// Lives puts the spans of a series in order and yields each life: its span, and the numbers of
// its parts, which are valid until the next life. The earliest life comes first.
func Lives(spans []Span, yield func(life Span, parts []int) bool) {
	order := make([]int, 0, len(spans))
	for i, s := range spans {
		if !s.Empty() {
			order = append(order, i)
		}
	}
	slices.SortStableFunc(order, func(a, b int) int {
		switch {
		case spans[a].From < spans[b].From:
			return -1
		case spans[a].From > spans[b].From:
			return 1
		}
		return 0
	})
	for len(order) > 0 {
		life, n := spans[order[0]], 1
		for ; n < len(order) && spans[order[n]].From < life.Join; n++ {
			s := spans[order[n]]
			life.Join, life.To = max(life.Join, s.Join), max(life.To, s.To)
		}
		if !yield(life, order[:n]) {
			return
		}
		order = order[n:]
	}
}

// Life returns the span of the life that part number i is in. An empty part is in none, and
// its own span is returned.
func Life(spans []Span, i int) (out Span) {
	out = spans[i]
	Lives(spans, func(life Span, parts []int) bool {
		if slices.Contains(parts, i) {
			out = life
			return false
		}
		return true
	})
	return out
}
