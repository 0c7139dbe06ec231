package examples

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// TestActivation: systemd-socket-activate opens the socket, as systemd does, and starts the
// program at the first connection. Both workers answer.
func TestActivation(t *testing.T) {
	activate, err := exec.LookPath("systemd-socket-activate")
	if err != nil && os.Getenv("MULTIPROM_INTEGRATION") != "" {
		t.Fatalf("MULTIPROM_INTEGRATION is set, and %v", err)
	}
	if err != nil {
		t.Skip(err.Error() + "; `make integration-deps` installs systemd")
	}
	address, metrics, dir := freeAddress(t), freeAddress(t), filepath.Join(t.TempDir(), "metrics")
	program := buildWith(t, "activation/main.go", "127.0.0.1:9090", metrics, "/run/hello/metrics", dir)
	start(t, dir, activate, "--listen="+address, program)
	for range 50 {
		require.Equal(t, "hello\n", get(t, "http://"+address+"/"))
	}
	shows(t, "http://"+metrics+"/metrics", "\nrequests_total 50\n")
	shows(t, "http://"+metrics+"/metrics", "multiprom_processes{state=\"live\"} ")
}

// TestTTL: a tenant that nobody counts leaves the view of the other process; one that is
// counted stays.
func TestTTL(t *testing.T) {
	bin := build(t, "ttl")
	dir, first, second := t.TempDir(), freeAddress(t), freeAddress(t)
	start(t, dir, bin+"ttl", first)
	start(t, dir, bin+"ttl", second)
	require.Equal(t, "hello\n", get(t, "http://"+first+"/idle"))
	shows(t, "http://"+second+"/metrics", "\ntenant_requests_total{tenant=\"idle\"} 1\n")
	require.Eventually(t, func() bool {
		require.Equal(t, "hello\n", get(t, "http://"+first+"/busy"))
		page := get(t, "http://"+second+"/metrics")
		require.Contains(t, page, "tenant_requests_total{tenant=\"busy\"}")
		return !strings.Contains(page, `tenant="idle"`)
	}, time.Minute, 200*time.Millisecond)
}

// TestRemoteWrite: a receiver that refuses at first gets the rounds later.
func TestRemoteWrite(t *testing.T) {
	bin := build(t, "remotewrite")
	var refused, accepted atomic.Int64
	receiver := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		b, _ := io.ReadAll(r.Body)
		switch {
		case refused.Add(1) <= 2:
			w.WriteHeader(http.StatusServiceUnavailable)
		case len(b) > 0 && r.Header.Get("Content-Encoding") == "snappy":
			accepted.Add(1)
			w.Header().Set("X-Prometheus-Remote-Write-Samples-Written", fmt.Sprint(1))
		}
	}))
	defer receiver.Close()
	dir := t.TempDir()
	start(t, dir, bin+"remotewrite", receiver.URL, filepath.Join(t.TempDir(), "queue"))
	require.Eventually(t, func() bool { return accepted.Load() >= 3 }, time.Minute, 50*time.Millisecond)
}
