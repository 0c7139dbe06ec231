package main

import (
	"context"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// TestServeTellsSystemd: a unit of Type=notify is started once the server answers, and
// systemd hears when it begins to stop.
func TestServeTellsSystemd(t *testing.T) {
	socket := filepath.Join(t.TempDir(), "notify")
	systemd, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: socket, Net: "unixgram"})
	require.NoError(t, err)
	defer systemd.Close()
	require.NoError(t, systemd.SetDeadline(time.Now().Add(30*time.Second)))
	t.Setenv("NOTIFY_SOCKET", socket)
	heard := func() string {
		b := make([]byte, 100)
		n, err := systemd.Read(b)
		require.NoError(t, err)
		return string(b[:n])
	}

	free, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	address := free.Addr().String()
	require.NoError(t, free.Close())
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	ended := make(chan int, 1)
	var out safeBuffer
	dir := filepath.Join(t.TempDir(), "made")
	go func() {
		ended <- run(ctx, []string{"serve", dir, "--dir-mode", "2750", "--web.listen-address", address}, &out, &out)
	}()
	require.Equal(t, "READY=1", heard(), out.String())
	code, _ := scrape(t, "http://"+address+"/-/ready")
	require.Equal(t, 200, code)
	info, err := os.Stat(dir)
	require.NoError(t, err)
	require.Equal(t, fs.ModeDir|fs.ModeSetgid|0o750, info.Mode())
	stop()
	require.Equal(t, "STOPPING=1", heard())
	require.Equal(t, exitOK, <-ended, out.String())
}
