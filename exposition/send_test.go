package exposition

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/multiprom/multiprom/gather"
	"github.com/multiprom/multiprom/internal/limits"
	"github.com/multiprom/multiprom/metric"
)

// gathered are families whose numbers differ at each scrape, so that no two answers
// share any text.
type gathered struct {
	layout metric.Family
	labels []metric.Labels
	n      chan float64 // the next number
}

func newGathered(series int) *gathered {
	g := &gathered{layout: metric.Family{Name: "g", Type: metric.Gauge}, n: make(chan float64, 1)}
	for i := range series {
		g.labels = append(g.labels, metric.MakeLabels("path", fmt.Sprintf("/some/path/that/is/rather/long/%06d", i)))
	}
	g.n <- 1e6
	return g
}

func (g *gathered) Gather(context.Context) ([]*metric.Family, error) {
	v := <-g.n + 1
	g.n <- v
	f := g.layout
	for _, l := range g.labels {
		f.Series = append(f.Series, metric.Series{Labels: l, Value: v})
	}
	return []*metric.Family{&f}, nil
}

// smallBuffers are connections with small buffers in the system.
type smallBuffers struct{ net.Listener }

func (l smallBuffers) Accept() (net.Conn, error) {
	conn, err := l.Listener.Accept()
	if err == nil {
		err = conn.(*net.TCPConn).SetWriteBuffer(4096)
	}
	return conn, err
}

// startServer serves h with the limits that all our servers have.
func startServer(t *testing.T, h http.Handler) *httptest.Server {
	t.Helper()
	s := httptest.NewUnstartedServer(h)
	s.Listener = smallBuffers{s.Listener}
	limits.Server(s.Config)
	s.Start()
	t.Cleanup(func() {
		s.CloseClientConnections()
		s.Close()
	})
	return s
}

const statusOK = "HTTP/1.1 200 OK\r\n"

// stall asks for metrics, reads the start, and then stops reading.
func stall(t *testing.T, s *httptest.Server, header string) net.Conn {
	t.Helper()
	conn, err := net.Dial("tcp", s.Listener.Addr().String())
	require.NoError(t, err)
	t.Cleanup(func() { conn.Close() })
	require.NoError(t, conn.(*net.TCPConn).SetReadBuffer(4096))
	_, err = io.WriteString(conn, "GET /metrics HTTP/1.1\r\nHost: h\r\n"+header+"\r\n")
	require.NoError(t, err)
	require.NoError(t, conn.SetReadDeadline(time.Now().Add(60*time.Second)))
	line := make([]byte, len(statusOK))
	_, err = io.ReadFull(conn, line)
	require.NoError(t, err)
	require.Equal(t, statusOK, string(line))
	return conn
}

// TestStalledClients: next to a thousand clients that read nothing, every healthy
// scrape is complete. Memory is that of the few answers that may be in the process of
// being sent.
func TestStalledClients(t *testing.T) {
	const most, series = 10, 3000
	clients := 1000
	if raceEnabled {
		clients = 100 // the race detector makes each answer ten times as expensive
	}
	g := newGathered(series)
	for name, gatherer := range map[string]gather.Gatherer{
		"gathered": g,
		"viewed":   viewOf{g},
	} {
		t.Run(name, func(t *testing.T) {
			s := startServer(t, HandlerFor(gatherer, HandlerOptions{MaxConcurrent: most}))
			healthy := func() (size uint64) {
				t.Helper()
				resp, err := s.Client().Get(s.URL)
				require.NoError(t, err)
				defer resp.Body.Close()
				require.Equal(t, 200, resp.StatusCode)
				b, err := io.ReadAll(resp.Body)
				require.NoError(t, err)
				require.Equal(t, series, strings.Count(string(b), "\ng{"))
				return uint64(len(b))
			}
			size := healthy()
			before := heap()
			for i := range clients {
				stall(t, s, "")
				if i%100 == 99 {
					healthy()
				}
			}
			for range 20 {
				healthy()
			}
			// A text, its numbers and their places: a few times its size.
			if now := heap(); now > before {
				require.Less(t, now-before, 8*most*size, "of %d answers of %d bytes", most, size)
			}
		})
	}
}

type viewOf struct{ gather.Gatherer }

