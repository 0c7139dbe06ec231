package main

import (
	"context"
	"encoding/json"
	"io"
	"math"
	"os"
	"path/filepath"
	"strings"
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
	require.Regexp(t, `no metric nothing in the 1m0s before [-0-9]+ [:0-9]+; it has jobs\n`, out)
	code, total := mpctl(t, "replay", "--rate", "jobs_total", "--dir", dir, "--json", "--last", "5s")
	require.Equal(t, exitOK, code, total)
	_, family := mpctl(t, "replay", "--rate", "jobs", "--dir", dir, "--json", "--last", "5s")
	require.Equal(t, family, total, "by the name of the sample too")

	code, out = mpctl(t, "replay", "--process", "two", "--dir", dir, "--last", "5s")
	require.Equal(t, exitOK, code, out)
	require.Regexp(t, `(?m)^process two was found dead at `, out)
	require.Regexp(t, `(?m)^\d\d:\d\d:\d\d jobs 2$`, out)
	require.Regexp(t, `(?m)^its last values:\njobs_total\{queue=".*"\} 69$`, out)
	code, out = mpctl(t, "replay", "--process", "two", "--dir", dir, "--last", "5s", "--json")
	require.Equal(t, exitOK, code, out)
	var process recordedProcess
	require.NoError(t, json.Unmarshal([]byte(out), &process))
	require.Equal(t, "two", process.Process)
	require.False(t, process.Died.IsZero())
	require.Len(t, process.Rates, 6)
	require.EqualValues(t, 2, process.Rates[0].Rate)
	require.Len(t, process.Last, 1)
	require.Equal(t, "69", process.Last[0].Value)
	code, out = mpctl(t, "replay", "--process", "one", "--dir", dir, "--json")
	require.Equal(t, exitOK, code, out)
	require.NotContains(t, out, `"died"`)
	require.Contains(t, out, `"last_values": []`)
	code, out = mpctl(t, "replay", "--process", "three", "--dir", dir, "--json")
	require.Equal(t, exitNo, code, out)
	code, out = mpctl(t, "replay", "--process", "three", "--dir", dir)
	require.Equal(t, exitNo, code, out)
	require.Contains(t, out, "; it has one, two\n")
	code, out = mpctl(t, "replay", "--process", "three", "--dir", dir, "--at", "-10h")
	require.Equal(t, exitNo, code, out)
	require.Regexp(t, `nothing was recorded at [-0-9]+ [:0-9]+: the recording is from [-0-9]+ [:0-9]+ to `, out)
	code, out = mpctl(t, "replay", "--dir", dir, "--at", "-10h")
	require.Equal(t, exitNo, code, "not an empty answer: "+out)

	// A moment at which nobody recorded is not answered with an older one.
	now = now.Add(time.Minute)
	recorder, err = record.Open(record.DirOf(dir), a, record.Options{Now: func() time.Time { return now }})
	require.NoError(t, err)
	require.NoError(t, recorder.Tick(t.Context()))
	require.NoError(t, recorder.Close())
	for at, want := range map[string]int{"0s": exitOK, "-5s": exitNo, "-49s": exitNo, "-51s": exitOK, "-62s": exitOK} {
		code, out = mpctl(t, "replay", "jobs", "--dir", dir, "--at", at)
		require.Equal(t, want, code, "%s %s", at, out)
	}

	code, out = mpctl(t, "replay", "--dir", t.TempDir())
	require.Equal(t, exitNo, code, out)
	require.Contains(t, out, "did mpctl serve run with --record?")
}

func TestKnownNames(t *testing.T) {
	require.Equal(t, "none then", knownNames(nil))
	names := map[string]bool{}
	for _, n := range strings.Fields("j i h g f e d c b a") {
		names[n] = true
	}
	require.Equal(t, "a, b, c, d, e, f, g, h and 2 more", knownNames(names))
}

func TestRounded(t *testing.T) {
	for number, want := range map[string]string{
		"0": "0", "0.123456": "0.1235", "999.96": "1000", "1234567.8": "1234568", "-12345.6": "-12346", "1e+300": "1e+300", "NaN": "NaN", "+Inf": "+Inf", "": "",
	} {
		require.Equal(t, want, rounded(number), number)
	}
	for number, want := range map[string]string{"812345678": "812345678", "5.235165628001698": "5.23517", "1.5e-09": "1.5e-09", "NaN": "NaN", "-": "-"} {
		require.Equal(t, want, short(number), number)
	}
}

// TestGridFits: on a terminal a table that is too wide loses columns, the last ones to matter, and
// otherwise nothing.
func TestGridFits(t *testing.T) {
	g := grid{whole: true, columns: []column{{title: "FAMILY", left: true}, {title: "TYPE", left: true, order: 1}, {title: "N"}, {title: "CONFLICTS", order: 3}}, rows: [][]string{{strings.Repeat("x", 40), "counter", "1", "0"}}}
	require.Equal(t, []string{"FAMILY" + strings.Repeat(" ", 35) + "TYPE    N CONFLICTS", strings.Repeat("x", 40) + " counter 1         0"}, g.lines(math.MaxInt))
	require.Equal(t, strings.Repeat("x", 40)+" counter 1", g.lines(59)[1])
	require.Equal(t, strings.Repeat("x", 40)+" 1", g.lines(42)[1])
	require.Equal(t, strings.Repeat("x", 27)+"~ 1", g.lines(30)[1])
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
	require.Contains(t, out.String(), "msg=Recording dir="+dir+".recording keep=1m0s")
}
