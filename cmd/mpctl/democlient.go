package main

import (
	"context"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"time"
)

// demoClient sends requests and counts their outcomes.
type demoClient struct {
	url      string
	http     *http.Client
	answered atomic.Uint64
	broken   atomic.Uint64
}

func newDemoClient(url string) *demoClient {
	return &demoClient{url: url, http: &http.Client{
		Transport: &http.Transport{MaxIdleConnsPerHost: 64},
		Timeout:   30 * time.Second,
	}}
}

// run sends one request after the other until ctx ends. It never abandons a request,
// because a worker might have counted it.
func (c *demoClient) run(ctx context.Context) {
	for ctx.Err() == nil {
		if c.one() {
			c.answered.Add(1)
			continue
		}
		c.broken.Add(1)
		select {
		case <-ctx.Done():
		case <-time.After(5 * time.Millisecond): // do not spin while nothing listens
		}
	}
}

// one sends a request and reports whether the whole answer arrived. The request is a
// POST whose body cannot be sent twice, so the transport never retries it silently and
// workers count each call at most once.
func (c *demoClient) one() bool {
	req, err := http.NewRequest(http.MethodPost, c.url, struct{ io.Reader }{strings.NewReader("ping")})
	if err != nil {
		return false
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return false
	}
	defer resp.Body.Close()
	_, err = io.Copy(io.Discard, resp.Body)
	return err == nil && resp.StatusCode == http.StatusOK
}
