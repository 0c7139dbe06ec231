package mpm

import (
	"fmt"
	"math"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/multiprom/multiprom/internal/histogram"
	"github.com/multiprom/multiprom/metric"
)

// nativeSchemas are schemas of histograms with native buckets.
func nativeSchemas() []*metric.Schema {
	return []*metric.Schema{
		{Name: "n", Help: "N.", Type: metric.Histogram, Native: &metric.NativeSchema{Schema: 3, MaxBuckets: 160, ZeroThreshold: 0x1p-128, MaxExemplars: 10}, Labels: []string{"l"}},
		{Name: "nb", Help: "B.", Type: metric.Histogram, Native: &metric.NativeSchema{Schema: -4, MaxBuckets: 1}, Bounds: []float64{-1, 0, 2.5}},
		{
			Name: "nl", Help: "L.", Type: metric.Histogram, Labels: []string{"a", "b"}, Const: metric.MakeLabels("dc", "eu"),
			Native: &metric.NativeSchema{Schema: 8, MaxBuckets: 1024, ZeroThreshold: math.MaxFloat64, MaxExemplars: 16},
		},
	}
}

// damagedNativeFamilies are records with one wrong field each, and a checksum that matches.
func damagedNativeFamilies() (out [][]byte) {
	damage := func(edit func(rec []byte)) {
		rec, err := encodeFamily(7, nativeSchemas()[1])
		if err != nil {
			panic(err)
		}
		edit(rec)
		le.PutUint32(rec[offRecCRC:], recordCRC(rec))
		out = append(out, rec)
	}
	for _, schema := range []int8{-128, -5, 9, 127} {
		damage(func(rec []byte) { rec[offNatSchema] = byte(schema) })
	}
	for _, limit := range []uint16{0, 1025, math.MaxUint16} {
		damage(func(rec []byte) { le.PutUint16(rec[offNatLimit:], limit) })
	}
	for _, n := range []uint16{17, math.MaxUint16} {
		damage(func(rec []byte) { le.PutUint16(rec[offNatExemplars:], n) })
	}
	for _, threshold := range []float64{-1, math.Copysign(0, -1), math.NaN(), math.Inf(1), math.Inf(-1)} {
		damage(func(rec []byte) { le.PutUint64(rec[offNatThreshold:], math.Float64bits(threshold)) })
	}
	for _, kind := range []metric.Type{metric.Counter, metric.GaugeHistogram} {
		damage(func(rec []byte) { rec[offFamType] = byte(kind) })
	}
	damage(func(rec []byte) { le.PutUint16(rec[offFamBounds:], 6) })
	return out
}

func TestNativeFamilyRecord(t *testing.T) {
	for _, schema := range nativeSchemas() {
		rec, err := encodeFamily(9, schema)
		require.NoError(t, err)
		require.EqualValues(t, kindNativeFamily, le.Uint16(rec[offRecKind:]))
		require.Zero(t, rec[offNatSchema+1])
		require.Zero(t, le.Uint16(rec[offNatExemplars+2:]))
		id, got, err := decodeFamily(aligned(rec))
		require.NoError(t, err)
		require.EqualValues(t, 9, id)
		require.True(t, schema.Equal(got), "%+v", got)
		require.Equal(t, 3+len(schema.Bounds), WordsPerSeries(got))
		require.Equal(t, WordsPerSeries(got), ValuesPerSeries(got))
		require.Equal(t, len(schema.Bounds)+1+schema.Native.MaxExemplars, exemplarCount(got))
		for _, short := range []int{offFamBody, offNatBody - 8, offNatBody} {
			_, _, err := decodeFamily(rec[:short])
			require.ErrorIs(t, err, errShortRecord)
		}
	}
	for i, rec := range damagedNativeFamilies() {
		require.Equal(t, le.Uint32(rec[offRecCRC:]), recordCRC(rec))
		_, _, err := decodeFamily(rec)
		require.Error(t, err, i)
	}
}

