package main

import (
	"encoding/json"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/multiprom/multiprom/internal/histogram"
	"github.com/multiprom/multiprom/multiproc"
)

// TestDamagedNativeFiles: whatever the bytes of a file with native histograms are, every command
// answers, and what it shows is what a server would take: words that no process can count,
// records and headers with any bytes, files that are cut short.
func TestDamagedNativeFiles(t *testing.T) {
	dir := t.TempDir()
	set := multiproc.NewSet(multiproc.SetOptions{Dir: dir})
	opts := multiproc.HistogramOpts{Name: "seconds", Help: "S.", Buckets: []float64{1, 10}, NativeHistogramBucketFactor: 1.1, NativeHistogramMaxBucketNumber: 20}
	v, err := set.NewHistogramVec(opts, []string{"l"})
	require.NoError(t, err)
	for i := range 4 {
		for j := range 30 {
			v.WithLabelValues(strconv.Itoa(i)).ObserveWithExemplar(math.Exp2(float64(i*j%40-10)), multiproc.Labels{"id": strconv.Itoa(j)})
		}
		v.WithLabelValues(strconv.Itoa(i)).Observe([]float64{0, math.NaN(), math.Inf(-1), -math.SmallestNonzeroFloat64}[i])
	}
	require.NoError(t, set.Close())
	files, err := filepath.Glob(filepath.Join(dir, "*.mpm"))
	require.NoError(t, err)
	require.Len(t, files, 1)
	good, err := os.ReadFile(files[0])
	require.NoError(t, err)
	var used []int // words that are not 0
	for at := 0; at+8 <= len(good); at += 8 {
		if string(good[at:at+8]) != "\x00\x00\x00\x00\x00\x00\x00\x00" {
			used = append(used, at)
		}
	}
	r := rand.New(rand.NewPCG(4, 4))
	wild := []uint64{0, 1, 1 << 62, 1 << 63, math.MaxUint64, math.Float64bits(math.NaN()), math.Float64bits(math.Inf(-1)), 1 << 31, 0xFF}
	shown := 0
	for i := range 40 {
		bad := append([]byte(nil), good...)
		for range 1 + r.IntN(6) {
			at := used[r.IntN(len(used))]
			word := wild[r.IntN(len(wild))]
			if r.IntN(4) == 0 {
				word = r.Uint64()
			}
			for k := range 8 {
				bad[at+k] = byte(word >> (8 * k))
			}
		}
		if i%10 == 9 {
			bad = bad[:r.IntN(len(bad))]
		}
		require.NoError(t, os.WriteFile(files[0], bad, 0o600))
		for _, args := range [][]string{{"inspect", files[0]}, {"inspect", "--json", files[0]}, {"check", dir}, {"check", "--writer", dir}, {"families", dir}} {
			code, out := mpctl(t, args...)
			require.Contains(t, []int{exitOK, exitNo, exitError}, code, out)
			require.NotContains(t, out, "panic")
			if code == exitOK && args[1] == "--json" {
				require.True(t, json.Valid([]byte(out)), out)
			}
		}
		for _, format := range []string{"openmetrics2", "text"} {
			path := filepath.Join(t.TempDir(), "dump")
			code, out := mpctl(t, "dump", "--dir", dir, "--match", "seconds", "--lenient", "--format", format)
			if code != exitOK {
				continue
			}
			require.NoError(t, os.WriteFile(path, []byte(out), 0o600))
			families, err := readDump(path)
			require.NoError(t, err, out)
			for _, f := range families {
				for j := range f.Series {
					s := &f.Series[j]
					if s.Native != nil {
						require.NoError(t, histogram.Check(s.Native, s.Count, s.Sum), out)
						shown++
					}
				}
			}
		}
	}
	require.Greater(t, shown, 30, "most damage costs little")
}
