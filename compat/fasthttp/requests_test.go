package mpfasthttp_test

import (
	"testing"
	"time"

	"github.com/fasthttp/router"
	"github.com/stretchr/testify/require"
	"github.com/valyala/fasthttp"

	mpfasthttp "github.com/multiprom/multiprom/compat/fasthttp"
	"github.com/multiprom/multiprom/compat/requests"
	"github.com/multiprom/multiprom/multiproc"
	"github.com/multiprom/multiprom/registry"
)

func total(t *testing.T, set *multiproc.Set, method, path, code string) float64 {
	t.Helper()
	v, err := registry.SampleValue(t.Context(), registry.Instruments(set), "http_requests_total",
		map[string]string{"method": method, "path": path, "code": code})
	require.NoError(t, err)
	return v
}

func request(method, uri string) *fasthttp.RequestCtx {
	var req fasthttp.Request
	req.Header.SetMethod(method)
	req.SetRequestURI("http://h" + uri)
	ctx := &fasthttp.RequestCtx{}
	ctx.Init(&req, nil, nil)
	return ctx
}

func TestRequests(t *testing.T) {
	set := multiproc.NewSet(multiproc.SetOptions{})
	h := mpfasthttp.Requests(func(ctx *fasthttp.RequestCtx) {
		switch string(ctx.Path()) {
		case "/made":
			ctx.SetStatusCode(fasthttp.StatusCreated)
		case "/panic":
			panic("as it were")
		case "/slow":
			ctx.TimeoutErrorWithCode("too slow", fasthttp.StatusGatewayTimeout)
		default:
			ctx.NotFound()
		}
	}, mpfasthttp.KnownPaths("/made", "/panic", "/slow"), requests.Options{Set: set})

	h(request("POST", "/made?q=1"))
	h(request("POST", "/made"))
	require.Panics(t, func() { h(request("GET", "/panic")) })
	h(request("GET", "/slow"))
	h(request("GET", "/a"))
	h(request("GET", "/b"))
	require.EqualValues(t, 2, total(t, set, "POST", "/made", "201"))
	require.EqualValues(t, 1, total(t, set, "GET", "/panic", "500"))
	require.EqualValues(t, 1, total(t, set, "GET", "/slow", "504"))
	require.EqualValues(t, 2, total(t, set, "GET", requests.Unmatched, "404"))
	inFlight, err := registry.SampleValue(t.Context(), registry.Instruments(set), "http_requests_in_flight", nil)
	require.NoError(t, err)
	require.Zero(t, inFlight)
}

// TestRequestsOfRouter takes the patterns of a router that tells what it has matched.
func TestRequestsOfRouter(t *testing.T) {
	set := multiproc.NewSet(multiproc.SetOptions{})
	r := router.New()
	r.SaveMatchedRoutePath = true
	r.GET("/users/{id}", func(*fasthttp.RequestCtx) {})
	h := mpfasthttp.Requests(r.Handler, func(ctx *fasthttp.RequestCtx) string {
		pattern, _ := ctx.UserValue(router.MatchedRoutePathParam).(string)
		return pattern
	}, requests.Options{Set: set})
	h(request("GET", "/users/1"))
	h(request("GET", "/users/2"))
	h(request("GET", "/nobody"))
	require.EqualValues(t, 2, total(t, set, "GET", "/users/{id}", "200"))
	require.EqualValues(t, 1, total(t, set, "GET", requests.Unmatched, "404"))
}

// TestRequestsOfTimeoutHandler: what the client gets is counted, once.
func TestRequestsOfTimeoutHandler(t *testing.T) {
	set := multiproc.NewSet(multiproc.SetOptions{})
	release, released := make(chan struct{}), make(chan struct{})
	h := mpfasthttp.Requests(fasthttp.TimeoutHandler(func(*fasthttp.RequestCtx) {
		<-release
		close(released)
	}, time.Millisecond, "too slow"), nil, requests.Options{Set: set})
	h(request("GET", "/"))
	close(release)
	<-released
	require.EqualValues(t, 1, total(t, set, "GET", requests.Unmatched, "408"))
}
