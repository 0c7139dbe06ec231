package limits

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestServerFillsWhatIsZero(t *testing.T) {
	type times = [4]time.Duration // header, read, write, idle
	const s = time.Second
	for name, tc := range map[string]struct {
		in, out   times
		bytes, to int
	}{
		"zero":           {times{}, times{5 * s, 10 * s, 60 * s, 120 * s}, 0, 64 << 10},
		"given":          {times{1 * s, 2 * s, 3 * s, 4 * s}, times{1 * s, 2 * s, 3 * s, 4 * s}, 5, 5},
		"none":           {times{-1, -1, -1, -1}, times{-1, -1, -1, -1}, 0, 64 << 10},
		"short request":  {times{0, 2 * s, 0, 0}, times{2 * s, 2 * s, 60 * s, 120 * s}, 0, 64 << 10},
		"endless bodies": {times{0, -1, 0, 0}, times{5 * s, -1, 60 * s, 120 * s}, 0, 64 << 10},
	} {
		srv := &http.Server{
			ReadHeaderTimeout: tc.in[0], ReadTimeout: tc.in[1], WriteTimeout: tc.in[2], IdleTimeout: tc.in[3], MaxHeaderBytes: tc.bytes,
		}
		Server(srv)
		require.Equal(t, tc.out, times{srv.ReadHeaderTimeout, srv.ReadTimeout, srv.WriteTimeout, srv.IdleTimeout}, name)
		require.Equal(t, tc.to, srv.MaxHeaderBytes, name)
	}
}

// serve starts a server with limits on a real socket and dials it.
func serve(t *testing.T, srv *http.Server) net.Conn {
	t.Helper()
	Server(srv)
	s := httptest.NewUnstartedServer(http.NotFoundHandler())
	s.Config = srv
	srv.Handler = http.NotFoundHandler()
	s.Start()
	t.Cleanup(s.Close)
	conn, err := net.Dial("tcp", s.Listener.Addr().String())
	require.NoError(t, err)
	t.Cleanup(func() { conn.Close() })
	require.NoError(t, conn.SetDeadline(time.Now().Add(20*time.Second)))
	return conn
}

func TestLargeHeader(t *testing.T) {
	conn := serve(t, &http.Server{})
	go io.WriteString(conn, "GET / HTTP/1.1\r\nHost: h\r\nX: "+strings.Repeat("x", 1<<20)+"\r\n\r\n")
	resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
	require.NoError(t, err)
	require.Equal(t, http.StatusRequestHeaderFieldsTooLarge, resp.StatusCode)
}

// TestSlowHeader: a client that never finishes its header is cut off, even without a
// limit on the whole request.
func TestSlowHeader(t *testing.T) {
	conn := serve(t, &http.Server{ReadHeaderTimeout: 200 * time.Millisecond, ReadTimeout: -1})
	_, err := io.WriteString(conn, "GET / HTTP/1.1\r\nHost: h\r\nX: ")
	require.NoError(t, err)
	answer, err := io.ReadAll(conn)
	require.NoError(t, err, "the server closed the connection")
	require.NotContains(t, string(answer), "200")
}

// TestSilentClient: an idle connection is closed.
func TestSilentClient(t *testing.T) {
	conn := serve(t, &http.Server{IdleTimeout: 20 * time.Millisecond})
	_, err := io.WriteString(conn, "GET / HTTP/1.1\r\nHost: h\r\n\r\n")
	require.NoError(t, err)
	answer, err := io.ReadAll(conn)
	require.NoError(t, err)
	require.Contains(t, string(answer), "404")
}
