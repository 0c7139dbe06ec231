package listen

import (
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestOpen(t *testing.T) {
	for _, address := range []string{"127.0.0.1:0", "tcp://127.0.0.1:0", "tcp4://127.0.0.1:0"} {
		l, err := Open(address)
		require.NoError(t, err, address)
		require.Equal(t, "tcp", l.Addr().Network())
		require.False(t, IsPublic(l.Addr()))
		require.NoError(t, l.Close())
	}
	for _, address := range []string{"udp://127.0.0.1:0", "http://127.0.0.1:0", "://127.0.0.1:0", "vsock://:1"} {
		_, err := Open(address)
		require.ErrorIs(t, err, ErrScheme, address)
	}
	for _, address := range []string{"", "nowhere", "tcp://", "127.0.0.1:99999", "unix://"} {
		l, err := Open(address)
		if err == nil { // tcp: any port of all interfaces; unix: the system chooses
			require.NoError(t, l.Close())
		}
		require.NotErrorIs(t, err, ErrScheme, address)
	}
}

func TestUnixSocket(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("sockets are left in other ways")
	}
	path := filepath.Join(t.TempDir(), "s")
	stale, err := Open("unix://" + path)
	require.NoError(t, err)
	require.Equal(t, "unix://"+path, URL(stale.Addr(), "http", "/metrics"))
	require.False(t, IsPublic(stale.Addr()))
	_, err = Open("unix://" + path)
	require.Error(t, err, "somebody listens")
	stale.(*net.UnixListener).SetUnlinkOnClose(false)
	require.NoError(t, stale.Close())
	next, err := Open("unix://" + path)
	require.NoError(t, err, "nobody listens any more")
	require.NoError(t, next.Close())
	require.NoFileExists(t, path)

	require.NoError(t, os.WriteFile(path, []byte("a file"), 0o600))
	_, err = Open("unix://" + path)
	require.Error(t, err)
	info, err := os.Lstat(path)
	require.NoError(t, err, "what is no socket stays")
	require.Equal(t, fs.FileMode(0), info.Mode().Type())
}

func TestURL(t *testing.T) {
	for _, tc := range []struct {
		ip     string
		want   string
		public bool
	}{
		{"0.0.0.0", "https://localhost:9/metrics", true},
		{"::", "https://localhost:9/metrics", true},
		{"127.0.0.1", "https://127.0.0.1:9/metrics", false},
		{"::1", "https://[::1]:9/metrics", false},
		{"10.1.2.3", "https://10.1.2.3:9/metrics", false},
	} {
		a := &net.TCPAddr{IP: net.ParseIP(tc.ip), Port: 9}
		require.Equal(t, tc.want, URL(a, "https", "/metrics"))
		require.Equal(t, tc.public, IsPublic(a), tc.ip)
	}
}
