package integration

import (
	"errors"
	"io"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// load is what clients saw. Each request has a connection of its own, which net/http
// never tries again.
type load struct {
	answered atomic.Int64 // with the whole answer
	broken   atomic.Int64 // connected, no whole answer: counted by the server or not
	refused  atomic.Int64 // never connected: not counted

	stop    chan struct{}
	running sync.WaitGroup
}

// send sends n requests by each of clients, or without end when n is 0.
func send(url string, clients, n int) *load {
	l := &load{stop: make(chan struct{})}
	for range clients {
		l.running.Go(func() {
			client := http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: patience}
			for i := 0; n == 0 || i < n; i++ {
				select {
				case <-l.stop:
					return
				default:
					l.request(&client, url)
				}
			}
		})
	}
	return l
}

func (l *load) request(client *http.Client, url string) {
	resp, err := client.Get(url)
	if err == nil {
		var body []byte
		body, err = io.ReadAll(resp.Body)
		resp.Body.Close()
		if err == nil && resp.StatusCode == http.StatusOK && string(body) == "hello\n" {
			l.answered.Add(1)
			return
		}
	}
	if op, ok := errors.AsType[*net.OpError](err); ok && op.Op == "dial" {
		l.refused.Add(1)
		<-time.After(poll) // leave the processors to those who start
		return
	}
	l.broken.Add(1)
}

// more waits until that many more requests were answered.
func (l *load) more(t *testing.T, n int64) {
	t.Helper()
	from := l.answered.Load()
	require.Eventually(t, func() bool { return l.answered.Load() >= from+n }, patience, poll)
}

// end ends the load and waits for the last answers.
func (l *load) end() {
	close(l.stop)
	l.running.Wait()
}
