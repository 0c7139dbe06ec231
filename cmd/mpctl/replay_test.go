package main

import (
	"context"
	"encoding/json"
	"io"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/multiprom/multiprom/aggregate"
	"github.com/multiprom/multiprom/internal/mpm"
	"github.com/multiprom/multiprom/internal/record"
)

// TestReplay: a recording of a minute, of which one process sees the half.
func TestReplay(t *testing.T) {
	dir := t.TempDir()
	a, err := aggregate.Open(dir, aggregate.Options{NoSelfMetrics: true})
	require.NoError(t, err)
	defer a.Close()
	now := time.UnixMilli(1_000_000_000)
	recorder, err := record.Open(record.DirOf(dir), a, record.Options{Now: func() time.Time { return now }})
	require.NoError(t, err)
	one, err := mpm.Create(dir, mpm.Options{Label: "one"})
	require.NoError(t, err)
	two, err := mpm.Create(dir, mpm.Options{Label: "two"})
	require.NoError(t, err)
	require.NoError(t, fill(one, "5"))
	require.NoError(t, fill(two, "7"))
	reader := two.Reader(&mpm.SymbolTable{})
	require.NoError(t, reader.Refresh())
	words := reader.Series()[0].Words()
	for i := range 60 {
		now = now.Add(time.Second)
		atomic.AddUint64(&words[mpm.CellCounterInts], 2)
		if i == 30 {
			require.NoError(t, two.Close())
		}
		require.NoError(t, recorder.Tick(t.Context()))
	}
	require.NoError(t, recorder.Close())

	code, out := mpctl(t, "replay", "--dir", dir)
	require.Equal(t, exitOK, code, out)
	require.Regexp(t, `(?m)^from .*: 60 seconds, 1 series at the end$`, out)
	require.Regexp(t, `(?m)^\d\d:\d\d:\d\d +two +1$`, out)

	code, out = mpctl(t, "replay", "jobs", "--dir", dir, "--at", "-50s")
	require.Equal(t, exitOK, code, out)
	require.Regexp(t, `(?m)^jobs_total\{queue=".*"\} 32$`, out) // 5 + 7 + 2*10
	code, out = mpctl(t, "replay", "nothing", "--dir", dir)
	require.Equal(t, exitNo, code, out)
	code, out = mpctl(t, "replay", "--match", "j.*", "--json", "--dir", dir)
	require.Equal(t, exitOK, code, out)
	require.Contains(t, out, `"type": "counter"`)

	code, out = mpctl(t, "replay", "--rate", "jobs", "--dir", dir, "--at", "-40s", "--last", "10s")
	require.Equal(t, exitOK, code, out)
	require.Regexp(t, `(?m)^TIME +RATE/s BY PROCESS$`, out)
	require.Regexp(t, `(?m)^\d\d:\d\d:\d\d +2 two 2$`, out)
	code, out = mpctl(t, "replay", "--rate", "jobs", "--dir", dir, "--json", "--last", "5s")
	require.Equal(t, exitOK, code, out)
	var rows []rateRow
	require.NoError(t, json.Unmarshal([]byte(out), &rows))
	require.Len(t, rows, 6)
	code, out = mpctl(t, "replay", "--rate", "nothing", "--dir", dir)
	require.Equal(t, exitNo, code, out)
	require.Contains(t, out, "no metric nothing in this time")

	code, out = mpctl(t, "replay", "--process", "two", "--dir", dir, "--last", "5s")
	require.Equal(t, exitOK, code, out)
	require.Regexp(t, `(?m)^process two was found dead at `, out)
	require.Regexp(t, `(?m)^\d\d:\d\d:\d\d jobs 2$`, out)
	require.Regexp(t, `(?m)^its last values:\njobs_total\{queue=".*"\} 69$`, out)
	code, out = mpctl(t, "replay", "--process", "three", "--dir", dir)
	require.Equal(t, exitNo, code, out)

	code, out = mpctl(t, "replay", "--dir", t.TempDir())
	require.Equal(t, exitNo, code, out)
	require.Contains(t, out, "did mpctl serve run with --record?")
}

func TestLargest(t *testing.T) {
	require.Equal(t, "b 3, a 1, c 1", largest(map[string]float64{"a": 1, "b": 3, "c": 1}))
	require.Equal(t, "g 7, f 6, e 5, d 4, c 3, and 2 more", largest(map[string]float64{"a": 1, "b": 2, "c": 3, "d": 4, "e": 5, "f": 6, "g": 7}))
	require.Empty(t, largest(nil))
}

// TestServeRecords: the server records beside its directory, and says so.
func TestServeRecords(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "app")
	require.NoError(t, os.Mkdir(dir, 0o700))
	s, err := mpm.Create(dir, mpm.Options{Label: "one"})
	require.NoError(t, err)
	require.NoError(t, fill(s, "5"))
	ctx, cancel := context.WithCancel(t.Context())
	var out safeBuffer
	ended := make(chan int, 1)
	go func() {
		ended <- run(ctx, []string{"serve", dir, "--record", "1m", "--web.listen-address", "127.0.0.1:0"}, io.Discard, &out)
	}()
	require.Eventually(t, func() bool {
		code, out := mpctl(t, "replay", "jobs", "--dir", dir)
		return code == exitOK && len(out) > 0
	}, 30*time.Second, 50*time.Millisecond)
	code, said := mpctl(t, "serve", dir, "--record", "1m", "--web.listen-address", "127.0.0.1:0")
	require.Equal(t, exitError, code)
	require.Contains(t, said, "another process records into "+dir+".recording")
	code, said = mpctl(t, "check", dir)
	require.Equal(t, exitOK, code, said)
	require.Contains(t, said, "1 file checked, 0 problems")
	cancel()
	require.Equal(t, exitOK, <-ended, out.String())
	require.FileExists(t, filepath.Join(dir+".recording", "0.rec"))
}
