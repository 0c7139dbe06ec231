package integration

import (
	"os"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestTableflip upgrades a server under load: each request is counted once, by the old
// process or by the new one, and both are seen while both live.
func TestTableflip(t *testing.T) {
	s := newServer(t, "tableflip")
	require.NoError(t, os.Mkdir(s.dir, 0o700))
	s.start()
	pid := s.waitLive(1)[0]
	l := send("http://"+s.address+"/", 4, 0)
	for range 3 {
		l.more(t, 50)
		require.NoError(t, syscall.Kill(pid, syscall.SIGHUP))
		pid = s.waitLive(1, pid)[0] // the old one has drained
	}
	l.more(t, 50)
	l.end()
	require.Zero(t, l.broken.Load())
	merged := sample(t, scrape(t, "http://"+s.address+"/metrics"), "requests_total")
	require.EqualValues(t, l.answered.Load(), merged)
	s.end()
}
