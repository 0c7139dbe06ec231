package main

import (
	"bytes"
	"encoding/json"
	"os"
	"testing"
)

// TestDashboardIsWritten: dashboard.json is what the command writes.
func TestDashboardIsWritten(t *testing.T) {
	d, err := build("http_requests_total", "http_request_duration_seconds")
	if err != nil {
		t.Fatal(err)
	}
	var want bytes.Buffer
	e := json.NewEncoder(&want)
	e.SetIndent("", "  ")
	e.SetEscapeHTML(false)
	if err := e.Encode(d); err != nil {
		t.Fatal(err)
	}
	have, err := os.ReadFile("dashboard.json")
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(have, want.Bytes()) {
		t.Error("dashboard.json is not what `go run .` writes: write it again")
	}
}
