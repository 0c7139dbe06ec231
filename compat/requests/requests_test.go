package requests_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/multiprom/multiprom/compat/requests"
	"github.com/multiprom/multiprom/multiproc"
	"github.com/multiprom/multiprom/registry"
)

func value(t *testing.T, set *multiproc.Set, name string, labels map[string]string) float64 {
	t.Helper()
	v, err := registry.SampleValue(t.Context(), registry.Instruments(set), name, labels)
	require.NoError(t, err)
	return v
}

func TestRequest(t *testing.T) {
	set := multiproc.NewSet(multiproc.SetOptions{})
	now := time.Unix(1000, 0)
	m := requests.New(requests.Options{
		Set: set, Namespace: "app", ConstLabels: multiproc.Labels{"zone": "a"},
		Buckets: []float64{1, 2}, Now: func() time.Time { return now },
	})
	inFlight := map[string]string{"zone": "a"}
	require.Zero(t, value(t, set, "app_http_requests_in_flight", inFlight))
	r := m.Begin()
	require.EqualValues(t, 1, value(t, set, "app_http_requests_in_flight", inFlight))
	now = now.Add(1500 * time.Millisecond)
	r.End("GET", "/users/:id", 200)

	require.Zero(t, value(t, set, "app_http_requests_in_flight", inFlight))
	require.EqualValues(t, 1, value(t, set, "app_http_requests_total",
		map[string]string{"method": "GET", "path": "/users/:id", "code": "200", "zone": "a"}))
	route := map[string]string{"method": "GET", "path": "/users/:id", "zone": "a"}
	require.Equal(t, 1.5, value(t, set, "app_http_request_duration_seconds_sum", route))
	route["le"] = "1"
	require.Zero(t, value(t, set, "app_http_request_duration_seconds_bucket", route))
	route["le"] = "2"
	require.EqualValues(t, 1, value(t, set, "app_http_request_duration_seconds_bucket", route))
}

func TestLabelsAreBounded(t *testing.T) {
	for _, c := range []struct {
		method, path string
		code         int
		want         map[string]string
	}{
		{"PATCH", "/", 100, map[string]string{"method": "PATCH", "path": "/", "code": "100"}},
		{"GET", "", 404, map[string]string{"method": "GET", "path": requests.Unmatched, "code": "404"}},
		{"get", "/", 599, map[string]string{"method": "other", "path": "/", "code": "599"}},
		{"BREW", "/", 600, map[string]string{"method": "other", "path": "/", "code": "other"}},
		{"GET", "/", 99, map[string]string{"method": "GET", "path": "/", "code": "other"}},
		{"GET", "/", -1, map[string]string{"method": "GET", "path": "/", "code": "other"}},
	} {
		set := multiproc.NewSet(multiproc.SetOptions{})
		requests.New(requests.Options{Set: set}).Begin().End(c.method, c.path, c.code)
		require.EqualValues(t, 1, value(t, set, "http_requests_total", c.want), "%v", c)
	}
}

func TestNew(t *testing.T) {
	set := multiproc.NewSet(multiproc.SetOptions{})
	one, two := requests.New(requests.Options{Set: set}), requests.New(requests.Options{Set: set})
	one.Begin().End("GET", "/", 200)
	two.Begin().End("GET", "/", 200)
	require.EqualValues(t, 2, value(t, set, "http_requests_total",
		map[string]string{"method": "GET", "path": "/", "code": "200"}), "equal options, the same instruments")
	require.Panics(t, func() { requests.New(requests.Options{Set: set, Buckets: []float64{1}}) })
}

func TestRequestsDoNotAllocate(t *testing.T) {
	m := requests.New(requests.Options{Set: multiproc.NewSet(multiproc.SetOptions{})})
	require.Zero(t, testing.AllocsPerRun(100, func() { m.Begin().End("GET", "/", 200) }))
}
