package exposition

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math"
	"net"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/multiprom/multiprom/gather"
	"github.com/multiprom/multiprom/internal/limits"
	"github.com/multiprom/multiprom/metric"
)

// A gatherer abandoned at the timeout still holds memory: it counts as a running scrape
// until it returns.
func TestAbandonedGathererCountsAsRunning(t *testing.T) {
	leave := make(chan struct{})
	hang := true // the second gathering runs only after the first has returned
	h := HandlerFor(gather.Func(func(context.Context) ([]*metric.Family, error) {
		if hang {
			<-leave
			hang = false
		}
		return someFamilies, nil
	}), HandlerOptions{MaxConcurrent: 1, Timeout: 10 * time.Millisecond})

	assert.Contains(t, scrape(h, "GET", "/").Body.String(), "took too long")
	assert.Contains(t, scrape(h, "GET", "/").Body.String(), "already running")
	close(leave)
	require.Eventually(t, func() bool { return scrape(h, "GET", "/").Code == 200 }, 10*time.Second, time.Millisecond)
}

// A gatherer that obeys its context has a tenth of the timeout to return what it has.
func TestTimeoutLetsTheRestThrough(t *testing.T) {
	h := HandlerFor(gather.Func(func(ctx context.Context) ([]*metric.Family, error) {
		<-ctx.Done()
		return someFamilies, ctx.Err()
	}), HandlerOptions{Timeout: 2 * time.Second})
	assert.Equal(t, text004, scrape(h, "GET", "/").Body.String())
}

func TestErrorLog(t *testing.T) {
	var out bytes.Buffer
	collide := append([]*metric.Family{{Name: "g_utf8", Type: metric.Gauge, Series: []metric.Series{{}}}}, someFamilies...)
	h := HandlerFor(gather.Func(func(context.Context) ([]*metric.Family, error) {
		return collide, errors.New("boom")
	}), HandlerOptions{ErrorLog: slog.New(slog.NewTextHandler(&out, nil))})

	assert.Equal(t, 200, scrape(h, "GET", "/").Code)
	assert.Contains(t, out.String(), "boom")
	assert.Contains(t, out.String(), "g.utf8", "what a collision cost is said")
}

// An omission that repeats is logged once for each way of asking, and again when it
// changes. Errors of gathering are logged each time.
func TestOmissionsAreLoggedOnce(t *testing.T) {
	var out bytes.Buffer
	bad := []metric.Series{{Labels: metric.MakeLabels("n", "1"), Value: math.NaN()}, {Labels: metric.MakeLabels("n", "2"), Value: -1}}
	counter := &metric.Family{Name: "c", Type: metric.Counter, Series: bad[:1]}
	h := HandlerFor(gather.Func(func(context.Context) ([]*metric.Family, error) {
		return []*metric.Family{counter, {Name: "g.x", Type: metric.Gauge, Series: bad[:1]}, {Name: "g_x", Type: metric.Gauge, Series: bad[:1]}}, nil
	}), HandlerOptions{ErrorLog: slog.New(slog.NewTextHandler(&out, nil))})
	said := func(n int) {
		t.Helper()
		assert.Equal(t, n, strings.Count(out.String(), "encoding metrics"), out.String())
	}
	const openMetrics = "application/openmetrics-text;version=1.0.0"
	for range 3 {
		scrape(h, "GET", "/")
		scrape(h, "GET", "/", "Accept", openMetrics)
	}
	said(2)
	counter = &metric.Family{Name: "c", Type: metric.Counter, Series: bad}
	for range 3 {
		scrape(h, "GET", "/", "Accept", openMetrics)
	}
	said(3)
	assert.Contains(t, out.String(), "2 series with a value that the format does not have")

	// Alternate between scrapes of some names and of all.
	for range 3 {
		scrape(h, "GET", "/?name[]=c_total", "Accept", openMetrics)
		scrape(h, "GET", "/?name[]=g.x&name[]=g_x", "Accept", openMetrics)
		scrape(h, "GET", "/", "Accept", openMetrics)
	}
	said(5)
	for i := range 100 { // a client that chooses names does not cause another log line
		counter = &metric.Family{Name: "c", Type: metric.Counter, Series: slices.Repeat(bad, i+2)}
		scrape(h, "GET", "/?name[]=c_total", "Accept", openMetrics)
	}
	before := strings.Count(out.String(), "encoding metrics")
	counter = &metric.Family{Name: "c", Type: metric.Counter, Series: bad}
	scrape(h, "GET", "/", "Accept", openMetrics)
	said(before)
}

