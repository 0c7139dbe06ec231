package main

import (
	"bytes"
	"io"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"

	"github.com/klauspost/compress/gzip"
	"github.com/stretchr/testify/require"
)

// TestOTLP sends once, as flags and variables say.
func TestOTLP(t *testing.T) {
	var mu sync.Mutex
	var body, path, tenant string
	s := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		z, err := gzip.NewReader(r.Body)
		if err != nil {
			return
		}
		b, _ := io.ReadAll(z)
		mu.Lock()
		defer mu.Unlock()
		body, path, tenant = string(b), r.URL.Path, r.Header.Get("X-Scope-OrgID")
	}))
	t.Cleanup(s.Close)
	dir := jobsDir(t)
	send := func(args ...string) (code int, said string) {
		t.Helper()
		var out safeBuffer
		code = run(t.Context(), append([]string{"otlp", "--dir", dir}, args...), &out, &out)
		return code, out.String()
	}
	code, said := send(s.URL)
	require.Zero(t, code, said)
	require.Equal(t, "/v1/metrics", path)
	for _, want := range []string{"jobs_total", "service.name\x12\x06\n\x04shop", "service.instance.id"} {
		require.Contains(t, body, want)
	}
	id := body[bytes.Index([]byte(body), []byte("service.instance.id")):][:50]
	code, said = send(s.URL, "--resource", "service.name=own,a=b", "--label", "zone=z", "--header", "X-Scope-OrgID=team")
	require.Zero(t, code, said)
	require.Contains(t, body, "service.name\x12\x05\n\x03own")
	require.Contains(t, body, "zone")
	require.Contains(t, body, id, "the same after a restart")
	require.Equal(t, "team", tenant)

	t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", s.URL+"/base/")
	t.Setenv("OTEL_EXPORTER_OTLP_HEADERS", "X-Scope-OrgID=a%20b, x=y")
	t.Setenv("OTEL_RESOURCE_ATTRIBUTES", "service.name=env,team=blue%2Cgreen")
	t.Setenv("OTEL_SERVICE_NAME", "service")
	t.Setenv("OTEL_EXPORTER_OTLP_METRICS_TIMEOUT", "30000")
	code, said = send()
	require.Zero(t, code, said)
	require.Equal(t, "/base/v1/metrics", path)
	require.Equal(t, "a b", tenant)
	require.Contains(t, body, "service.name\x12\x09\n\x07service")
	require.Contains(t, body, "blue,green")
	t.Setenv("OTEL_EXPORTER_OTLP_METRICS_ENDPOINT", s.URL+"/as/it/stands")
	code, said = send()
	require.Zero(t, code, said)
	require.Equal(t, "/as/it/stands", path)

	for name, value := range map[string]string{
		"OTEL_EXPORTER_OTLP_METRICS_TIMEOUT": "soon", "OTEL_EXPORTER_OTLP_METRICS_HEADERS": "x", "OTEL_RESOURCE_ATTRIBUTES": "%=%zz", "OTEL_EXPORTER_OTLP_CERTIFICATE": "/none.pem",
	} {
		t.Run(name, func(t *testing.T) {
			t.Setenv(name, value)
			code, said := send()
			require.Equal(t, exitError, code, said)
			if name != "OTEL_EXPORTER_OTLP_CERTIFICATE" {
				require.Contains(t, said, name)
			} else {
				require.Contains(t, said, "/none.pem")
			}
		})
	}
	t.Setenv("OTEL_EXPORTER_OTLP_METRICS_ENDPOINT", "")
	t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "")
	code, said = send()
	require.Equal(t, exitError, code)
	require.Contains(t, said, "URL is missing")
}
