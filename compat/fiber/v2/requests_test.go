package mpfiber_test

import (
	"errors"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"

	"github.com/gofiber/fiber/v2"
	"github.com/gofiber/fiber/v2/middleware/recover"
	"github.com/stretchr/testify/require"

	mpfiber "github.com/multiprom/multiprom/compat/fiber/v2"
	"github.com/multiprom/multiprom/compat/requests"
	"github.com/multiprom/multiprom/multiproc"
	"github.com/multiprom/multiprom/registry"
)

var errTeapot = errors.New("no coffee here")

// app has routes of every kind after the middleware.
func app(t *testing.T, set *multiproc.Set) *fiber.App {
	dir := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, "a.txt"), []byte("a"), 0o600))
	app := fiber.New(fiber.Config{ErrorHandler: func(c *fiber.Ctx, err error) error {
		if errors.Is(err, errTeapot) {
			return c.SendStatus(fiber.StatusTeapot)
		}
		return fiber.DefaultErrorHandler(c, err)
	}})
	app.Use(recover.New())
	app.Use(mpfiber.Requests(requests.Options{Set: set}))
	ok := func(c *fiber.Ctx) error { return c.SendString("ok") }
	app.Get("/", ok)
	app.Get("/users/:id", ok)
	app.Post("/users/:id", func(*fiber.Ctx) error { return errTeapot })
	app.Get("/gone", func(*fiber.Ctx) error { return fiber.ErrNotFound })
	app.Get("/panic", func(*fiber.Ctx) error { panic("as it were") })
	app.Group("/api").Get("/things/*", ok)
	sub := fiber.New()
	sub.Get("/:name", ok)
	app.Mount("/sub", sub)
	app.Static("/files", dir)
	app.Use("/closed", func(c *fiber.Ctx) error { return c.SendStatus(fiber.StatusForbidden) })
	return app
}

func TestRequests(t *testing.T) {
	for _, c := range []struct {
		method, target string
		path, code     string
	}{
		{"GET", "/", "/", "200"},
		{"HEAD", "/", "/", "200"},
		{"GET", "/users/17?q=1", "/users/:id", "200"},
		{"POST", "/users/17", "/users/:id", "418"}, // the error handler's code
		{"GET", "/gone", "/gone", "404"},
		{"GET", "/panic", "/panic", "500"},
		{"GET", "/api/things/a/b/c", "/api/things/*", "200"},
		{"GET", "/sub/x", "/sub/:name", "200"},
		{"GET", "/files/a.txt", "/files", "200"},
		{"GET", "/files/b.txt", requests.Unmatched, "404"},
		{"GET", "/closed/door", requests.Unmatched, "403"},
		{"GET", "/nowhere", requests.Unmatched, "404"},
		{"GET", "/wp-login.php", requests.Unmatched, "404"},
		{"PUT", "/users/17", requests.Unmatched, "405"},
	} {
		set := multiproc.NewSet(multiproc.SetOptions{})
		app, req := app(t, set), httptest.NewRequest(c.method, c.target, nil)
		for range 2 {
			resp, err := app.Test(req)
			require.NoError(t, err)
			resp.Body.Close()
		}
		n, err := registry.SampleValue(t.Context(), registry.Instruments(set), "http_requests_total",
			map[string]string{"method": c.method, "path": c.path, "code": c.code})
		require.NoError(t, err, "%+v", c)
		require.EqualValues(t, 2, n, "%+v", c)
		inFlight, err := registry.SampleValue(t.Context(), registry.Instruments(set), "http_requests_in_flight", nil)
		require.NoError(t, err)
		require.Zero(t, inFlight)
	}
}

// TestRoutesAddedLater: a route that is added after the first request has its pattern.
func TestRoutesAddedLater(t *testing.T) {
	set := multiproc.NewSet(multiproc.SetOptions{})
	app := app(t, set)
	for range 2 {
		resp, err := app.Test(httptest.NewRequest("GET", "/later/1", nil))
		require.NoError(t, err)
		resp.Body.Close()
		app.Get("/later/:n", func(c *fiber.Ctx) error { return c.SendString("ok") })
	}
	n, err := registry.SampleValue(t.Context(), registry.Instruments(set), "http_requests_total",
		map[string]string{"method": "GET", "path": "/later/:n", "code": "200"})
	require.NoError(t, err)
	require.EqualValues(t, 1, n)
}
