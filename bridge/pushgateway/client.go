package pushgateway

import (
	"bytes"
	"crypto/tls"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/snappy"

	"github.com/multiprom/multiprom/bridge/delivery"
	"github.com/multiprom/multiprom/bridge/internal/tlsclient"
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
	config, err := tlsclient.Config(delivery.TLS(o.TLS))
	if err != nil {
		return nil, nil, err
	}
	strange := config.Clone()
	strange.GetClientCertificate, strange.ServerName = nil, ""
	client := func(c *tls.Config) *http.Client {
		return &http.Client{Transport: tlsclient.Transport(c), CheckRedirect: dontFollow}
	}
	return client(config), client(strange), nil
}

func dontFollow(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }

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
