package pushgateway

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net/http"
	"os"
	"strings"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/snappy"
)

// TLS says whom the default client trusts, and how it identifies itself.
type TLS struct {
	// CAFile has the CA certificates for the server's certificate, in PEM. Default: the
	// system's.
	CAFile string
	// CertFile and KeyFile are the client's certificate and key, in PEM. They are read
	// at each handshake, so renewed ones are used. Default: none.
	CertFile, KeyFile string
	// ServerName is the name that the server's certificate must be for. Default: the
	// URL's host.
	ServerName string
	// InsecureSkipVerify accepts any certificate. Anybody between client and server can
	// then read and change what is pushed, including credentials.
	InsecureSkipVerify bool
}

// clients returns one client for the server of the URL, and one for other servers,
// which must not get our certificate.
func (o *Options) clients() (ours, other *http.Client, err error) {
	if o.Client != nil {
		client := *o.Client
		client.CheckRedirect = dontFollow
		if o.TLS != (TLS{}) {
			return nil, nil, errors.New("options Client and TLS are both set: set TLS in the client's transport instead")
		}
		return &client, &client, nil
	}
	config, err := o.TLS.config()
	if err != nil {
		return nil, nil, err
	}
	strange := config.Clone()
	strange.GetClientCertificate, strange.ServerName = nil, ""
	client := func(c *tls.Config) *http.Client {
		transport := http.DefaultTransport.(*http.Transport).Clone()
		transport.TLSClientConfig = c
		// With HTTP/2, a server that refuses our certificate would not report it.
		transport.Protocols = new(http.Protocols)
		transport.Protocols.SetHTTP1(true)
		return &http.Client{Transport: transport, CheckRedirect: dontFollow}
	}
	return client(config), client(strange), nil
}

func dontFollow(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }

func (t TLS) config() (*tls.Config, error) {
	config := &tls.Config{ServerName: t.ServerName, InsecureSkipVerify: t.InsecureSkipVerify}
	if t.CAFile != "" {
		pem, err := os.ReadFile(t.CAFile)
		if err != nil {
			return nil, fmt.Errorf("TLS.CAFile: %w", err)
		}
		config.RootCAs = x509.NewCertPool()
		if !config.RootCAs.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("TLS.CAFile: %s has no PEM certificate", t.CAFile)
		}
	}
	if (t.CertFile == "") != (t.KeyFile == "") {
		return nil, errors.New("only one of TLS.CertFile and TLS.KeyFile is set")
	}
	if t.CertFile != "" {
		load := func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
			pair, err := tls.LoadX509KeyPair(t.CertFile, t.KeyFile)
			if err != nil {
				return nil, fmt.Errorf("TLS.CertFile, TLS.KeyFile: %w", err)
			}
			return &pair, nil
		}
		if _, err := load(nil); err != nil {
			return nil, err
		}
		config.GetClientCertificate = load
	}
	return config, nil
}

// Compression of what is pushed. A Pushgateway reads gzip since 1.5 and snappy (framed)
// since 1.6.
type Compression uint8

// The compressions.
const (
	NoCompression Compression = iota
	Gzip
	Snappy
)

// String returns the name as in Content-Encoding.
func (c Compression) String() string {
	if c > Snappy {
		return fmt.Sprintf("Compression(%d)", uint8(c))
	}
	return [...]string{"none", "gzip", "snappy"}[c]
}

// UnmarshalText sets c to the compression with that name.
func (c *Compression) UnmarshalText(name []byte) error {
	for _, known := range []Compression{NoCompression, Gzip, Snappy} {
		if strings.EqualFold(string(name), known.String()) {
			*c = known
			return nil
		}
	}
	return fmt.Errorf("%q is not a compression: use none, gzip or snappy", name)
}

func (c Compression) compress(b []byte) []byte {
	var out bytes.Buffer
	switch c {
	case Gzip:
		w := gzip.NewWriter(&out)
		_, _ = w.Write(b) // never fails on a buffer
		_ = w.Close()
	case Snappy:
		w := snappy.NewBufferedWriter(&out)
		_, _ = w.Write(b)
		_ = w.Close()
	default:
		return b
	}
	return out.Bytes()
}
