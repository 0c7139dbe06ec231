package integration

import (
	"net"
	"os"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
)

func startTableflip(t *testing.T) (s *server, pid int) {
	s = newServer(t, "tableflip")
	require.NoError(t, os.Mkdir(s.dir, 0o700))
	s.start()
	pid = s.waitLive(1)[0]
	s.waitAnswers() // counted, as every path but /metrics is
	return s, pid
}

// TestTableflipOldAndNew: while the old process drains, both are in the metrics; when
// it is gone, what it has counted still is.
func TestTableflipOldAndNew(t *testing.T) {
	s, old := startTableflip(t)
	url := "http://" + s.address + "/metrics"
	before := sample(t, scrape(t, url), "requests_total")
	// A connection without a request keeps the old process: it was accepted before
	// those that are answered after it.
	held, err := net.Dial("tcp", s.address)
	require.NoError(t, err)
	defer held.Close()
	send("http://"+s.address+"/", 2, 10).running.Wait()
	require.Equal(t, before+20, sample(t, scrape(t, url), "requests_total"))

	require.NoError(t, syscall.Kill(old, syscall.SIGHUP))
	s.waitLive(2)
	text := scrape(t, url)
	require.Equal(t, before+20, sample(t, text, "requests_total"))
	require.Equal(t, 2, strings.Count(text, "\nprocess_start_time_seconds{"))

	require.NoError(t, held.Close())
	s.waitLive(1, old)
	send("http://"+s.address+"/", 2, 10).running.Wait()
	require.Equal(t, before+40, sample(t, scrape(t, url), "requests_total"))
}

// TestTableflipUnderLoad: every request that was answered is counted once, by the old
// process or by the new one.
func TestTableflipUnderLoad(t *testing.T) {
	s, pid := startTableflip(t)
	before := sample(t, scrape(t, "http://"+s.address+"/metrics"), "requests_total")
	l := send("http://"+s.address+"/", 4, 0)
	for range 3 {
		l.more(t, 50)
		require.NoError(t, syscall.Kill(pid, syscall.SIGHUP))
		pid = s.waitLive(1, pid)[0] // the old one has drained
	}
	l.more(t, 50)
	l.end()
	require.Zero(t, l.refused.Load(), "the listener is never closed")
	// Shutdown of net/http closes a connection whose request it reads while it drains:
	// broken, and not counted. A handler that has begun is waited for.
	merged := sample(t, scrape(t, "http://"+s.address+"/metrics"), "requests_total")
	require.EqualValues(t, l.answered.Load(), merged-before)
}
