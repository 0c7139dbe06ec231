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
	"github.com/multiprom/multiprom/internal/options"
	"github.com/multiprom/multiprom/internal/untimed"
	"github.com/multiprom/multiprom/registry"
)

// Options of New. URL and Job are needed.
type Options struct {
	// URL of the Pushgateway, with a path where it has a prefix. Without a scheme
	// it is http://. A name and password in it are used for basic auth.
	URL string
	// Job is the value of the label job of the group.
	Job string
	// Grouping are the further labels of the group. See InstanceIPGroupingKey.
	// Default: none.
	Grouping map[string]string

	// Username and Password are for basic auth; Token is sent as a bearer token.
	// One of the two is possible. Default: none.
	Username, Password string
	Token              string

	// Client sends the requests; its TLS and its certificates are then yours to
	// set. Default one with TLS.
	Client *http.Client
	// TLS is for the default client.
	TLS TLS

	// FollowRedirects follows up to ten of them. Default: one is an error,
	// ErrRedirect.
	FollowRedirects bool
	// Compression of what is sent. Default none.
	Compression Compression
	// Format of what is sent. Default text 0.0.4, which every Pushgateway reads.
	Format exposition.Format
	// Created adds the time when each counter, histogram and summary began. Default:
	// it is left out.
	Created bool
	// Timeout is for contexts without a deadline. Default 30 s.
	Timeout time.Duration
}

// Pusher pushes to one group. It is safe for concurrent use.
type Pusher struct {
	opts   Options
	target *url.URL
	client *http.Client // with our credentials
	other  *http.Client // for other hosts, without them
}

// New returns a Pusher. The error says which option is wrong; nothing is sent.
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
		return nil, errors.New("pushgateway: Token and Username are set; one of them is possible")
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
	// It checks the format before it writes.
	_, err := exposition.Append(nil, nil, exposition.Options{Format: o.Format})
	return errors.Join(c.Err(), err)
}

// Push replaces all metrics of the group by those that g yields (PUT). If g fails,
// nothing is sent. An answer other than 2xx is a *StatusError. An
// *exposition.OmissionError says that some series had to be left out, such as those
// with a timestamp, which a Pushgateway refuses; everything else was pushed.
func (p *Pusher) Push(ctx context.Context, g registry.Gatherer) error {
	return p.push(ctx, http.MethodPut, g)
}

// Add replaces the metrics of the group that have the names of those that g
// yields (POST); others stay.
func (p *Pusher) Add(ctx context.Context, g registry.Gatherer) error {
	return p.push(ctx, http.MethodPost, g)
}

// Delete removes the group.
func (p *Pusher) Delete(ctx context.Context) error {
	return p.send(ctx, http.MethodDelete, nil)
}

func (p *Pusher) push(ctx context.Context, method string, g registry.Gatherer) error {
	families, err := g.Gather(ctx)
	if err != nil {
		return fmt.Errorf("pushgateway: nothing is pushed: %w", err)
	}
	body, omitted := untimed.Append(families, exposition.Options{Format: p.opts.Format, Created: p.opts.Created})
	if err := p.send(ctx, method, p.opts.Compression.compress(body)); err != nil {
		return err
	}
	if omitted != nil {
		return fmt.Errorf("pushgateway: everything else is pushed: %w", omitted)
	}
	return nil
}

// StatusError is an answer that says no.
type StatusError struct {
	Method  string
	URL     string // without a password
	Status  string // 400 Bad Request
	Code    int
	Message string // the beginning of the body
}

// Error says what the server said.
func (e *StatusError) Error() string {
	s := fmt.Sprintf("%s %s: %s", e.Method, e.URL, e.Status)
	if e.Message != "" {
		s += ": " + e.Message
	}
	return s
}

// ErrRedirect: the server wants the request elsewhere, and Options.FollowRedirects
// is not set.
var ErrRedirect = errors.New("the server redirects")

const (
	maxRedirects = 10
	maxMessage   = 512 // bytes of an answer that are shown
)

// send sends a request, and again where it is redirected.
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
			return fmt.Errorf("pushgateway: %s %s: %w to %s", method, to, ErrRedirect, next.Redacted())
		}
		ours = ours && sameServer(to, next)
		next.User = nil
		to = next
	}
	return fmt.Errorf("pushgateway: %s %s: %w more than %d times", method, p.target, ErrRedirect, maxRedirects)
}

// sendOnce returns where the server redirects to, nil when it has accepted the
// request. ours says that it is the server that our credentials are for.
func (p *Pusher) sendOnce(ctx context.Context, method string, to *url.URL, body []byte, ours bool) (*url.URL, error) {
	req, err := http.NewRequestWithContext(ctx, method, to.String(), bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	if body != nil {
		req.Header.Set("Content-Type", p.opts.Format.ContentType())
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
		return nil, p.explain(to, err) // it says method and URL
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

// explain adds what may be behind an error. In TLS 1.3 a server looks for the client's
// certificate when the client is sending already: the alert that says so can be lost
// behind a broken connection.
func (p *Pusher) explain(to *url.URL, err error) error {
	var op *net.OpError
	alert := errors.As(err, &op) && op.Op == "remote error" // crypto/tls has no name for it
	broken := errors.Is(err, syscall.EPIPE) || errors.Is(err, syscall.ECONNRESET) || alert
	if to.Scheme == "https" && p.opts.Client == nil && p.opts.TLS.CertFile == "" && broken {
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

// sameServer reports whether what may be said to one may be said to the other.
func sameServer(from, to *url.URL) bool {
	if from.Hostname() != to.Hostname() {
		return false
	}
	if from.Scheme == "http" && to.Scheme == "https" {
		return true // the same host, and better kept
	}
	return from.Scheme == to.Scheme && from.Port() == to.Port()
}
