package main

import (
	"bytes"
	"context"
	"io"
	"math"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/multiprom/multiprom/internal/pyfiletest"
)

// TestOneSeriesNeverFailsTheRest: a series that a format or receiver cannot represent is
// left out and noted on stderr. Everything else arrives, and the exit code is 0.
func TestOneSeriesNeverFailsTheRest(t *testing.T) {
	dir := t.TempDir()
	write := func(name string, samples ...pyfiletest.Sample) {
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), pyfiletest.Timed.Content(samples...), 0o600))
	}
	write("counter_1.db", pyfiletest.Sample{Key: `["c", "c_total", {}, "h"]`, Value: math.NaN()}, pyfiletest.Sample{Key: `["d", "d_total", {}, "h"]`, Value: 2})
	write("gauge_max_1.db", // names and labels that become equal by escaping
		pyfiletest.Sample{Key: `["e.f", "e.f", {}, "h"]`, Value: 3}, pyfiletest.Sample{Key: `["e_f", "e_f", {}, "h"]`, Value: 4},
		pyfiletest.Sample{Key: `["g", "g", {"a.b": "1"}, "h"]`, Value: 5}, pyfiletest.Sample{Key: `["g", "g", {"a_b": "1"}, "h"]`, Value: 6})

	pushed := make(chan string, 1)
	gateway := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		pushed <- string(body)
	}))
	t.Cleanup(gateway.Close)
	carbon, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(func() { carbon.Close() })
	sent := make(chan string, 1)
	go func() {
		c, err := carbon.Accept()
		if err != nil {
			return
		}
		body, _ := io.ReadAll(c)
		c.Close()
		sent <- string(body)
	}()
	file := filepath.Join(t.TempDir(), "out.prom")

	const taken, twice = `1 family whose name is taken: ["e_f"]`, "1 series with the same name and labels as another"
	for _, tt := range []struct {
		args []string
		got  func(stdout string) string
		rest string
		note []string
	}{
		{[]string{"dump"}, nil, "c_total NaN", []string{taken, twice}},
		{[]string{"dump", "--format", "openmetrics"}, nil, "# EOF", []string{taken, twice, "1 series with a value that the format does not have"}},
		{[]string{"dump", "--format", "openmetrics", "--lenient"}, nil, "c_total NaN", []string{taken, twice}},
		{[]string{"dump", "--format", "protobuf"}, nil, "c_total", []string{taken, twice}},
		{[]string{"push", gateway.URL, "--job", "a"}, func(string) string { return <-pushed }, "c_total NaN", []string{taken, twice}},
		{[]string{"graphite", carbon.Addr().String()}, func(string) string { return <-sent }, "e_f 3 ", []string{"2 series with the same", "1 series with a value"}},
		{[]string{"textfile", file}, func(string) string {
			text, err := os.ReadFile(file)
			require.NoError(t, err)
			return string(text)
		}, "c_total NaN", []string{taken, twice}},
	} {
		t.Run(tt.args[0], func(t *testing.T) {
			var stdout, stderr bytes.Buffer
			code := run(context.Background(), append(tt.args, "--dir", dir), &stdout, &stderr)
			require.Zero(t, code, "%s", &stderr)
			got := stdout.String()
			if tt.got != nil {
				got = tt.got(got)
			}
			require.Contains(t, got, "d_total")
			require.Contains(t, got, tt.rest)
			require.Contains(t, stderr.String(), "mpctl: note: ")
			for _, note := range tt.note {
				require.Contains(t, stderr.String(), note)
			}
		})
	}
}
