package exposition

import (
	"compress/gzip"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/klauspost/compress/zstd"
	"github.com/stretchr/testify/require"

	"github.com/multiprom/multiprom/gather"
	"github.com/multiprom/multiprom/internal/inspect"
	"github.com/multiprom/multiprom/metric"
)

var someFamilies = []*metric.Family{
	{Name: "c", Help: "C.", Type: metric.Counter, Series: []metric.Series{{Value: 3}}},
	{Name: "g.utf8", Help: "G.", Type: metric.Gauge, Series: []metric.Series{{Value: 1.5}}},
}

const (
	text004 = "# HELP c_total C.\n# TYPE c_total counter\nc_total 3\n# HELP g_utf8 G.\n# TYPE g_utf8 gauge\ng_utf8 1.5\n"
	text100 = "# HELP c_total C.\n# TYPE c_total counter\nc_total 3\n# HELP \"g.utf8\" G.\n# TYPE \"g.utf8\" gauge\n{\"g.utf8\"} 1.5\n"
)

const (
	openMetrics100 = "# HELP c C.\n# TYPE c counter\nc_total 3\n# HELP g_utf8 G.\n# TYPE g_utf8 gauge\ng_utf8 1.5\n# EOF\n"
	protobufBody   = "\x1c\x0a\x07c_total\x12\x02C.\x18\x00\x22\x0b\x1a\x09\x09\x00\x00\x00\x00\x00\x00\x08\x40" +
		"\x1b\x0a\x06g.utf8\x12\x02G.\x18\x01\x22\x0b\x12\x09\x09\x00\x00\x00\x00\x00\x00\xf8\x3f"
)

func some(context.Context) ([]*metric.Family, error) { return someFamilies, nil }

// scrape calls the handler, with headers in pairs.
func scrape(h http.Handler, method, target string, headers ...string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, target, nil)
	for i := 0; i < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

func TestHandlerNegotiates(t *testing.T) {
	h := Handler(gather.Func(some))
	for _, tc := range []struct{ accept, contentType, body string }{
		{"", "text/plain; version=0.0.4; charset=utf-8", text004},
		{"*/*", "text/plain; version=0.0.4; charset=utf-8", text004},
		{"text/plain;version=0.0.4;q=0.3,*/*;q=0.1", "text/plain; version=0.0.4; charset=utf-8", text004},
		{"text/plain;version=1.0.0;escaping=allow-utf-8;q=0.5,text/plain;version=0.0.4;q=0.2", "text/plain; version=1.0.0; charset=utf-8; escaping=allow-utf-8", text100},
		{"text/plain;version=1.0.0;escaping=allow-utf-8;q=0.1,text/plain;version=0.0.4;q=0.2", "text/plain; version=0.0.4; charset=utf-8", text004},
		{"application/openmetrics-text;version=1.0.0;q=0.5,text/plain;q=0.4", "application/openmetrics-text; version=1.0.0; charset=utf-8; escaping=underscores", openMetrics100},
		{"application/openmetrics-text", "application/openmetrics-text; version=0.0.1; charset=utf-8; escaping=underscores", openMetrics100},
		{"text/plain;version=1.0.0;escaping=values", "text/plain; version=1.0.0; charset=utf-8; escaping=values", strings.ReplaceAll(text004, "g_utf8", "U__g_2e_utf8")},
		{"application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited;escaping=allow-utf-8",
			"application/vnd.google.protobuf; proto=io.prometheus.client.MetricFamily; encoding=delimited; escaping=allow-utf-8", protobufBody},
		{"application/json", "text/plain; version=0.0.4; charset=utf-8", text004},
	} {
		w := scrape(h, "GET", "/metrics", "Accept", tc.accept)
		require.Equal(t, 200, w.Code)
		require.Equal(t, tc.contentType, w.Header().Get("Content-Type"), tc.accept)
		require.Equal(t, tc.body, w.Body.String(), tc.accept)
		require.Contains(t, w.Header().Values("Vary"), "Accept")
	}
}

func TestHandlerCompresses(t *testing.T) {
	h := Handler(gather.Func(some))
	for accept, want := range map[string]string{
		"": "", "identity": "", "gzip": "gzip", "gzip, zstd": "", "gzip;q=0.5, zstd": "zstd", "zstd;q=0, gzip": "gzip", "gzip;q=0": "", "br": "",
	} {
		w := scrape(h, "GET", "/", "Accept-Encoding", accept)
		got := w.Header().Get("Content-Encoding")
		if accept != "gzip, zstd" { // on a tie we choose
			require.Equal(t, want, got, accept)
		}
		require.Equal(t, text004, decompress(t, got, w.Body), accept)
	}
	off := HandlerFor(gather.Func(some), HandlerOptions{DisableCompression: true})
	require.Empty(t, scrape(off, "GET", "/", "Accept-Encoding", "gzip").Header().Get("Content-Encoding"))
}

