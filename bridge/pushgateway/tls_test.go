package pushgateway

import (
	"crypto/tls"
	"crypto/x509"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/multiprom/multiprom/internal/certtest"
)

// tlsServer requires a client certificate signed by clients, if that is set.
func tlsServer(t *testing.T, certFile, keyFile, clients string, answer http.HandlerFunc) string {
	t.Helper()
	pair, err := tls.LoadX509KeyPair(certFile, keyFile)
	require.NoError(t, err)
	s := httptest.NewUnstartedServer(answer)
	s.TLS = &tls.Config{Certificates: []tls.Certificate{pair}}
	if clients != "" {
		b, err := os.ReadFile(clients)
		require.NoError(t, err)
		s.TLS.ClientCAs, s.TLS.ClientAuth = x509.NewCertPool(), tls.RequireAndVerifyClientCert
		require.True(t, s.TLS.ClientCAs.AppendCertsFromPEM(b))
	}
	s.Config.ErrorLog = log.New(io.Discard, "", 0)
	s.StartTLS()
	t.Cleanup(s.Close)
	return s.URL
}

func TestTLS(t *testing.T) {
	serverCert, serverKey := certtest.New(t, "server")
	clientCert, clientKey := certtest.New(t, "client")
	open := tlsServer(t, serverCert, serverKey, "", accept)
	mutual := tlsServer(t, serverCert, serverKey, clientCert, accept)
	for _, c := range []struct {
		name, url string
		tls       TLS
		want      string // in the error
	}{
		{"its CA", open, TLS{CAFile: serverCert}, ""},
		{"any", open, TLS{InsecureSkipVerify: true}, ""},
		{"the system's CAs", open, TLS{}, "certificate"},
		{"another CA", open, TLS{CAFile: clientCert}, "certificate"},
		{"another name", open, TLS{CAFile: serverCert, ServerName: "gw.example"}, "gw.example"},
		{"client certificate", mutual, TLS{CAFile: serverCert, CertFile: clientCert, KeyFile: clientKey}, ""},
		{"no client certificate", mutual, TLS{CAFile: serverCert}, "want a client certificate"},
		{"a wrong client certificate", mutual, TLS{CAFile: serverCert, CertFile: serverCert, KeyFile: serverKey}, mutual},
	} {
		t.Run(c.name, func(t *testing.T) {
			err := pusher(t, Options{URL: c.url, TLS: c.tls}).Push(t.Context(), jobs)
			if c.want == "" {
				require.NoError(t, err)
				return
			}
			require.ErrorContains(t, err, c.want)
		})
	}
}

// TestCertificateStaysHere: the target of a redirect does not get our
// certificate.
func TestCertificateStaysHere(t *testing.T) {
	serverCert, serverKey := certtest.New(t, "server")
	clientCert, clientKey := certtest.New(t, "client")
	other := tlsServer(t, serverCert, serverKey, clientCert, accept)
	here := tlsServer(t, serverCert, serverKey, clientCert, func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, other, http.StatusPermanentRedirect)
	})
	p := pusher(t, Options{URL: here, FollowRedirects: true, TLS: TLS{CAFile: serverCert, CertFile: clientCert, KeyFile: clientKey}})
	require.Error(t, p.Push(t.Context(), jobs))
}

// TestRenewedCertificate: a renewed certificate is used without a restart.
func TestRenewedCertificate(t *testing.T) {
	serverCert, serverKey := certtest.New(t, "server")
	oldCert, oldKey := certtest.New(t, "old")
	newCert, newKey := certtest.New(t, "new")
	url := tlsServer(t, serverCert, serverKey, newCert, accept)
	p := pusher(t, Options{URL: url, TLS: TLS{CAFile: serverCert, CertFile: oldCert, KeyFile: oldKey}})
	require.Error(t, p.Push(t.Context(), jobs))
	require.NoError(t, os.Rename(newCert, oldCert))
	require.NoError(t, os.Rename(newKey, oldKey))
	require.NoError(t, p.Push(t.Context(), jobs))
}
