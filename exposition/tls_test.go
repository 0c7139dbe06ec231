package exposition

import (
	"crypto/tls"
	"crypto/x509"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/multiprom/multiprom/gather"
	"github.com/multiprom/multiprom/internal/certtest"
)

// serveTLS returns the URL of a server.
func serveTLS(t *testing.T, opts TLS) string {
	t.Helper()
	s, err := Serve(ServerOptions{Addr: "127.0.0.1:0", Gatherer: gather.Func(some), TLS: &opts})
	require.NoError(t, err)
	t.Cleanup(func() { s.Close() })
	require.Contains(t, s.URL(), "https://127.0.0.1:")
	return s.URL()
}

// scrapeTLS scrapes over a new connection, with a client certificate if there is one,
// and returns what the server presented.
func scrapeTLS(t *testing.T, url, ca, cert, key string, version uint16) (state *tls.ConnectionState, err error) {
	t.Helper()
	pem, err := os.ReadFile(ca)
	require.NoError(t, err)
	config := &tls.Config{RootCAs: x509.NewCertPool(), MaxVersion: version, MinVersion: tls.VersionTLS10}
	config.RootCAs.AppendCertsFromPEM(pem)
	if cert != "" {
		pair, err := tls.LoadX509KeyPair(cert, key)
		require.NoError(t, err)
		config.Certificates = []tls.Certificate{pair}
	}
	transport := &http.Transport{TLSClientConfig: config}
	defer transport.CloseIdleConnections()
	resp, err := (&http.Client{Transport: transport}).Get(url)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	require.Equal(t, http.StatusOK, resp.StatusCode, "%s", b)
	require.Contains(t, string(b), "# TYPE")
	return resp.TLS, nil
}

func TestTLS(t *testing.T) {
	cert, key := certtest.New(t, "server")
	url := serveTLS(t, TLS{CertFile: cert, KeyFile: key, MaxVersion: tls.VersionTLS12})
	state, err := scrapeTLS(t, url, cert, "", "", 0)
	require.NoError(t, err)
	require.EqualValues(t, tls.VersionTLS12, state.Version)
	_, err = scrapeTLS(t, url, cert, "", "", tls.VersionTLS11)
	require.ErrorContains(t, err, "protocol version")
	other, _ := certtest.New(t, "other")
	_, err = scrapeTLS(t, url, other, "", "", 0)
	require.ErrorContains(t, err, "certificate")
}

func TestMutualTLS(t *testing.T) {
	cert, key := certtest.New(t, "server")
	clientCert, clientKey := certtest.New(t, "client")
	dir := t.TempDir()
	require.NoError(t, os.Symlink(clientCert, filepath.Join(dir, "ca.crt")))
	require.NoError(t, os.Mkdir(filepath.Join(dir, "..data"), 0o700))
	for name, opts := range map[string]TLS{"file": {ClientCAFile: clientCert}, "directory": {ClientCADir: dir}} {
		t.Run(name, func(t *testing.T) {
			opts.CertFile, opts.KeyFile, opts.RequireClientCert = cert, key, true
			url := serveTLS(t, opts)
			_, err := scrapeTLS(t, url, cert, clientCert, clientKey, 0)
			require.NoError(t, err)
			_, err = scrapeTLS(t, url, cert, "", "", 0)
			require.Error(t, err, "without a certificate")
			_, err = scrapeTLS(t, url, cert, cert, key, 0)
			require.Error(t, err, "with another one")
		})
	}
	_, err := scrapeTLS(t, serveTLS(t, TLS{CertFile: cert, KeyFile: key, RequireClientCert: true}), cert, clientCert, clientKey, 0)
	require.Error(t, err, "the system's CAs have not signed it")
}

// TestRenewedCertificates: renewed certificates are used without a restart, broken ones
// are not.
func TestRenewedCertificates(t *testing.T) {
	cert, key := certtest.New(t, "old")
	newCert, newKey := certtest.New(t, "new")
	clientCert, clientKey := certtest.New(t, "client")
	otherCert, otherKey := certtest.New(t, "other client")
	url := serveTLS(t, TLS{CertFile: cert, KeyFile: key, RequireClientCert: true, ClientCAFile: clientCert})
	ca := filepath.Join(t.TempDir(), "ca.pem")
	replace := func(from, to string) {
		t.Helper()
		b, err := os.ReadFile(from)
		require.NoError(t, err)
		require.NoError(t, os.WriteFile(to, b, 0o600))
		// Two writes may have the same time on the filesystem's clock.
		stamp := time.Now().Add(time.Duration(len(from)) * time.Second)
		require.NoError(t, os.Chtimes(to, stamp, stamp))
	}
	replace(cert, ca)
	subject := func(ca, cert, key string) string {
		t.Helper()
		state, err := scrapeTLS(t, url, ca, cert, key, 0)
		require.NoError(t, err)
		return state.PeerCertificates[0].Subject.CommonName
	}
	require.Equal(t, "old", subject(ca, clientCert, clientKey))
	client := filepath.Join(t.TempDir(), "client.pem")
	replace(clientCert, client)

	broken := filepath.Join(t.TempDir(), "broken")
	require.NoError(t, os.WriteFile(broken, []byte("half a certif"), 0o600))
	replace(broken, cert)
	require.Equal(t, "old", subject(ca, client, clientKey), "the last good one")
	replace(newCert, cert)
	replace(newKey, key)
	require.Equal(t, "new", subject(newCert, client, clientKey))
	replace(otherCert, clientCert)
	require.Equal(t, "new", subject(newCert, otherCert, otherKey))
	_, err := scrapeTLS(t, url, newCert, client, clientKey, 0)
	require.Error(t, err, "its CA is no longer one")
}

func TestTLSOptions(t *testing.T) {
	cert, key := certtest.New(t, "server")
	_, otherKey := certtest.New(t, "other")
	for _, c := range []struct {
		opts TLS
		want string
	}{
		{TLS{CertFile: cert}, "KeyFile is empty"},
		{TLS{CertFile: cert, KeyFile: "none.key"}, "none.key"},
		{TLS{CertFile: cert, KeyFile: otherKey}, "private key does not match"},
		{TLS{CertFile: cert, KeyFile: key, ClientCAFile: cert}, "everybody could connect"},
		{TLS{CertFile: cert, KeyFile: key, RequireClientCert: true, ClientCAFile: key}, "no PEM certificate"},
		{TLS{CertFile: cert, KeyFile: key, RequireClientCert: true, ClientCADir: t.TempDir()}, "has no file"},
	} {
		_, err := Serve(ServerOptions{Addr: "127.0.0.1:0", TLS: &c.opts})
		require.ErrorContains(t, err, "exposition: TLS: ")
		require.ErrorContains(t, err, c.want)
	}
}