// A middleware that has announced that it compresses does so alone. If both did, no
// client could read the page.
func TestHandlerLeavesCompressingToOthers(t *testing.T) {
	h := Handler(gather.Func(some))
	for _, tc := range []struct {
		name, value string
		others      bool
	}{
		{"Vary", "Accept-Encoding", true}, {"Vary", "Origin, accept-encoding", true}, {"Content-Encoding", "br", true},
		{"Vary", "Origin", false}, {"Content-Type", "gzip", false},
	} {
		w := httptest.NewRecorder()
		w.Header().Set(tc.name, tc.value)
		r := httptest.NewRequest(http.MethodGet, "/metrics", nil)
		r.Header.Set("Accept-Encoding", "gzip")
		h.ServeHTTP(w, r)
		if tc.others {
			require.Equal(t, text004, w.Body.String(), tc.value)
			require.NotEqual(t, "gzip", w.Header().Get("Content-Encoding"))
		} else {
			require.Equal(t, text004, decompress(t, w.Header().Get("Content-Encoding"), w.Body), tc.value)
			require.Equal(t, "gzip", w.Header().Get("Content-Encoding"))
		}
	}
}

func decompress(t *testing.T, coding string, r io.Reader) string {
	t.Helper()
	switch coding {
	case "gzip":
		z, err := gzip.NewReader(r)
		require.NoError(t, err)
		r = z
	case "zstd":
		z, err := zstd.NewReader(r)
		require.NoError(t, err)
		defer z.Close()
		r = z
	}
	b, err := io.ReadAll(r)
	require.NoError(t, err)
	return string(b)
}

func TestHandlerMethods(t *testing.T) {
	h := Handler(gather.Func(some))
	require.Equal(t, text004, scrape(h, "GET", "/").Body.String())
	head := scrape(h, "HEAD", "/")
	require.Equal(t, 200, head.Code)
	require.Empty(t, head.Body.String())
	require.Equal(t, scrape(h, "GET", "/").Header(), head.Header())
	require.Equal(t, 200, scrape(h, "OPTIONS", "/").Code)
	for _, m := range []string{"OPTIONS", "POST", "PUT", "DELETE", "PATCH"} {
		w := scrape(h, m, "/")
		require.Equal(t, "GET, HEAD, OPTIONS", w.Header().Get("Allow"))
		if m != "OPTIONS" {
			require.Equal(t, 405, w.Code)
		}
	}
}

func TestHandlerRestricts(t *testing.T) {
	h := Handler(gather.Func(some))
	body := scrape(h, "GET", "/?name[]=c_total&name[]=nothing").Body.String()
	require.Equal(t, "# HELP c_total C.\n# TYPE c_total counter\nc_total 3\n", body)
	require.Empty(t, scrape(h, "GET", "/?name[]=nothing").Body.String())
}

func TestHandlerQueries(t *testing.T) {
	byProcess := false
	h := Handler(gather.Func(func(ctx context.Context) ([]*metric.Family, error) {
		byProcess = inspect.IsByProcess(ctx)
		return some(ctx)
	}))
	const c = "# HELP c_total C.\n# TYPE c_total counter\nc_total 3\n"
	for query, want := range map[string]string{
		"match=c.*": c, "match=c": c, "match=c_total": c, "match=otal": "", "match=x&match=c_.": "", "match=x&name[]=c": c, "match=x|c_total": c,
	} {
		require.Equal(t, want, scrape(h, "GET", "/?"+query).Body.String(), query)
		require.False(t, byProcess)
	}
	require.Equal(t, text004, scrape(h, "GET", "/?by=process").Body.String())
	require.True(t, byProcess)
	require.Equal(t, c, scrape(h, "GET", "/?by=process&match=c").Body.String())
	require.True(t, byProcess)
	for query, says := range map[string]string{
		"match=%28": "missing closing )", "match=" + strings.Repeat("x", maxPattern+1): "at most 1000 bytes",
		"by=worker": "there is only by=process", "by=": "there is only by=process",
	} {
		w := scrape(h, "GET", "/?"+query)
		require.Equal(t, 400, w.Code, query)
		require.Contains(t, w.Body.String(), says)
	}
}

func TestHandlerErrors(t *testing.T) {
	boom := errors.New("boom")
	half := gather.Func(func(context.Context) ([]*metric.Family, error) { return someFamilies, boom })
	none := gather.Func(func(context.Context) ([]*metric.Family, error) { return nil, boom })
	panics := gather.Func(func(context.Context) ([]*metric.Family, error) { panic("oh") })
	require.Equal(t, text004, scrape(Handler(half), "GET", "/").Body.String(), "the rest is served")
	for _, h := range []http.Handler{
		HandlerFor(half, HandlerOptions{FailOnError: true}), Handler(none), Handler(panics), Handler(nil),
	} {
		w := scrape(h, "GET", "/")
		require.Equal(t, 500, w.Code)
		require.Contains(t, w.Body.String(), "gathering metrics: ")
	}
}

