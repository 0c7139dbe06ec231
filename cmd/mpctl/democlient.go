package main

import (
	"context"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"time"
)

// demoClient sends requests and counts what became of each.
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

// run sends one request after the other until ctx ends. A request that was
// begun is seen through: one that we gave up might have been counted.
func (c *demoClient) run(ctx context.Context) {
	for ctx.Err() == nil {
		if c.one() {
			c.answered.Add(1)
			continue
		}
		c.broken.Add(1)
		select {
		case <-ctx.Done():
		case <-time.After(5 * time.Millisecond): // no busy loop while nobody listens
		}
	}
}

// one sends a request and reports whether the whole answer came. It is a POST
// whose body cannot be sent twice, so that the transport never repeats it
// behind our back: each call is counted at most once by a worker.
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