func (v viewOf) View(ctx context.Context, fn func([]*metric.Family, error)) { fn(v.Gather(ctx)) }

func heap() uint64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

// TestStallEnds: a client that takes nothing is cut off after a while, and does not
// mistake what it got for the whole. A slow reader is not cut off, even if it takes
// longer.
func TestStallEnds(t *testing.T) {
	t.Parallel()
	const series = 8000
	h := Handler(newGathered(series))
	ended := make(chan string, 2)
	s := startServer(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h.ServeHTTP(w, r)
		ended <- r.Header.Get("Client")
	}))
	stalled, slow := stall(t, s, "Client: stalled\r\n"), stall(t, s, "Client: slow\r\n")
	body := func(conn net.Conn) io.Reader {
		resp, err := http.ReadResponse(bufio.NewReader(io.MultiReader(strings.NewReader(statusOK), conn)), nil)
		require.NoError(t, err)
		return resp.Body
	}
	slowly := body(slow)
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	var got []byte
	deadline := time.After(60 * time.Second)
	for waiting := true; waiting; {
		select {
		case <-tick.C:
			b := make([]byte, 4096)
			n, err := io.ReadFull(slowly, b)
			require.NoError(t, err, "after %d bytes", len(got))
			got = append(got, b[:n]...)
		case client := <-ended:
			require.Equal(t, "stalled", client)
			waiting = false
		case <-deadline:
			require.Fail(t, "a client that takes nothing is served for ever")
		}
	}
	rest, err := io.ReadAll(slowly)
	require.NoError(t, err)
	require.Equal(t, series, strings.Count(string(append(got, rest...)), "\ng{"))
	_, err = io.ReadAll(body(stalled))
	require.ErrorIs(t, err, io.ErrUnexpectedEOF)
}

// deadlines is a writer that records its deadlines.
type deadlines struct {
	httptest.ResponseRecorder
	set []time.Time
}

func (d *deadlines) SetWriteDeadline(t time.Time) error {
	d.set = append(d.set, t)
	return nil
}

// TestDeadlineAfterwards: a deadline must not outlast its scrape on a connection on
// which nobody sets the next one. It must never be later than the server's own.
func TestDeadlineAfterwards(t *testing.T) {
	h := Handler(gather.Func(some))
	for name, tc := range map[string]struct {
		limit  time.Duration // of the server; negative if there is none
		header string
		last   bool          // the deadline stays
		within time.Duration // of all others
	}{
		"no server":     {-1, "", false, limits.Stall},
		"no limit":      {0, "", false, limits.Stall},
		"a long limit":  {time.Hour, "", true, limits.Stall},
		"a short limit": {time.Second, "", true, time.Second},
		"patience":      {0, "2", false, 2 * time.Second},
		"impatience":    {time.Second, "0.5", true, time.Second / 2},
	} {
		r := httptest.NewRequest("GET", "/", nil)
		r.Header.Set("X-Prometheus-Scrape-Timeout-Seconds", tc.header)
		if tc.limit >= 0 {
			r = r.WithContext(context.WithValue(r.Context(), http.ServerContextKey, &http.Server{WriteTimeout: tc.limit}))
		}
		w := &deadlines{ResponseRecorder: *httptest.NewRecorder()}
		h.ServeHTTP(w, r)
		now := time.Now()
		require.Equal(t, text004, w.Body.String(), name)
		require.GreaterOrEqual(t, len(w.set), 2, name)
		last := w.set[len(w.set)-1]
		require.Equal(t, tc.last, !last.IsZero(), name)
		for _, d := range w.set {
			require.True(t, d.IsZero() || !d.After(now.Add(tc.within)), "%s: %v", name, d.Sub(now))
		}
	}
}

// TestHiddenConnection: if a writer cannot be cut off, its scrape counts as running.
func TestHiddenConnection(t *testing.T) {
	h := HandlerFor(gather.Func(some), HandlerOptions{MaxConcurrent: 1})
	w := &hangingWriter{writing: make(chan struct{}), leave: make(chan struct{})}
	done := make(chan struct{})
	go func() {
		defer close(done)
		h.ServeHTTP(w, httptest.NewRequest("GET", "/", nil))
	}()
	<-w.writing
	require.Equal(t, 503, scrape(h, "GET", "/").Code)
	close(w.leave)
	<-done
	require.Equal(t, 200, scrape(h, "GET", "/").Code)
}