// TestHandlerLimits has the only scrape that may run hang.
func TestHandlerLimits(t *testing.T) {
	entered, leave := make(chan struct{}), make(chan struct{})
	h := HandlerFor(gather.Func(func(context.Context) ([]*metric.Family, error) {
		entered <- struct{}{}
		<-leave
		return someFamilies, nil
	}), HandlerOptions{MaxConcurrent: 1})
	first := make(chan int, 1)
	go func() { first <- scrape(h, "GET", "/").Code }()
	<-entered
	require.Equal(t, 503, scrape(h, "GET", "/").Code)
	close(leave)
	require.Equal(t, 200, <-first)

	hangs := HandlerFor(gather.Func(func(ctx context.Context) ([]*metric.Family, error) {
		<-make(chan struct{})
		return nil, nil
	}), HandlerOptions{Timeout: 10 * time.Millisecond})
	w := scrape(hangs, "GET", "/")
	require.Equal(t, 503, w.Code)
	require.Contains(t, w.Body.String(), "took too long")
}

func TestCreatedByEnvironment(t *testing.T) {
	for value, want := range map[string]bool{"": true, "false": true, "true": false, "True": false, "T": false, "1": false, "0": true} {
		require.Equal(t, want, createdByEnv(func(string) string { return value }), value)
	}
}

// TestNoCreated scrapes counters with and without their created times.
func TestNoCreated(t *testing.T) {
	families := []*metric.Family{{Name: "c", Type: metric.Counter, Series: []metric.Series{{Value: 3, Created: time.Unix(5, 0)}}}}
	gatherer := gather.Func(func(context.Context) ([]*metric.Family, error) { return families, nil })
	shown := func(h http.Handler) bool {
		return strings.Contains(scrape(h, "GET", "/").Body.String(), "c_created 5\n")
	}
	off := HandlerFor(gatherer, HandlerOptions{NoCreated: true})
	t.Setenv("PROMETHEUS_DISABLE_CREATED_SERIES", "")
	byEnv := Handler(gatherer)
	// A package-level handler is made before main sets the variable.
	for _, step := range []struct {
		value string
		byEnv bool
	}{{"", true}, {"TRUE", false}, {"", true}, {"0", true}, {"1", false}} {
		t.Setenv("PROMETHEUS_DISABLE_CREATED_SERIES", step.value)
		require.False(t, shown(off))
		require.Equal(t, step.byEnv, shown(byEnv))
	}
}

func TestServer(t *testing.T) {
	s, err := Serve(ServerOptions{Addr: "127.0.0.1:0", Gatherer: gather.Func(some)})
	require.NoError(t, err)
	get := func(path string) (int, string) {
		resp, err := http.Get(strings.TrimSuffix(s.URL(), "/metrics") + path)
		require.NoError(t, err)
		defer resp.Body.Close()
		b, err := io.ReadAll(resp.Body)
		require.NoError(t, err)
		return resp.StatusCode, string(b)
	}
	for _, path := range []string{"/metrics", "/", "/any"} {
		code, body := get(path)
		require.Equal(t, 200, code)
		require.Equal(t, text004, body)
	}
	code, body := get("/favicon.ico")
	require.Equal(t, 200, code)
	require.Empty(t, body)
	_, err = Serve(ServerOptions{Addr: s.Addr().String()})
	require.Error(t, err, "the port is taken")
	require.NoError(t, s.Shutdown(t.Context()))
	require.NoError(t, s.Wait())
	_, err = http.Get(s.URL())
	require.Error(t, err)

	if runtime.GOOS != "windows" {
		path := filepath.Join(t.TempDir(), "s")
		socket, err := Serve(ServerOptions{Addr: "unix://" + path, Gatherer: gather.Func(some)})
		require.NoError(t, err)
		require.Equal(t, "unix://"+path, socket.URL())
		client := &http.Client{Transport: &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, "unix", path)
		}}}
		resp, err := client.Get("http://socket/metrics")
		require.NoError(t, err)
		b, err := io.ReadAll(resp.Body)
		require.NoError(t, errors.Join(err, resp.Body.Close()))
		require.Equal(t, text004, string(b))
		require.NoError(t, socket.Close())
		require.NoFileExists(t, path)
	}

	six, err := Serve(ServerOptions{Addr: "[::1]:0", Gatherer: gather.Func(some)})
	if err != nil {
		t.Skip("this machine has no IPv6 loopback: ", err)
	}
	resp, err := http.Get(six.URL())
	require.NoError(t, err)
	resp.Body.Close()
	require.NoError(t, six.Close())
}
