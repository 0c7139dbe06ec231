package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
	"github.com/stretchr/testify/require"

	"github.com/multiprom/multiprom/metric"
	"github.com/multiprom/multiprom/mmapstore"
)

// TestMain lets the scripts call mpctl, and a writer that leaves a dead
// process's file behind.
func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){
		"mpctl": main,
		"leave": leave,
		"live":  live,
	})
}

// leave writes the file of a process that then ends: `leave DIR LABEL N`.
func leave() {
	write(os.Args[1], os.Args[2], os.Args[3])
}

// live does the same, says so by making a file, and stays until the script
// ends it: `live DIR LABEL N READY`.
func live() {
	write(os.Args[1], os.Args[2], os.Args[3])
	if err := os.WriteFile(os.Args[4], nil, 0o600); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	ended := make(chan os.Signal, 1)
	signal.Notify(ended, os.Interrupt, syscall.SIGTERM)
	<-ended
}

func write(dir, label, n string) {
	s, err := mmapstore.Create(dir, mmapstore.Options{Label: label})
	if err == nil {
		err = fill(s, n)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func fill(s *mmapstore.Store, n string) error {
	var count uint64
	if _, err := fmt.Sscan(n, &count); err != nil {
		return err
	}
	f, err := s.AddFamily(&metric.Schema{Name: "jobs", Help: "Jobs done.", Type: metric.Counter, Labels: []string{"queue"}})
	if err != nil {
		return err
	}
	one, err := s.AddSeries(f, []string{"mail\x1b[31m"}, nil)
	if err != nil {
		return err
	}
	one.Words()[mmapstore.CellCounterInts] = count
	return nil
}

func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir: "testdata",
		Cmds: map[string]func(ts *testscript.TestScript, neg bool, args []string){
			"corrupt": corrupt,
			"await":   await,
		},
	})
}

// corrupt flips a byte in the only native file of a directory: `corrupt DIR OFFSET`.
func corrupt(ts *testscript.TestScript, _ bool, args []string) {
	files, err := metricFiles(ts.MkAbs(args[0]))
	ts.Check(err)
	if len(files) != 1 {
		ts.Fatalf("%d files, not 1", len(files))
	}
	var off int64
	_, err = fmt.Sscan(args[1], &off)
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

// await waits for a file that another process makes: `await FILE`.
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
	s, err := mmapstore.Create(dir, mmapstore.Options{Label: "slot-3"})
	require.NoError(t, err)
	require.NoError(t, fill(s, "42"))
	var stdout, stderr bytes.Buffer
	require.Equal(t, exitOK, run(context.Background(), []string{"inspect", "--json", s.Path()}, &stdout, &stderr), stderr.String())
	var in inspection
	require.NoError(t, json.Unmarshal(stdout.Bytes(), &in))
	require.Equal(t, "slot-3", in.Header.Label)
	require.True(t, in.Header.Locked)
	require.Equal(t, "jobs", in.Families[0].Name)
	require.Equal(t, "42", in.Families[0].Series[0].Value)
	require.Equal(t, filepath.Base(s.Path()), filepath.Base(in.File))
}

func TestPrintable(t *testing.T) {
	require.Equal(t, `a\x1b[31m é`, printable("a\x1b[31m é"))
	require.Equal(t, "plain\nlines", printable("plain\nlines"))
}
