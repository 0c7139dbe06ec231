package lifetime

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