type hangingWriter struct{ writing, leave chan struct{} }

func (*hangingWriter) Header() http.Header { return http.Header{} }
func (*hangingWriter) WriteHeader(int)     {}

func (w *hangingWriter) Write(b []byte) (int, error) {
	close(w.writing)
	<-w.leave
	return len(b), nil
}

// TestScrapePatience: the client's stated patience limits gathering and sending.
func TestScrapePatience(t *testing.T) {
	const s = time.Second
	for value, want := range map[string]time.Duration{
		"10": 10 * s, "10.000000": 10 * s, "0.25": s / 4, "1e1": 10 * s, "": 0, "0": 0, "-1": 0, "-Inf": 0, "Inf": 0, "NaN": 0, "1e300": 0,
		"ten": 0, "10s": 0, "0x10": 0, "10,20": 0,
	} {
		require.Equal(t, want, scrapePatience(http.Header{"X-Prometheus-Scrape-Timeout-Seconds": {value}}), value)
	}
	for _, tc := range []struct{ limit, patience, want time.Duration }{
		{0, 0, 0}, {30 * s, 0, 30 * s}, {0, 10 * s, 9500 * time.Millisecond}, {30 * s, 10 * s, 9500 * time.Millisecond},
		{2 * s, 10 * s, 2 * s}, {0, s, 900 * time.Millisecond}, {s, 1e9 * s, s},
	} {
		require.Equal(t, tc.want, gatherWithin(tc.limit, tc.patience), tc)
	}
}

func TestPatienceBoundsGathering(t *testing.T) {
	const header = "X-Prometheus-Scrape-Timeout-Seconds"
	heeds := gather.Func(func(ctx context.Context) ([]*metric.Family, error) {
		<-ctx.Done()
		return someFamilies, ctx.Err()
	})
	for _, limit := range []time.Duration{0, time.Hour} {
		h := HandlerFor(heeds, HandlerOptions{Timeout: limit})
		require.Equal(t, text004, scrape(h, "GET", "/", header, "1").Body.String(), "what there is by then")
	}
	hangs := gather.Func(func(context.Context) ([]*metric.Family, error) { select {} })
	w := scrape(Handler(hangs), "GET", "/", header, "0.05")
	require.Equal(t, 503, w.Code)
	// An invalid value neither ends a scrape nor lets it run longer.
	require.Equal(t, 200, scrape(Handler(gather.Func(some)), "GET", "/", header, "-5").Code)
	require.Equal(t, 503, scrape(HandlerFor(hangs, HandlerOptions{Timeout: 10 * time.Millisecond}), "GET", "/", header, "1e300").Code)
}

// TestStalledStream: a client stops reading one stream of an HTTP/2 connection. That
// stream is cut off, and the others continue.
func TestStalledStream(t *testing.T) {
	const series = 100000 // more than a stream's window
	s := httptest.NewUnstartedServer(HandlerFor(newGathered(series), HandlerOptions{MaxConcurrent: 1}))
	s.EnableHTTP2 = true
	limits.Server(s.Config)
	s.StartTLS()
	t.Cleanup(s.Close)
	get := func() *http.Response {
		t.Helper()
		// The encoding of the previous answer may still count as running.
		for deadline := time.Now().Add(60 * time.Second); ; {
			resp, err := s.Client().Get(s.URL)
			require.NoError(t, err)
			t.Cleanup(func() { resp.Body.Close() })
			require.Equal(t, 2, resp.ProtoMajor)
			if resp.StatusCode == 200 || time.Now().After(deadline) {
				require.Equal(t, 200, resp.StatusCode)
				return resp
			}
			resp.Body.Close()
		}
	}
	uncompressed := s.Client().Transport.(*http.Transport)
	uncompressed.DisableCompression = true
	stalled := get()
	whole, err := io.ReadAll(get().Body)
	require.NoError(t, err)
	require.Equal(t, series, strings.Count(string(whole), "\ng{"))
	got, err := io.ReadAll(stalled.Body)
	require.Error(t, err)
	require.Less(t, len(got), len(whole))
}
