package integration

import (
	"os"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
)

const gets = `http_requests_total{code="200",method="get"}`

// startFour starts four processes of an example, on addresses of their own and
// with one directory.
func startFour(t *testing.T, name string) (four []*server) {
	first := newServer(t, name)
	require.NoError(t, os.Mkdir(first.dir, 0o700))
	for len(four) < children {
		s := first
		if len(four) > 0 {
			s = newServer(t, name)
			s.dir = first.dir
		}
		s.start()
		four = append(four, s)
	}
	for _, s := range four {
		waitMetrics(s)
	}
	return four
}

// waitMetrics waits until the server answers a scrape, which it does not count.
func waitMetrics(s *server) {
	s.t.Helper()
	require.Eventually(s.t, func() bool {
		_, err := fetch("http://" + s.address + "/metrics")
		return err == nil
	}, patience, poll)
}

func metrics(s *server) string {
	s.t.Helper()
	return scrape(s.t, "http://"+s.address+"/metrics")
}

// TestImportsReplaced: a server of client_golang with its imports replaced. Any of
// four processes shows the exact sum; where two are killed under load, no answer is
// lost.
func TestImportsReplaced(t *testing.T) {
	four := startFour(t, "clientgolang")
	for i, s := range four {
		send("http://"+s.address+"/", 2, 10*(i+1)).running.Wait()
	}
	for _, s := range four {
		text := metrics(s)
		require.Equal(t, 200, sample(t, text, gets))
		require.Equal(t, 200, sample(t, text, `http_request_duration_seconds_count{method="get"}`))
		require.Equal(t, 0, sample(t, text, "http_requests_in_flight"))
		require.Equal(t, children, strings.Count(text, "\nprocess_start_time_seconds{"))
	}

	var loads []*load
	for _, s := range four {
		loads = append(loads, send("http://"+s.address+"/", 2, 0))
	}
	for i := range 2 {
		loads[i].more(t, 50)
		four[i].end() // by SIGKILL
	}
	loads[3].more(t, 50)
	answered, broken := 200, 0
	for _, l := range loads {
		l.end()
		answered += int(l.answered.Load())
		broken += int(l.broken.Load())
	}
	for _, s := range four[2:] {
		merged := sample(t, metrics(s), gets)
		require.LessOrEqual(t, answered, merged)
		require.LessOrEqual(t, merged, answered+broken)
		require.Equal(t, 0, sample(t, metrics(s), "http_requests_in_flight"), "of the living")
	}
}

// TestPublished: a server whose metrics are client_golang's own. The sum is exact
// within a period; SIGTERM loses nothing, SIGKILL what was not published yet.
func TestPublished(t *testing.T) {
	four := startFour(t, "publish")
	total := 0
	more := func(s *server, n int) {
		send("http://"+s.address+"/", 2, n/2).running.Wait()
		total += n
	}
	published := func(s *server) {
		t.Helper()
		require.Eventually(t, func() bool {
			return strings.Contains(metrics(s), "\n"+gets+" ") && sample(t, metrics(s), gets) == total
		}, patience, poll)
	}
	for i, s := range four {
		more(s, 20*(i+1))
	}
	for _, s := range four {
		published(s)
	}
	text := metrics(four[0])
	require.GreaterOrEqual(t, sample(t, text, "go_goroutines"), children, "the sum, as a dashboard of one process has it")
	require.Equal(t, children, strings.Count(text, "\nprocess_start_time_seconds{"))
	require.Equal(t, children, strings.Count(text, "\nmultiprom_publish_timestamp_seconds{"))
	require.Equal(t, 0, sample(t, text, `multiprom_publish_failures_total{publisher="client_golang"}`))

	more(four[0], 20)
	require.NoError(t, four[0].cmd.Process.Signal(syscall.SIGTERM))
	four[0].wait()
	require.Equal(t, total, sample(t, metrics(four[1]), gets), "at once: Close has published")

	before := total
	more(four[1], 20)
	four[1].end()
	merged := sample(t, metrics(four[2]), gets)
	require.LessOrEqual(t, before, merged, "what was published stays")
	require.LessOrEqual(t, merged, total)
	total = merged
	more(four[3], 20)
	published(four[2])
}
