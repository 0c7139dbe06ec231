package histogram

import (
	"math"
	"sync"
)

// The schemas, from 65536 times to 1.0027 times as wide from bucket to bucket.
const (
	MinSchema = -4
	MaxSchema = 8
)

// SchemaOf returns the coarsest schema whose buckets are at most factor times as wide as the
// one before, or MaxSchema if none is that fine. The factor is above 1.
func SchemaOf(factor float64) int {
	floor := math.Floor(math.Log2(math.Log2(factor)))
	return -int(max(-MaxSchema, min(floor, -MinSchema)))
}

// Reduce returns the number of the bucket that bucket i becomes part of if the schema is
// lowered by that much.
func Reduce(i int32, by int) int32 { return (i-1)>>by + 1 }

// Buckets are the buckets of a schema. Bucket i has the values x with
//
//	2^((i-1) / 2^schema) < |x| <= 2^(i / 2^schema)
//
// and the last one has the infinities, of which it is the only one.
type Buckets struct {
	schema int
	scale  uint8 // 2^scale buckets for each power of 2
	reduce uint8 // by how much the schema is below 0
	shift  uint8 // of a mantissa, to find its cell
	last   int32 // the bucket of the infinities, at a schema of 0 or more

	// cells divide the mantissas evenly, finely enough that there is at most one bound in
	// each. A cell has the first bound that is not below it: mantissa << numberBits | number.
	cells [2 << MaxSchema]uint64
}

const (
	mantissaBits = 52
	mantissaMask = 1<<mantissaBits - 1
	exponentBias = 1023
	exponentMax  = 0x7FF // infinities and NaN

	infinity    = exponentMax << mantissaBits // the bits of +Inf
	leastNormal = 1 << mantissaBits           // of the smallest number that is not subnormal

	numberBits = MaxSchema + 1
)

// Of returns the buckets of a schema, which must be valid.
func Of(schema int) *Buckets {
	made := &all[schema-MinSchema]
	made.once.Do(func() { made.buckets.fill(schema) })
	return &made.buckets
}

var all [MaxSchema - MinSchema + 1]struct {
	once    sync.Once
	buckets Buckets
}

func (b *Buckets) fill(schema int) {
	scale := max(schema, 0)
	b.schema, b.scale, b.reduce = schema, uint8(scale), uint8(scale-schema)
	b.shift = uint8(mantissaBits - scale - 1)
	b.last = (exponentMax-exponentBias)<<scale + 1
	number := 0
	for cell := range 2 << scale {
		for number < 1<<scale && mantissaOf(number<<(MaxSchema-scale)) < uint64(cell)<<b.shift {
			number++
		}
		mantissa := uint64(1) << mantissaBits // of the bound 2, above all mantissas
		if number < 1<<scale {
			mantissa = mantissaOf(number << (MaxSchema - scale))
		}
		b.cells[cell] = mantissa<<numberBits | uint64(number)
	}
}

// mantissaOf returns the mantissa of bound number n of schema 8.
func mantissaOf(n int) uint64 { return math.Float64bits(fractions[n]) & mantissaMask }

// Schema returns the schema.
func (b *Buckets) Schema() int { return b.schema }

// Index returns the number of the bucket that has x, which is neither 0 nor NaN. The sign
// does not matter.
func (b *Buckets) Index(x float64) int32 {
	bits := math.Float64bits(x)
	exponent, mantissa := int32(bits>>mantissaBits)&exponentMax, bits&mantissaMask
	if uint32(exponent-1) >= exponentMax-1 {
		if exponent == exponentMax {
			return Reduce(b.last, int(b.reduce))
		}
		exponent, mantissa = normalized(x)
	}
	return b.normal(exponent, mantissa)
}

// normal is Index of a number with this exponent and mantissa. It is inlined.
func (b *Buckets) normal(exponent int32, mantissa uint64) int32 {
	cell := b.cells[mantissa>>(b.shift&63)&(2<<MaxSchema-1)]
	below := int32((cell>>numberBits - mantissa) >> 63) // 1 if the cell's bound is below x
	i := (exponent-exponentBias)<<(b.scale&31) + int32(cell&(1<<numberBits-1)) + below
	return (i-1)>>(b.reduce&31) + 1
}

// normalized returns the exponent and the mantissa that a subnormal number would have if
// there were smaller exponents.
func normalized(x float64) (exponent int32, mantissa uint64) {
	frac, exp := math.Frexp(x)
	return int32(exp) - 1 + exponentBias, math.Float64bits(frac) & mantissaMask
}

// Upper returns the upper bound of bucket i. That of the last bucket with finite values is
// the largest of them, and that of the one after it is +Inf.
func (b *Buckets) Upper(i int32) float64 {
	fraction, exponent := 0.5, int(i)<<b.reduce+1
	if b.reduce == 0 {
		fraction = fractions[int(i)&(1<<b.scale-1)<<(MaxSchema-int(b.scale))]
		exponent = int(i)>>b.scale + 1
	}
	if fraction == 0.5 && exponent == exponentMax-exponentBias+1 {
		return math.MaxFloat64
	}
	return math.Ldexp(fraction, exponent)
}
