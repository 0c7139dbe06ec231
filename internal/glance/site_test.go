package glance

import (
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/multiprom/multiprom/aggregate"
	"github.com/multiprom/multiprom/internal/mpm"
	"github.com/multiprom/multiprom/metric"
)

// fill makes processes with families of labelled series in a directory.
func fill(t testing.TB, dir string, processes, families, series int) (words [][]uint64) {
	t.Helper()
	for p := range processes {
		s, err := mpm.Create(dir, mpm.Options{Label: fmt.Sprintf("web-%03d", p)})
		require.NoError(t, err)
		for f := range families {
			schema, err := s.AddSchema(&metric.Schema{Name: fmt.Sprintf("requests_%d", f), Help: "H.", Type: metric.Counter, Labels: []string{"path"}})
			require.NoError(t, err)
			for n := range series {
				one, err := s.AddSeries(schema, []string{fmt.Sprintf("/%d", n)}, nil)
				require.NoError(t, err)
				words = append(words, one.Words())
			}
		}
	}
	return words
}

// siteOf serves the site of a directory.
func siteOf(t *testing.T, dir string, opts SiteOptions) *httptest.Server {
	t.Helper()
	a, err := aggregate.Open(dir, aggregate.Options{})
	require.NoError(t, err)
	t.Cleanup(func() { a.Close() })
	mux := http.NewServeMux()
	NewSite(a, opts).Add(mux)
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	return server
}

func get(t *testing.T, url string) (*http.Response, string) {
	t.Helper()
	resp, err := http.Get(url)
	require.NoError(t, err)
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	return resp, string(b)
}

// TestPage: what the page says, in any order, and that it needs nothing from outside.
func TestPage(t *testing.T) {
	dir := t.TempDir()
	words := fill(t, dir, 3, 4, 5)
	hostile, err := mpm.Create(dir, mpm.Options{Label: `<script>alert("x")</script>`})
	require.NoError(t, err)
	schema, err := hostile.AddSchema(&metric.Schema{Name: `"><img src=x>`, Help: "H.", Type: metric.Gauge, Mode: metric.ModeMax, Labels: []string{"l"}})
	require.NoError(t, err)
	_, err = hostile.AddSeries(schema, []string{"<b>&amp;"}, nil)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(filepath.Join(dir, "99-00112233445566778899aabbccddeeff.mpm"), []byte("junk"), 0o600))
	server := siteOf(t, dir, SiteOptions{Version: "v1.2.3", Facts: []Fact{{"recorder", "10m"}}})
	stop := make(chan struct{})
	done := make(chan struct{})
	go func() { // rates need changes
		defer close(done)
		for {
			select {
			case <-stop:
				return
			case <-time.After(time.Millisecond):
				atomic.AddUint64(&words[0][mpm.CellCounterInts], 1)
			}
		}
	}()
	defer func() { close(stop); <-done }()

	resp, body := get(t, server.URL+"/")
	require.Equal(t, 200, resp.StatusCode)
	require.Equal(t, "text/html; charset=utf-8", resp.Header.Get("Content-Type"))
	csp := resp.Header.Get("Content-Security-Policy")
	require.Contains(t, csp, "default-src 'none'")
	require.NotContains(t, csp, "unsafe")
	for _, want := range []string{
		"<h1>" + dir + "</h1>", "4 live, 21 series in 5 metrics", "File left out:", "web-001", "requests_3", "version v1.2.3", "recorder 10m",
		"&lt;script&gt;alert(&#34;x&#34;)&lt;/script&gt;", "gauge max", `&#34;/0&#34; 1`, `<noscript><meta http-equiv="refresh"`,
	} {
		require.Contains(t, body, want)
	}
	require.NotContains(t, body, "alert(\"x\")")
	require.NotContains(t, body, "<img")
	require.Empty(t, regexp.MustCompile(`(?:src|href|url)\s*[=(]\s*["']?(?:https?:)?//`).FindString(body), "an asset from outside")
	require.Regexp(t, `<td class="t name">requests_0</td><td class="t">counter</td><td>5</td><td>3</td><td>[0-9.]+k?</td><td>[1-9]`, body, "a rate")
	for _, secret := range append(os.Environ(), os.Args[1:]...) {
		if _, value, _ := strings.Cut(secret, "="); len(value) > 12 && value != dir && !strings.HasPrefix(dir, value) {
			require.NotContains(t, body, value)
		}
	}

	order := func(query, pattern string) []string {
		_, body := get(t, server.URL+"/?"+query)
		var out []string
		for _, m := range regexp.MustCompile(pattern).FindAllStringSubmatch(body, -1) {
			out = append(out, m[1])
		}
		return out
	}
	names := `<td class="t name">(requests_\d)</td><td class="t">counter`
	require.Equal(t, []string{"requests_0", "requests_1", "requests_2", "requests_3"}, order("", names))
	require.Equal(t, "requests_0", order("f=rate&w=nonsense", names)[0])
	require.Equal(t, []string{"requests_2"}, order("q=ests_2", names))
	require.Len(t, order("w=share", `<td class="t name">(web-\d+)</td>`), 3)
	require.Equal(t, "web-000", order("w=share", `<td class="t name">(web-\d+)</td>`)[0])
	_, body = get(t, server.URL+"/?q="+`%22%3E%3Cscript%3E`+"&w=%22x")
	require.NotContains(t, body, `"><script>`)
	resp, _ = get(t, server.URL+"/other")
	require.Equal(t, 404, resp.StatusCode)
}

// TestPageOfManyWorkers: 200 workers with 10,000 merged series.
func TestPageOfManyWorkers(t *testing.T) {
	dir := t.TempDir()
	fill(t, dir, 2, 20, 500)
	fill(t, dir, 198, 2, 1)
	server := siteOf(t, dir, SiteOptions{})
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, server.URL, nil)
	require.NoError(t, err)
	req.Header.Set("Accept-Encoding", "gzip")
	resp, err := http.DefaultTransport.RoundTrip(req)
	require.NoError(t, err)
	defer resp.Body.Close()
	require.Equal(t, "gzip", resp.Header.Get("Content-Encoding"))
	packed, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	z, err := gzip.NewReader(strings.NewReader(string(packed)))
	require.NoError(t, err)
	body, err := io.ReadAll(z)
	require.NoError(t, err)
	require.Contains(t, string(body), "200 live, 10000 series in 20 metrics")
	t.Logf("%d bytes, compressed %d", len(body), len(packed))
	require.Less(t, len(body), 200_000)
	require.Less(t, len(packed), 30_000)
}

func TestProbes(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "later")
	var wrong error
	server := siteOf(t, dir, SiteOptions{Ready: []Check{func() error { return wrong }}})
	resp, body := get(t, server.URL+"/-/healthy")
	require.Equal(t, 200, resp.StatusCode)
	require.Equal(t, "healthy\n", body)
	resp, body = get(t, server.URL+"/-/ready")
	require.Equal(t, 503, resp.StatusCode)
	require.Contains(t, body, "no such file")
	require.NoError(t, os.Mkdir(dir, 0o700))
	resp, _ = get(t, server.URL+"/-/ready")
	require.Equal(t, 200, resp.StatusCode)
	wrong = errors.New("the recorder has stopped")
	resp, body = get(t, server.URL+"/-/ready")
	require.Equal(t, 503, resp.StatusCode)
	require.Contains(t, body, "the recorder has stopped")
}
