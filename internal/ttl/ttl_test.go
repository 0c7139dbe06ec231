package ttl

import (
	"math/rand/v2"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestCheck(t *testing.T) {
	for d, says := range map[time.Duration]string{
		0: "", Min: "", Max: "", time.Hour: "",
		-time.Second:              "is -1s: it must not be negative",
		Min - 1:                   "is 9.999999999s: the shortest is 10s",
		Max + 1:                   "is 546h7m0.000000001s: the longest is 546h7m0s",
		time.Duration(1<<63 - 1):  "is 2562047h47m16.854775807s: the longest is 546h7m0s",
		time.Duration(-(1 << 63)): "is -2562047h47m16.854775808s: it must not be negative",
	} {
		err := Check(d)
		if says == "" {
			require.NoError(t, err, d)
			continue
		}
		require.EqualError(t, err, says)
	}
}

// TestEncode: every rounded TTL survives the file, and rounding never makes it shorter.
func TestEncode(t *testing.T) {
	for n := range 1 << 16 {
		if n == 0x8000 {
			continue // no minutes: nobody writes it
		}
		d := Decode(uint16(n))
		require.Equal(t, Round(d), d)
		if n > 0x8000 && d <= exact {
			continue // as seconds it is another number
		}
		require.Equal(t, uint16(n), Encode(d), d)
	}
	for range 10_000 {
		d := Min + time.Duration(rand.Int64N(int64(Max-Min)))
		require.GreaterOrEqual(t, Round(d), d)
		require.Less(t, Round(d)-d, time.Minute)
		require.Equal(t, Round(d), Decode(Encode(Round(d))))
	}
}

const unit = int64(1e9)

// at is a part of a series with a TTL of 80 s, of which the guard is 10 s. Times are in
// seconds.
func at(created, active, removed int64) Span {
	return Part{created * unit, active * unit, removed * unit}.Span(80 * time.Second)
}

func TestSpan(t *testing.T) {
	seconds := func(from, join, to int64) Span { return Span{from * unit, join * unit, to * unit} }
	require.Equal(t, seconds(100, 320, 330), at(100, 200, 0))
	require.Equal(t, seconds(100, 210, 260), at(100, 200, 210), "it holds its life for 50 s")
	require.Equal(t, seconds(100, 300, 330), at(100, 200, 300), "its own end is earlier")
	require.Equal(t, seconds(200, 320, 330), at(500, 200, 0), "the clock was set back")
	require.True(t, at(100, 100, 40).Empty(), "it was removed long before it was created")
}

func TestLives(t *testing.T) {
	for _, tc := range []struct {
		name  string
		spans []Span
		of    int
		end   int64
	}{
		{"alone", []Span{at(100, 200, 0)}, 0, 330},
		{"they overlap", []Span{at(100, 200, 0), at(300, 400, 0)}, 0, 530},
		{"over another one", []Span{at(500, 600, 0), at(100, 200, 0), at(300, 400, 0)}, 1, 730},
		{"within the guard", []Span{at(100, 200, 0), at(320, 400, 0)}, 0, 330},
		{"just before it", []Span{at(100, 200, 0), at(319, 400, 0)}, 0, 530},
		{"the other one of these", []Span{at(100, 200, 0), at(320, 400, 0)}, 1, 530},
		{"made after the removal", []Span{at(100, 200, 210), at(210, 400, 0)}, 0, 260},
		{"made before it", []Span{at(100, 200, 210), at(209, 400, 0)}, 0, 530},
		{"an empty one joins nothing", []Span{at(100, 200, 0), at(100, 100, 40), at(400, 500, 0)}, 0, 330},
	} {
		require.Equal(t, tc.end*unit, Life(tc.spans, tc.of).To, tc.name)
	}
}

// TestLivesAreComponents compares Lives with the definition: two spans are of one life if they
// overlap by more than the guard, directly or over others.
func TestLivesAreComponents(t *testing.T) {
	for range 5000 {
		spans := make([]Span, 1+rand.IntN(6))
		for i := range spans {
			created := rand.Int64N(1000)
			removed := int64(0)
			if rand.IntN(3) == 0 {
				removed = created + rand.Int64N(300)
			}
			spans[i] = at(created, created+rand.Int64N(300), removed)
		}
		for i := range spans {
			require.Equal(t, component(spans, i), Life(spans, i))
		}
	}
}

func component(spans []Span, i int) Span {
	life, in := spans[i], map[int]bool{i: true}
	if life.Empty() {
		return life
	}
	for again := true; again; {
		again = false
		for j, s := range spans {
			a, b := life, s
			if b.From < a.From {
				a, b = b, a
			}
			if !in[j] && !s.Empty() && b.From < a.Join {
				life = Span{min(life.From, s.From), max(life.Join, s.Join), max(life.To, s.To)}
				in[j], again = true, true
			}
		}
	}
	return life
}
