package examples

import (
	"bytes"
	"compress/gzip"
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/go-chi/chi/v5"
	chimiddleware "github.com/go-chi/chi/v5/middleware"
	"github.com/gofiber/fiber/v2"
	"github.com/gofiber/fiber/v2/middleware/adaptor"
	"github.com/gofiber/fiber/v2/middleware/compress"
	"github.com/klauspost/compress/zstd"
	"github.com/labstack/echo/v4"
	"github.com/labstack/echo/v4/middleware"
	"github.com/stretchr/testify/require"
	"github.com/valyala/fasthttp"
	"github.com/valyala/fasthttp/fasthttpadaptor"

	"github.com/multiprom/multiprom/exposition"
	"github.com/multiprom/multiprom/gather"
	"github.com/multiprom/multiprom/metric"
)

var some = gather.Func(func(context.Context) ([]*metric.Family, error) {
	return []*metric.Family{{Name: "requests", Type: metric.Counter, Series: []metric.Series{{Value: 3}}}}, nil
})

const someText = "# TYPE requests_total counter\nrequests_total 3\n"

// compressing are applications that compress everything they serve. Each returns its URL.
var compressing = map[string]func(t *testing.T, metrics http.Handler) string{
	"echo": func(t *testing.T, metrics http.Handler) string {
		e := echo.New()
		e.Use(middleware.Gzip())
		e.GET("/metrics", echo.WrapHandler(metrics))
		return serve(t, e)
	},
	"chi": func(t *testing.T, metrics http.Handler) string {
		r := chi.NewRouter()
		r.Use(chimiddleware.Compress(5))
		r.Handle("/metrics", metrics)
		return serve(t, r)
	},
	"fiber": func(t *testing.T, metrics http.Handler) string {
		app := fiber.New(fiber.Config{DisableStartupMessage: true})
		app.Use(compress.New())
		app.Get("/metrics", adaptor.HTTPHandler(metrics))
		address := freeAddress(t)
		go app.Listen(address)
		t.Cleanup(func() { app.Shutdown() })
		return "http://" + address
	},
	"fasthttp": func(t *testing.T, metrics http.Handler) string {
		s := &fasthttp.Server{Handler: fasthttp.CompressHandler(fasthttpadaptor.NewFastHTTPHandler(metrics))}
		address := freeAddress(t)
		go s.ListenAndServe(address)
		t.Cleanup(func() { s.Shutdown() })
		return "http://" + address
	},
	// silent sets the Content-Encoding header only when it writes, and never checks it.
	"silent": func(t *testing.T, metrics http.Handler) string {
		return serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			inner := httptest.NewRecorder()
			metrics.ServeHTTP(inner, r)
			w.Header().Set("Content-Encoding", "gzip")
			z := gzip.NewWriter(w)
			_, _ = io.Copy(z, inner.Body)
			_ = z.Close()
		}))
	},
}

func serve(t *testing.T, h http.Handler) string {
	t.Helper()
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	return s.URL
}

// TestCompressingMiddleware: a scrape is compressed once, whatever middleware wraps the
// handler. Some middleware announces that it compresses, as echo's does, and the handler
// leaves it to that. Other middleware checks whether the answer is compressed already.
// DisableCompression is for middleware that does neither.
func TestCompressingMiddleware(t *testing.T) {
	for name, start := range compressing {
		for _, opts := range []exposition.HandlerOptions{{}, {DisableCompression: true}} {
			url := start(t, exposition.HandlerFor(some, opts)) + "/metrics"
			get(t, url)
			for _, accepted := range []string{"", "gzip", "zstd", "zstd, gzip", "gzip, zstd;q=0.5"} {
				if name == "silent" && accepted != "gzip" {
					continue
				}
				want := name != "silent" || opts.DisableCompression
				require.Equal(t, want, decoded(t, url, accepted) == someText, "%s, disabled %v: %q", name, opts.DisableCompression, accepted)
			}
		}
	}
}

// decoded returns the body after decoding it once, as the header says.
func decoded(t *testing.T, url, accepted string) string {
	t.Helper()
	req, err := http.NewRequest(http.MethodGet, url, nil)
	require.NoError(t, err)
	req.Header.Set("Accept-Encoding", accepted) // otherwise the client decodes by itself
	resp, err := http.DefaultTransport.RoundTrip(req)
	require.NoError(t, err)
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	r := io.Reader(bytes.NewReader(body))
	switch resp.Header.Get("Content-Encoding") {
	case "gzip":
		r, err = gzip.NewReader(r)
	case "zstd":
		r, err = zstd.NewReader(r)
	}
	require.NoError(t, err)
	body, err = io.ReadAll(r)
	require.NoError(t, err)
	return string(body)
}