func TestServerEnds(t *testing.T) {
	for name, end := range map[string]func(*Server) error{
		"close":    (*Server).Close,
		"shutdown": func(s *Server) error { return s.Shutdown(context.Background()) },
	} {
		t.Run(name, func(t *testing.T) {
			s, err := Serve(ServerOptions{Addr: "127.0.0.1:0", Gatherer: gather.Func(some)})
			require.NoError(t, err)
			waited := make(chan error, 1)
			go func() { waited <- s.Wait() }()
			require.NoError(t, end(s))
			require.NoError(t, <-waited)
			require.NoError(t, end(s), "a second time changes nothing")

			again, err := Serve(ServerOptions{Addr: s.Addr().String(), Gatherer: gather.Func(some)})
			require.NoError(t, err, "the port is free at once")
			require.NoError(t, again.Close())
		})
	}
}

// Shutdown gives up when its context ends, and Close ends the remaining scrape.
func TestShutdownWaitsForScrapes(t *testing.T) {
	entered := make(chan struct{})
	s, err := Serve(ServerOptions{Addr: "127.0.0.1:0", Gatherer: gather.Func(func(ctx context.Context) ([]*metric.Family, error) {
		close(entered)
		<-ctx.Done()
		return nil, ctx.Err()
	})})
	require.NoError(t, err)
	scraped := make(chan error, 1)
	go func() {
		resp, err := http.Get(s.URL())
		if err == nil {
			err = fmt.Errorf("it was answered with %s", resp.Status)
			resp.Body.Close()
		}
		scraped <- err
	}()
	<-entered
	gone, cancel := context.WithCancel(context.Background())
	cancel()
	require.ErrorIs(t, s.Shutdown(gone), context.Canceled)
	require.NoError(t, s.Close())
	require.ErrorContains(t, <-scraped, "EOF")
}

// The URL of a server on all interfaces works.
func TestServerOnAllInterfaces(t *testing.T) {
	s, err := Serve(ServerOptions{Addr: ":0", Gatherer: gather.Func(some)})
	require.NoError(t, err)
	defer s.Close()
	resp, err := http.Get(s.URL())
	require.NoError(t, err)
	resp.Body.Close()
	assert.Equal(t, 200, resp.StatusCode)
	assert.Contains(t, s.URL(), "http://localhost:")
}

func TestServerCutsSlowHeaders(t *testing.T) {
	s, err := Serve(ServerOptions{Addr: "127.0.0.1:0", ReadHeaderTimeout: 200 * time.Millisecond, Gatherer: gather.Func(some)})
	require.NoError(t, err)
	defer s.Close()
	conn, err := net.Dial("tcp", s.Addr().String())
	require.NoError(t, err)
	defer conn.Close()
	require.NoError(t, conn.SetDeadline(time.Now().Add(20*time.Second)))
	_, err = io.WriteString(conn, "GET / HTTP/1.1\r\nHost: h\r\nX: ")
	require.NoError(t, err)
	_, err = io.ReadAll(conn)
	require.NoError(t, err, "a header that never ends is cut off")
}

// A separate server has default limits: headers, and concurrent scrapes.
func TestServerLimits(t *testing.T) {
	entered, leave := make(chan struct{}), make(chan struct{})
	s, err := Serve(ServerOptions{
		Addr: "127.0.0.1:0",
		Gatherer: gather.Func(func(context.Context) ([]*metric.Family, error) {
			entered <- struct{}{}
			<-leave
			return someFamilies, nil
		}),
	})
	require.NoError(t, err)
	defer s.Close()

	get := func(header string) int {
		req, err := http.NewRequest(http.MethodGet, s.URL(), nil)
		if err != nil {
			return 0
		}
		req.Header.Set("X", header)
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			return 0
		}
		resp.Body.Close()
		return resp.StatusCode
	}
	assert.Equal(t, http.StatusRequestHeaderFieldsTooLarge, get(strings.Repeat("x", 80<<10)))
	codes := make(chan int, limits.Concurrent)
	for range limits.Concurrent {
		go func() { codes <- get("") }()
		<-entered
	}
	assert.Equal(t, http.StatusServiceUnavailable, get(""))
	close(leave)
	for range limits.Concurrent {
		assert.Equal(t, http.StatusOK, <-codes)
	}
}
