package pushgateway

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"syscall"
	"time"

	"github.com/multiprom/multiprom/exposition"
	"github.com/multiprom/multiprom/gather"
	"github.com/multiprom/multiprom/internal/options"
	"github.com/multiprom/multiprom/internal/untimed"
)

// Options of New. URL and Job are required.
type Options struct {
	// URL of the Pushgateway, including its path prefix, if any. The default scheme is
	// http://. A name and password in it are used for basic auth. It is required.
	URL string
	// Job is the value of the label job of the group. It is required.
	Job string
	// Grouping holds further labels of the group. See InstanceIPGroupingKey. Default:
	// none.
	Grouping map[string]string

	// Username and Password are for basic auth. Token is sent as a bearer token. Set
	// only one of the two. Default: none.
	Username, Password string
	Token              string

	// Client sends the requests. You then configure its TLS and certificates yourself.
	// Default: a client with TLS.
	Client *http.Client
	// TLS configures the default client.
	TLS TLS

	// FollowRedirects follows up to ten redirects. By default a redirect is an error.
	FollowRedirects bool
	// Compression of the request. Default none.
	Compression Compression
	// ContentType of the request. Default text 0.0.4, which every Pushgateway reads.
	ContentType exposition.ContentType
	// Created adds the time when each counter, histogram and summary started. By
	// default it is left out.
	Created bool
	// Timeout applies to contexts without a deadline. Default 30 s.
	Timeout time.Duration
}

// Pusher pushes to one group. It is safe for concurrent use.
type Pusher struct {
	opts   Options
	target *url.URL
	client *http.Client // with our credentials
	other  *http.Client // for other hosts, without them
}

// New returns a Pusher. The error names the invalid option. Nothing is sent.
func New(opts Options) (*Pusher, error) {
	target, err := opts.target()
	if err != nil {
		return nil, fmt.Errorf("pushgateway: %w", err)
	}
	if err := opts.complete(); err != nil {
		return nil, fmt.Errorf("pushgateway: %w", err)
	}
	if u := target.User; u != nil {
		if opts.Username == "" {
			opts.Username = u.Username()
			opts.Password, _ = u.Password()
		}
		target.User = nil
	}
	if opts.Token != "" && opts.Username != "" {
		return nil, errors.New("pushgateway: both Token and Username are set: use one")
	}
	p := &Pusher{opts: opts, target: target}
	if p.client, p.other, err = opts.clients(); err != nil {
		return nil, fmt.Errorf("pushgateway: %w", err)
	}
	return p, nil
}

// complete checks options and fills in what was left out.
func (o *Options) complete() error {
	var c options.Checker
	options.Number(&c, "Timeout", &o.Timeout, 30*time.Second)
	if o.Compression > Snappy {
		c.Failf("Compression", "is %d: it must be one of its constants", o.Compression)
	}
	if o.Password != "" && o.Username == "" {
		c.Failf("Password", "is set without a Username")
	}
	// Append checks the content type.
	_, err := exposition.Append(nil, nil, exposition.Options{ContentType: o.ContentType})
	return errors.Join(c.Err(), err)
}

// Push replaces all metrics of the group with those that g yields (PUT). If g fails,
// nothing is sent. A response other than 2xx is a *StatusError. An
// *exposition.OmissionError says that some series were left out, such as those with a
// timestamp, which a Pushgateway refuses; everything else was pushed.
func (p *Pusher) Push(ctx context.Context, g gather.Gatherer) error {
	return p.push(ctx, http.MethodPut, g)
}

// Add replaces the metrics of the group that have the same names as those that g yields
// (POST). Others stay.
func (p *Pusher) Add(ctx context.Context, g gather.Gatherer) error {
	return p.push(ctx, http.MethodPost, g)
}

// Delete removes the group.
func (p *Pusher) Delete(ctx context.Context) error {
	return p.send(ctx, http.MethodDelete, nil)
}

func (p *Pusher) push(ctx context.Context, method string, g gather.Gatherer) error {
	families, err := g.Gather(ctx)
	if err != nil {
		return fmt.Errorf("pushgateway: nothing was pushed: %w", err)
	}
	body, omitted := untimed.Append(families, exposition.Options{ContentType: p.opts.ContentType, Created: p.opts.Created})
	if err := p.send(ctx, method, p.opts.Compression.compress(body)); err != nil {
		return err
	}
	if omitted != nil {
		return fmt.Errorf("pushgateway: everything else was pushed: %w", omitted)
	}
	return nil
}

