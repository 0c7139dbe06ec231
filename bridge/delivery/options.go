package delivery

import (
	"log/slog"
	"net/http"
	"time"
)

// Options say where metrics are sent, and how. URL is required.
type Options struct {
	// URL of the receiver's endpoint, with its path. The default scheme is http://. A name
	// and password in it are used for basic auth. It is required.
	URL string

	// Username and Password are for basic auth. Token is sent as a bearer token. Set only
	// one of the two. Default: none.
	Username, Password string
	Token              string
	// PasswordFile and TokenFile have the password or token. They are read for each
	// request, so a renewed one is used. Default: none.
	PasswordFile, TokenFile string
	// Headers are sent with each request, such as X-Scope-OrgID. Default: none.
	Headers map[string]string
	// Client sends the requests. You then configure its TLS and proxy yourself. Redirects
	// are not followed in any case. Default: a client with TLS and the environment's proxy.
	Client *http.Client
	// TLS configures the default client.
	TLS TLS

	// Interval is how often Run sends. Default 15 s.
	Interval time.Duration
	// Timeout is the time for one request. Default 30 s.
	Timeout time.Duration
	// MaxBackoff is the longest delay after a failure. Delays begin at a hundredth of it and
	// double. Default 30 s.
	MaxBackoff time.Duration
	// MaxSamples and MaxBytes bound a request, before compression: at the latest it ends with
	// the sample that reaches one of them. Default 2,000 samples and 1 MB.
	MaxSamples, MaxBytes int

	// QueueDir is a directory for rounds that were not sent yet. One process uses it at a
	// time. Default: none are kept.
	QueueDir string
	// QueueBytes bounds the rounds in the queue. Default 512 MiB; metric.NoLimit.
	QueueBytes int
	// QueueAge is how old a round may get in the queue. Default 2 h, since Prometheus
	// refuses samples that are much older than its newest; metric.NoLimit.
	QueueAge time.Duration

	// Logger gets the errors of Run; nil logs nothing.
	Logger *slog.Logger
	// Now is the clock. Default time.Now.
	Now func() time.Time
}

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
	// then read and change what is sent, including credentials.
	InsecureSkipVerify bool
}
