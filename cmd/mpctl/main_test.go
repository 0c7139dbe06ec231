package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
	"github.com/stretchr/testify/require"

	"github.com/multiprom/multiprom/internal/mpm"
	"github.com/multiprom/multiprom/internal/pyfiletest"
	"github.com/multiprom/multiprom/metric"
)

// TestMain lets the scripts call mpctl and helpers that write files.
func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){
		"mpctl": main,
		"leave": leave,
		"live":  live,
		"hold":  hold,
		"rival": rival,
	})
}

// leave writes the file of a process that then ends: `leave DIR LABEL N`.
func leave() {
	write(os.Args[1], os.Args[2], os.Args[3])
}

// live does the same, creates the file READY, and stays alive until the script ends it:
// `live DIR LABEL N READY`.
func live() {
	write(os.Args[1], os.Args[2], os.Args[3])
	stay(os.Args[4])
}

// hold has files open for writing until the script ends it: `hold READY FILE...`.
func hold() {
	for _, name := range os.Args[2:] {
		f, err := os.OpenFile(name, os.O_RDWR, 0)
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		defer f.Close()
	}
	stay(os.Args[1])
}

// stay creates a file and waits for a signal.
func stay(ready string) {
	if err := os.WriteFile(ready, nil, 0o600); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	ended := make(chan os.Signal, 1)
	signal.Notify(ended, os.Interrupt, syscall.SIGTERM)
	<-ended
}

func write(dir, label, n string) {
	s, err := mpm.Create(dir, mpm.Options{Label: label})
	if err == nil {
		err = fill(s, n)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func fill(s *mpm.Store, n string) error {
	var count uint64
	if _, err := fmt.Sscan(n, &count); err != nil {
		return err
	}
	f, err := s.AddSchema(&metric.Schema{Name: "jobs", Help: "Jobs done.", Type: metric.Counter, Labels: []string{"queue"}})
	if err != nil {
		return err
	}
	one, err := s.AddSeries(f, []string{"mail\x1b[31m"}, nil)
	if err != nil {
		return err
	}
	one.Words()[mpm.CellCounterInts] = count
	one.SetExemplar(0, metric.MakeLabels("trace_id", "1f"), 1, 7)
	return nil
}

func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir: "testdata",
		Cmds: map[string]func(ts *testscript.TestScript, neg bool, args []string){
			"corrupt": corrupt,
			"await":   await,
			"python":  python,
		},
	})
}

// python writes files like a process of client_python, or of GitLab's client for Ruby if
// the id has a number after the pid: `python DIR ID`.
func python(ts *testscript.TestScript, _ bool, args []string) {
	dir, id := ts.MkAbs(args[0]), args[1]
	stride, labels := pyfiletest.Timed, func(name, value string) string { return fmt.Sprintf(`{"%s": "%s"}, "H."`, name, value) }
	if strings.Contains(id, "-") {
		stride, labels = pyfiletest.Simple, func(name, value string) string { return fmt.Sprintf(`["%s"], ["%s"]`, name, value) }
	}
	for name, samples := range map[string][]pyfiletest.Sample{
		"counter":       {{Key: `["c_total", "c_total", ` + labels("l", "x") + `]`, Value: 1}},
		"histogram":     {{Key: `["h", "h_sum", ` + labels("l", "x") + `]`, Value: 2}, {Key: `["h", "h_bucket", ` + labels("le", "1.0") + `]`, Value: 3}},
		"gauge_livesum": {{Key: `["g", "g", ` + labels("l", "x") + `]`, Value: 1}},
	} {
		ts.Check(os.WriteFile(filepath.Join(dir, name+"_"+id+".db"), stride.Content(samples...), 0o600))
	}
}

// corrupt flips a byte in a file, or in the only one of a directory: `corrupt PATH OFFSET`.
func corrupt(ts *testscript.TestScript, _ bool, args []string) {
	files := []string{ts.MkAbs(args[0])}
	if info, err := os.Stat(files[0]); err == nil && info.IsDir() {
		files, err = metricFiles(files[0])
		ts.Check(err)
	}
	if len(files) != 1 {
		ts.Fatalf("%d files, not 1", len(files))
	}
	var off int64
	_, err := fmt.Sscan(args[1], &off)
	ts.Check(err)
	f, err := os.OpenFile(files[0], os.O_RDWR, 0)
	ts.Check(err)
	defer f.Close()
	b := make([]byte, 1)
	_, err = f.ReadAt(b, off)
	ts.Check(err)
	b[0] ^= 0xff
	_, err = f.WriteAt(b, off)
	ts.Check(err)
}

// await waits for a file that another process creates: `await FILE`.
func await(ts *testscript.TestScript, _ bool, args []string) {
	deadline := time.Now().Add(30 * time.Second)
	for {
		if _, err := os.Stat(ts.MkAbs(args[0])); err == nil {
			return
		}
		if time.Now().After(deadline) {
			ts.Fatalf("%s was not made", args[0])
		}
		<-time.After(5 * time.Millisecond)
	}
}

func TestInspectJSON(t *testing.T) {
	dir := t.TempDir()
	s, err := mpm.Create(dir, mpm.Options{Label: "slot-3"})
	require.NoError(t, err)
	require.NoError(t, fill(s, "42"))
	var stdout, stderr bytes.Buffer
	require.Equal(t, exitOK, run(context.Background(), []string{"inspect", "--json", s.Path()}, &stdout, &stderr), stderr.String())
	var all []inspection
	require.NoError(t, json.Unmarshal(stdout.Bytes(), &all))
	require.Len(t, all, 1)
	in := all[0]
	require.Equal(t, "slot-3", in.Native.Label)
	require.True(t, in.Native.Locked)
	require.Equal(t, "jobs", in.Families[0].Name)
	require.Equal(t, "42", in.Families[0].Series[0].Value)
	require.Equal(t, []inspectedExemplar{{"", map[string]string{"trace_id": "1f"}, "1", time.Unix(0, 7).UTC()}}, in.Families[0].Series[0].Exemplars)
	stdout.Reset()
	require.Equal(t, exitOK, run(context.Background(), []string{"inspect", s.Path()}, &stdout, &stderr), stderr.String())
	require.Contains(t, stdout.String(), `exemplar: {trace_id="1f"} 1 at 1970-01-01T00:00:00.000000007Z`)
	require.Equal(t, filepath.Base(s.Path()), filepath.Base(in.File))
}

func TestPrintable(t *testing.T) {
	require.Equal(t, `a\x1b[31m é`, printable("a\x1b[31m é"))
	require.Equal(t, "plain\nlines", printable("plain\nlines"))
}
