package main

import (
	"bytes"
	"encoding/json"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/multiprom/multiprom/exposition"
	"github.com/multiprom/multiprom/internal/histogram"
	"github.com/multiprom/multiprom/internal/randfamily"
	"github.com/multiprom/multiprom/metric"
)

func nativeFamily(ones, nan uint64) []*metric.Family {
	sum := 3.5
	if nan > 0 {
		sum = math.NaN()
	}
	return []*metric.Family{{Name: "x", Help: "h", Type: metric.Histogram, Series: []metric.Series{{
		Labels: metric.MakeLabels("l", "v"), Count: 3 + ones + nan, Sum: sum, Buckets: metric.Cumulate(nil, []uint64{3 + ones + nan}),
		Native: &metric.NativeHistogram{
			ZeroThreshold: 0.25, ZeroCount: 1, Negative: []metric.Span{{Offset: 1, Counts: []uint64{2, 0}}}, Positive: []metric.Span{{Offset: 0, Counts: []uint64{ones}}},
			Exemplars: []*metric.Exemplar{{Labels: metric.MakeLabels("trace_id", "a"), Value: 1, Timestamp: time.Unix(7, 0)}},
		},
	}}}}
}

func TestDumpedNativeHistogram(t *testing.T) {
	text, err := json.Marshal(dumped(nativeFamily(4, 0)))
	require.NoError(t, err)
	require.JSONEq(t, `[{"name":"x","type":"histogram","help":"h","series":[{"labels":{"l":"v"},"count":7,"sum":"3.5","buckets":[{"le":"+Inf","count":7}],
		"native":{"schema":0,"zero_threshold":"0.25","zero_count":1,
			"negative":[{"index":1,"lower":"-2","upper":"-1","count":2}],"positive":[{"index":0,"lower":"0.5","upper":"1","count":4}],
			"exemplars":[{"labels":{"trace_id":"a"},"value":"1","time":"1970-01-01T00:00:07Z"}]}}]}]`, string(text))
}

// TestDumpedNativeIsRead: a dump has every native bucket.
func TestDumpedNativeIsRead(t *testing.T) {
	natives := 0
	for seed := range uint64(200) {
		families := randfamily.New(seed).Families(true)
		text, err := json.Marshal(dumped(families))
		require.NoError(t, err)
		read, err := readDumped(bytes.NewReader(text))
		require.NoError(t, err)
		for i, f := range families {
			for j, s := range f.Series {
				got := read[i].Series[j].Native
				if s.Native == nil {
					require.Nil(t, got)
					continue
				}
				natives++
				require.Equal(t, s.Native.Schema, got.Schema)
				for _, spans := range [][2][]metric.Span{{s.Native.Positive, got.Positive}, {s.Native.Negative, got.Negative}} {
					counts := map[int]uint64{}
					for k, n := range histogram.All(spans[0]) {
						if n > 0 {
							counts[k] = n
						}
					}
					for k, n := range histogram.All(spans[1]) {
						require.Equal(t, counts[k], n)
						delete(counts, k)
					}
					require.Empty(t, counts)
				}
			}
		}
	}
	require.Greater(t, natives, 20)
	_, err := readDumped(strings.NewReader(`[{"name":"x","type":"histogram","series":[{"count":1,"sum":"1","native":{"schema":9,"zero_threshold":"0"}}]}]`))
	require.ErrorContains(t, err, "schema 9")
}

// TestDiffOfNativeHistograms: native buckets are compared in dumps that have them.
func TestDiffOfNativeHistograms(t *testing.T) {
	dir := t.TempDir()
	write := func(name string, families []*metric.Family) string {
		var text []byte
		var err error
		if strings.HasSuffix(name, ".json") {
			text, err = json.Marshal(dumped(families))
		} else {
			text, err = exposition.Append(nil, families, exposition.Options{ContentType: exposition.ContentType{Format: exposition.OpenMetrics200}})
		}
		require.NoError(t, err)
		path := filepath.Join(dir, name)
		require.NoError(t, os.WriteFile(path, text, 0o600))
		return path
	}
	for _, ext := range []string{".json", ".om"} {
		var moments [2]moment
		for i, families := range [][]*metric.Family{nativeFamily(4, 0), nativeFamily(5, 1)} {
			read, err := readDump(write("moment"+ext, families))
			require.NoError(t, err)
			moments[i] = momentOf(read, time.Time{}, true)
		}
		var out strings.Builder
		require.NoError(t, printDifferences(&out, compare(moments[0], moments[1]), false))
		require.Contains(t, out.String(), `x_bucket{l="v",native="(0.5, 1]"}`)
		require.NotContains(t, out.String(), `native="[-2, -1)"`)
		require.Contains(t, out.String(), `x_count{l="v"}`)
		require.Empty(t, momentOf(nativeFamily(4, 0), time.Time{}, false).samples[`x_bucket{l="v",native="(0.5, 1]"}`])
	}
}
