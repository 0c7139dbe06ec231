package send

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/multiprom/multiprom/bridge/delivery"
	"github.com/multiprom/multiprom/bridge/internal/tlsclient"
)

// maxAnswer is how much of an answer's body is read. Prometheus names every series of a
// request that it refuses.
const maxAnswer = 4 << 10

// maxRetryAfter bounds how long a receiver can silence the sender.
const maxRetryAfter = 10 * time.Minute

// Answer is what a receiver said to a request.
type Answer struct {
	Code       int
	Status     string // 400 Bad Request
	Header     http.Header
	Body       []byte // its start
	retryAfter time.Duration
}

// Line returns the first line of the body, for a log.
func (a *Answer) Line() string {
	const longest = 300
	line, _, _ := strings.Cut(strings.TrimSpace(string(a.Body)), "\n")
	if len(line) > longest {
		line = line[:longest] + "…"
	}
	return strings.ToValidUTF8(line, "\uFFFD")
}

// client sends requests to the receiver.
type client struct {
	opts   *delivery.Options
	target *url.URL
	http   *http.Client
}

func newClient(o *delivery.Options) (*client, error) {
	raw := o.URL
	if !strings.Contains(raw, "://") {
		raw = "http://" + raw
	}
	target, err := url.Parse(raw)
	if err != nil {
		return nil, fmt.Errorf("URL: %w", err)
	}
	if target.Scheme != "http" && target.Scheme != "https" || target.Host == "" || target.Fragment != "" {
		return nil, fmt.Errorf("URL: %q is not the URL of a receiver, such as http://host:9090/api/v1/write", target.Redacted())
	}
	if u := target.User; u != nil {
		if o.Username == "" {
			o.Username = u.Username()
			o.Password, _ = u.Password()
		}
		target.User = nil
	}
	for field, value := range map[string]string{"Token": o.Token, "TokenFile": o.TokenFile} {
		if value != "" && o.Username != "" {
			return nil, fmt.Errorf("both %s and Username are set: use one", field)
		}
	}
	c := &client{opts: o, target: target}
	if c.http, err = httpClient(o); err != nil {
		return nil, err
	}
	if _, err := c.credentials(); err != nil {
		return nil, err
	}
	return c, nil
}

func httpClient(o *delivery.Options) (*http.Client, error) {
	dontFollow := func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	if o.Client != nil {
		own := *o.Client
		own.CheckRedirect = dontFollow
		if o.TLS != (delivery.TLS{}) {
			return nil, errors.New("options Client and TLS are both set: set TLS in the client's transport instead")
		}
		return &own, nil
	}
	config, err := tlsclient.Config(o.TLS)
	if err != nil {
		return nil, err
	}
	return &http.Client{Transport: tlsclient.Transport(config), CheckRedirect: dontFollow}, nil
}

// credentials returns the header Authorization, or "". It reads the files again.
func (c *client) credentials() (string, error) {
	secret := func(value, path, field string) (string, error) {
		if path == "" {
			return value, nil
		}
		b, err := os.ReadFile(path)
		if err != nil {
			return "", fmt.Errorf("%s: %w", field, err)
		}
		return strings.TrimRight(string(b), "\r\n"), nil
	}
	if c.opts.Username != "" {
		password, err := secret(c.opts.Password, c.opts.PasswordFile, "PasswordFile")
		if err != nil {
			return "", err
		}
		var r http.Request
		r.Header = http.Header{}
		r.SetBasicAuth(c.opts.Username, password)
		return r.Header.Get("Authorization"), nil
	}
	token, err := secret(c.opts.Token, c.opts.TokenFile, "TokenFile")
	if err != nil || token == "" {
		return "", err
	}
	return "Bearer " + token, nil
}

// post sends one request and reads the start of the answer.
func (c *client) post(ctx context.Context, body []byte, header func(http.Header)) (*Answer, error) {
	ctx, cancel := context.WithTimeout(ctx, c.opts.Timeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, c.target.String(), bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	for name, value := range c.opts.Headers {
		req.Header.Set(name, value)
	}
	authorization, err := c.credentials()
	if err != nil {
		return nil, err
	}
	if authorization != "" {
		req.Header.Set("Authorization", authorization)
	}
	req.Header.Set("User-Agent", "multiprom")
	header(req.Header)
	resp, err := c.http.Do(req)
	if err != nil {
		return nil, err // it includes method and URL
	}
	defer resp.Body.Close()
	a := &Answer{Code: resp.StatusCode, Status: resp.Status, Header: resp.Header}
	a.Body, err = io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	if err != nil && a.Code/100 == 2 {
		return nil, fmt.Errorf("%s %s: the answer ended early: %w", http.MethodPost, c.target, err)
	}
	a.retryAfter = parseRetryAfter(resp.Header.Get("Retry-After"), c.opts.Now())
	return a, nil
}

// parseRetryAfter returns the delay that a receiver asks for, in seconds or as a date; 0 if
// it asks for none.
func parseRetryAfter(value string, now time.Time) time.Duration {
	d := time.Duration(0)
	if seconds, err := strconv.Atoi(value); err == nil {
		d = time.Duration(min(max(seconds, 0), int(maxRetryAfter/time.Second))) * time.Second
	} else if at, err := http.ParseTime(value); err == nil {
		d = at.Sub(now)
	}
	return min(max(d, 0), maxRetryAfter)
}
