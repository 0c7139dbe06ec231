package main

import (
	"context"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/multiprom/multiprom/metric"
	"github.com/multiprom/multiprom/registry"
)

// serveTest starts the server of `mpctl serve` on a real socket.
func serveTest(t *testing.T, g registry.GathererFunc, limit scrapeLimits) (url string) {
	t.Helper()
	s := httptest.NewUnstartedServer(nil)
	s.Config = newServer(g, limit, slog.New(slog.DiscardHandler))
	s.Start()
	t.Cleanup(s.Close)
	return s.URL + "/metrics"
}

func scrape(t *testing.T, url string, header ...string) (int, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	require.NoError(t, err)
	if len(header) > 0 {
		req.Header.Set(header[0], header[1])
	}
	resp, err := http.DefaultClient.Do(req)
	require.NoError(t, err)
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	return resp.StatusCode, string(b)
}

func TestServeLimitsScrapes(t *testing.T) {
	const most = 2
	entered, leave := make(chan struct{}), make(chan struct{})
	url := serveTest(t, func(context.Context) ([]*metric.Family, error) {
		entered <- struct{}{}
		<-leave
		return nil, nil
	}, scrapeLimits{requests: most, timeout: time.Minute})
	codes := make(chan int, most)
	for range most {
		go func() {
			resp, err := http.Get(url)
			if err != nil {
				codes <- 0
				return
			}
			resp.Body.Close()
			codes <- resp.StatusCode
		}()
		<-entered
	}
	code, body := scrape(t, url)
	require.Equal(t, http.StatusServiceUnavailable, code)
	require.Contains(t, body, "2 scrapes are running already")
	close(leave)
	for range most {
		require.Equal(t, http.StatusOK, <-codes)
	}
}

func TestServeLimitsTimeAndHeaders(t *testing.T) {
	never := make(chan struct{})
	t.Cleanup(func() { close(never) })
	hangs := func(context.Context) ([]*metric.Family, error) { <-never; return nil, nil }
	code, body := scrape(t, serveTest(t, hangs, scrapeLimits{requests: 1, timeout: 100 * time.Millisecond}))
	require.Equal(t, http.StatusServiceUnavailable, code, "the answer comes before the connection is cut")
	require.Contains(t, body, "took too long")

	code, _ = scrape(t, serveTest(t, hangs, defaultScrapeLimits), "X", strings.Repeat("x", 80<<10))
	require.Equal(t, http.StatusRequestHeaderFieldsTooLarge, code)
}

func TestServeWithoutLimits(t *testing.T) {
	none := scrapeLimits{}
	require.Negative(t, none.handler(nil).MaxConcurrent)
	require.Zero(t, none.handler(nil).Timeout)
	require.Negative(t, none.write())
}

func TestServeNegotiates(t *testing.T) {
	url := serveTest(t, func(context.Context) ([]*metric.Family, error) {
		return []*metric.Family{{Name: "jobs", Type: metric.Counter, Series: []metric.Series{{Value: 3}}}}, nil
	}, defaultScrapeLimits)
	for accept, want := range map[string]string{
		"": "# TYPE jobs_total counter\njobs_total 3\n",
		"application/openmetrics-text;version=1.0.0,text/plain;q=0.5":                                "# TYPE jobs counter\njobs_total 3\n# EOF\n",
		"application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited": "\x1b\x0a\x0ajobs_total\x18\x00\x22\x0b\x1a\x09\x09\x00\x00\x00\x00\x00\x00\x08\x40",
	} {
		code, body := scrape(t, url, "Accept", accept)
		require.Equal(t, http.StatusOK, code)
		require.Equal(t, want, body, accept)
	}
}
