package histogram_test

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/multiprom/multiprom/internal/histogram"
)

// requireBucket checks every schema's bucket of x by the definition: the bounds on both sides.
// It compares by itself, since it is called so often.
func requireBucket(t testing.TB, x float64) {
	fine := histogram.Of(histogram.MaxSchema).Index(x)
	for schema := histogram.MinSchema; schema <= histogram.MaxSchema; schema++ {
		b := histogram.Of(schema)
		i := b.Index(x)
		first, last := histogram.Range(schema)
		lower, upper, magnitude := b.Upper(i-1), b.Upper(i), math.Abs(x)
		inside := lower < magnitude && magnitude <= upper
		if upper < 0x1p-1022 { // bounds that are subnormal are rounded
			inside = lower <= magnitude && magnitude <= upper
		}
		by := histogram.MaxSchema - schema
		half := by / 2
		if !inside || i < first || i > last || i != b.Index(-x) || i != histogram.Reduce(fine, by) ||
			i != histogram.Reduce(histogram.Reduce(fine, half), by-half) {
			require.Fail(t, "the wrong bucket", "schema %d, bucket %d (%v, %v] of %v", schema, i, lower, upper, x)
		}
	}
}

func TestIndex(t *testing.T) {
	xs := []float64{math.Inf(1), math.MaxFloat64, math.SmallestNonzeroFloat64, 0x1p-1022, 0x1p-1022 - 0x1p-1074, 1, 2, 0.5, 3}
	for e := -1074; e <= 1023; e += 7 {
		xs = append(xs, math.Ldexp(1, e))
	}
	fine := histogram.Of(histogram.MaxSchema)
	for i := int32(-600); i <= 600; i++ {
		xs = append(xs, fine.Upper(i), fine.Upper(i*400))
	}
	for _, x := range xs {
		requireBucket(t, x)
		for _, y := range []float64{math.Nextafter(x, 0), math.Nextafter(x, math.Inf(1))} {
			if y != 0 {
				requireBucket(t, y)
			}
		}
	}
	rnd := rand.New(rand.NewPCG(1, 1))
	for range 10_000 {
		if x := math.Float64frombits(rnd.Uint64()); x == x && x != 0 {
			requireBucket(t, x)
		}
	}
}

func FuzzIndex(f *testing.F) {
	for _, x := range []float64{1, 0.1, math.MaxFloat64, math.SmallestNonzeroFloat64, math.Inf(-1)} {
		f.Add(math.Float64bits(x))
	}
	f.Fuzz(func(t *testing.T, bits uint64) {
		if x := math.Float64frombits(bits); x == x && x != 0 {
			requireBucket(t, x)
		}
	})
}

func TestBounds(t *testing.T) {
	for schema := histogram.MinSchema; schema <= histogram.MaxSchema; schema++ {
		b := histogram.Of(schema)
		require.Equal(t, schema, b.Schema())
		require.Equal(t, 1.0, b.Upper(0))
		_, last := histogram.Range(schema)
		require.Equal(t, math.Inf(1), b.Upper(last))
		require.Equal(t, math.MaxFloat64, b.Upper(last-1))
		require.Less(t, b.Upper(last-2), math.MaxFloat64)
		if schema >= 0 {
			// The bounds are the powers of 2 and, within rounding, what lies between them.
			for i := range int32(1) << schema {
				require.InEpsilon(t, math.Pow(2, float64(i)/float64(int(1)<<schema)), b.Upper(i), 1e-15)
			}
			require.Equal(t, 2.0, b.Upper(1<<schema))
		} else {
			require.Equal(t, math.Ldexp(1, 1<<-schema), b.Upper(1))
		}
	}
}

func TestSchemaOf(t *testing.T) {
	for factor, want := range map[float64]int{
		math.Nextafter(1, 2): 8, 1.002: 8, 1.00271: 8, 1.01: 7, 1.1: 3, 1.0906: 3, 1.0905: 4, 1.5: 1, 2: 0, 3: 0, 4: -1, 100: -2, 256: -3, 65536: -4, 1e300: -4, math.Inf(1): -4,
	} {
		require.Equal(t, want, histogram.SchemaOf(factor), factor)
	}
}

// The price of a bucket, of values that branch prediction cannot learn.
func BenchmarkIndex(b *testing.B) {
	rnd := rand.New(rand.NewPCG(1, 1))
	xs := make([]float64, 4096)
	for i := range xs {
		xs[i] = math.Exp(rnd.NormFloat64() * 3)
	}
	buckets := histogram.Of(3)
	n, sum := 0, int32(0)
	for b.Loop() {
		sum += buckets.Index(xs[n&4095])
		n++
	}
	if sum == 1 {
		b.Log(sum)
	}
}
