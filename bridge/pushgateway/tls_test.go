package pushgateway

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"io"
	"log"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// certify writes a certificate for 127.0.0.1 and its key, signed by itself.
func certify(t *testing.T, name string) (certFile, keyFile string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	require.NoError(t, err)
	keyDER, err := x509.MarshalECPrivateKey(key)
	require.NoError(t, err)
	certFile, keyFile = filepath.Join(t.TempDir(), name+".pem"), filepath.Join(t.TempDir(), name+".key")
	require.NoError(t, os.WriteFile(certFile, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o600))
	require.NoError(t, os.WriteFile(keyFile, pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: keyDER}), 0o600))
	return certFile, keyFile
}

// tlsServer wants a client certificate that clients has signed, where it is set.
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
	serverCert, serverKey := certify(t, "server")
	clientCert, clientKey := certify(t, "client")
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
		{"no client certificate", mutual, TLS{CAFile: serverCert}, "certificate required"},
		{"a wrong client certificate", mutual, TLS{CAFile: serverCert, CertFile: serverCert, KeyFile: serverKey}, "tls: "},
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

// TestCertificateStaysHere: whoever a server redirects to does not get our
// certificate.
func TestCertificateStaysHere(t *testing.T) {
	serverCert, serverKey := certify(t, "server")
	clientCert, clientKey := certify(t, "client")
	other := tlsServer(t, serverCert, serverKey, clientCert, accept)
	here := tlsServer(t, serverCert, serverKey, clientCert, func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, other, http.StatusPermanentRedirect)
	})
	p := pusher(t, Options{URL: here, FollowRedirects: true, TLS: TLS{CAFile: serverCert, CertFile: clientCert, KeyFile: clientKey}})
	require.ErrorContains(t, p.Push(t.Context(), jobs), "certificate required")
}

// TestRenewedCertificate: a certificate that was renewed is used without a restart.
func TestRenewedCertificate(t *testing.T) {
	serverCert, serverKey := certify(t, "server")
	oldCert, oldKey := certify(t, "old")
	newCert, newKey := certify(t, "new")
	url := tlsServer(t, serverCert, serverKey, newCert, accept)
	p := pusher(t, Options{URL: url, TLS: TLS{CAFile: serverCert, CertFile: oldCert, KeyFile: oldKey}})
	require.ErrorContains(t, p.Push(t.Context(), jobs), "tls: ")
	require.NoError(t, os.Rename(newCert, oldCert))
	require.NoError(t, os.Rename(newKey, oldKey))
	require.NoError(t, p.Push(t.Context(), jobs))
}