// StatusError is a response other than 2xx.
type StatusError struct {
	Method  string
	URL     string // without a password
	Status  string // 400 Bad Request
	Code    int
	Message string // the start of the body
}

// Error includes the server's message.
func (e *StatusError) Error() string {
	s := fmt.Sprintf("%s %s: %s", e.Method, e.URL, e.Status)
	if e.Message != "" {
		s += ": " + e.Message
	}
	return s
}

// errRedirect: the server redirects the request, and Options.FollowRedirects is not
// set.
var errRedirect = errors.New("the server redirects")

const (
	maxRedirects = 10
	maxMessage   = 512 // bytes of a response that are shown
)

// send sends a request, and sends it again if it is redirected.
func (p *Pusher) send(ctx context.Context, method string, body []byte) error {
	if _, ok := ctx.Deadline(); !ok {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, p.opts.Timeout)
		defer cancel()
	}
	to, ours := p.target, true
	for range maxRedirects + 1 {
		next, err := p.sendOnce(ctx, method, to, body, ours)
		if err != nil {
			return fmt.Errorf("pushgateway: %w", err)
		}
		if next == nil {
			return nil
		}
		if !p.opts.FollowRedirects {
			return fmt.Errorf("pushgateway: %s %s: %w to %s", method, to, errRedirect, next.Redacted())
		}
		ours = ours && sameServer(to, next)
		next.User = nil
		to = next
	}
	return fmt.Errorf("pushgateway: %s %s: %w more than %d times", method, p.target, errRedirect, maxRedirects)
}

// sendOnce returns where the server redirects to, or nil if it accepted the request.
// ours says that our credentials are for this server.
func (p *Pusher) sendOnce(ctx context.Context, method string, to *url.URL, body []byte, ours bool) (*url.URL, error) {
	req, err := http.NewRequestWithContext(ctx, method, to.String(), bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	if body != nil {
		req.Header.Set("Content-Type", p.opts.ContentType.String())
		if p.opts.Compression != NoCompression {
			req.Header.Set("Content-Encoding", p.opts.Compression.String())
		}
	}
	client := p.other
	if ours {
		client = p.client
		p.authorize(req)
	}
	resp, err := client.Do(req)
	if err != nil {
		return nil, p.explain(to, err) // it includes method and URL
	}
	defer resp.Body.Close()
	message, _ := io.ReadAll(io.LimitReader(resp.Body, maxMessage))
	switch {
	case resp.StatusCode/100 == 2:
		return nil, nil
	case resp.StatusCode/100 == 3:
		if next, err := resp.Location(); err == nil {
			return next, nil
		}
	}
	return nil, &StatusError{
		Method: method, URL: to.Redacted(), Status: resp.Status, Code: resp.StatusCode, Message: strings.ToValidUTF8(strings.TrimSpace(string(message)), "�"),
	}
}

// explain adds the possible reason for an error. In TLS 1.3 a server checks the
// client's certificate when the client is already sending. The alert about it can be
// lost when the connection breaks, or when the transport closes it because of the alert.
// So can be the answer of a server that speaks https, if we do not.
func (p *Pusher) explain(to *url.URL, err error) error {
	var op *net.OpError
	alert := errors.As(err, &op) && op.Op == "remote error" // crypto/tls has no name for it
	broken := errors.Is(err, syscall.EPIPE) || errors.Is(err, syscall.ECONNRESET) || errors.Is(err, net.ErrClosed) || alert
	switch {
	case !broken:
	case to.Scheme == "http":
		return fmt.Errorf("%w (the server may want https)", err)
	case p.opts.Client == nil && p.opts.TLS.CertFile == "":
		return fmt.Errorf("%w (the server may want a client certificate)", err)
	}
	return err
}

func (p *Pusher) authorize(req *http.Request) {
	switch {
	case p.opts.Token != "":
		req.Header.Set("Authorization", "Bearer "+p.opts.Token)
	case p.opts.Username != "":
		req.SetBasicAuth(p.opts.Username, p.opts.Password)
	}
}

// sameServer reports whether credentials for from may be sent to to.
func sameServer(from, to *url.URL) bool {
	if from.Hostname() != to.Hostname() {
		return false
	}
	if from.Scheme == "http" && to.Scheme == "https" {
		return true // the same host, now with TLS
	}
	return from.Scheme == to.Scheme && from.Port() == to.Port()
}