func TestNativeSeriesRecord(t *testing.T) {
	one := seriesRecord{seriesHead{family: 3, cells: 9, created: 5, native: true}, []string{"GET"}, nil}
	rec, err := encodeSeries(one, 0)
	require.NoError(t, err)
	require.EqualValues(t, kindNativeSeries, le.Uint16(rec[offRecKind:]))
	crc := recordCRC(rec)
	le.PutUint64(rec[offSerCreated:], 77)
	le.PutUint64(rec[offSerRemoved:], 78)
	le.PutUint32(rec[offSerActive:], 79)
	require.Equal(t, crc, recordCRC(rec), "what changes is not in the checksum")
	rec[offSerFamily]++
	require.NotEqual(t, crc, recordCRC(rec))
}

// regions are regions of every schema, with the first and the last numbers that there are.
func regions() (out []regionRecord) {
	for schema := histogram.MinSchema; schema <= histogram.MaxSchema; schema++ {
		first, last := histogram.Range(schema)
		for _, i := range []int32{first, 0, last} {
			out = append(out, regionRecord{
				series: 72, cells: 8200, schema: int8(schema), negative: i == 0, number: histogram.RegionOf(i),
			})
		}
	}
	return out
}

func TestRegionRecord(t *testing.T) {
	for _, r := range regions() {
		rec := r.encode()
		require.Len(t, rec, regionSize)
		got, err := decodeRegion(aligned(rec))
		require.NoError(t, err, "%+v", r)
		require.Equal(t, r, got)
		crc := recordCRC(rec)
		require.Equal(t, crc, le.Uint32(rec[offRecCRC:]))
		le.PutUint32(rec[offRecState:], stateFree)
		require.Equal(t, crc, recordCRC(rec), "the state changes")
		for i := offRegSeries; i < regionSize; i++ {
			rec[i] ^= 1
			require.NotEqual(t, crc, recordCRC(rec), i)
			rec[i] ^= 1
		}
		_, err = decodeRegion(rec[:regionSize-8])
		require.ErrorIs(t, err, errShortRecord)
	}
	good := regionRecord{series: 72, cells: 8200, schema: 3, number: 5}
	first, last := histogram.Range(3)
	for name, edit := range map[string]func(rec []byte){
		"a record of schema 9":           func(rec []byte) { rec[offRegSchema] = 9 },
		"a record of schema -5":          func(rec []byte) { rec[offRegSchema] = 251 },
		"a sign of 2":                    func(rec []byte) { rec[offRegNegative] = 2 },
		"words that cross cache lines":   func(rec []byte) { le.PutUint32(rec[offRegCells:], 8201) },
		"a number after the infinities":  func(rec []byte) { le.PutUint32(rec[offRegNumber:], uint32(histogram.RegionOf(last)+1)) },
		"a number before all magnitudes": func(rec []byte) { le.PutUint32(rec[offRegNumber:], uint32(histogram.RegionOf(first)-1)) },
	} {
		rec := good.encode()
		edit(rec)
		_, err := decodeRegion(rec)
		require.Error(t, err, name)
	}
}

// FuzzRegionRecord uses any bytes as a record, which must be refused or keep its meaning when
// it is encoded again.
func FuzzRegionRecord(f *testing.F) {
	for _, r := range regions() {
		f.Add(r.encode())
		for _, off := range []int{offRegCells, offRegSchema, offRegNegative, offRegNumber, offRegNumber + 3} {
			rec := r.encode()
			rec[off] ^= 0xff
			f.Add(rec)
		}
	}
	f.Add([]byte{})
	f.Add(make([]byte, regionSize-8))
	f.Add(append((&regionRecord{cells: 8}).encode(), make([]byte, 8)...))
	f.Fuzz(func(t *testing.T, data []byte) {
		rec := hostileRecord(data, kindRegion)
		r, err := decodeRegion(rec)
		if err != nil {
			return
		}
		again := r.encode()
		same, err := decodeRegion(aligned(again))
		require.NoError(t, err)
		require.Equal(t, r, same)
		first, last := histogram.Range(int(r.schema))
		require.True(t, 8*r.number+7 >= first && 8*r.number <= last, fmt.Sprint(r))
	})
}
