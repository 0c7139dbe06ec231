package integration

import (
	"fmt"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/multiprom/multiprom/registry"
)

const (
	answers   = `http_requests_total{code="200",method="GET",path="/"}`
	unmatched = `http_requests_total{code="404",method="GET",path="unmatched"}`
	seconds   = `http_request_duration_seconds_count{method="GET",path="/"}`
)

// frameworks are the prefork examples.
var frameworks = []struct {
	name     string
	restarts bool // the master ends with the first child that dies
	kills    int
}{
	{"fasthttp", false, 20},
	{"fiberv2", true, 20},
	{"fiberv3", false, 20},
	// One of each slot, whose next young death would be answered with a delay.
	{"fibersupervised", false, children},
}

// TestEveryRequestOnce: without kills the merged metrics equal what clients saw, at
// any child and at the master's port, and do so still when all are gone.
func TestEveryRequestOnce(t *testing.T) {
	for _, f := range frameworks {
		t.Run(f.name, func(t *testing.T) {
			s := newServer(t, f.name)
			s.start()
			s.waitLive(children)
			s.waitAnswers()

			before := sample(t, scrape(t, "http://"+s.metricsAt), unmatched)
			const clients, each, unknown = 8, 200, 50
			l := send("http://"+s.address+"/", clients, each)
			for i := range unknown {
				scrape(t, fmt.Sprintf("http://%s/no/such/%d", s.address, i))
			}
			l.running.Wait()
			require.EqualValues(t, clients*each, l.answered.Load())

			texts := []string{scrape(t, "http://"+s.metricsAt)}
			require.Equal(t, 0, sample(t, texts[0], "http_requests_in_flight"))
			for range 8 { // any child
				text := scrape(t, "http://"+s.address+"/metrics")
				require.Equal(t, 1, sample(t, text, "http_requests_in_flight"), "the scrape itself")
				texts = append(texts, text)
			}
			for _, text := range texts {
				require.Equal(t, clients*each, sample(t, text, answers))
				require.Equal(t, clients*each, sample(t, text, seconds))
				require.Equal(t, before+unknown, sample(t, text, unmatched))
				require.NotContains(t, text, "/no/such")
				require.Equal(t, children, strings.Count(text, "\nprocess_start_time_seconds{"), "the master has no file")
			}

			s.end()
			s.waitLive(0) // children leave by themselves, without a last word
			total, err := registry.SampleValue(t.Context(), s.view, "http_requests_total",
				map[string]string{"method": "GET", "path": "/", "code": "200"})
			require.NoError(t, err)
			require.EqualValues(t, clients*each, total)
		})
	}
}

// TestKilledChildren kills children under load.
func TestKilledChildren(t *testing.T) {
	for _, f := range frameworks {
		t.Run(f.name, func(t *testing.T) {
			s := newServer(t, f.name)
			s.start()
			pids := s.waitLive(children)
			s.waitAnswers()
			l := send("http://"+s.address+"/", 4, 0)
			for i := range f.kills {
				l.more(t, 50)
				victim := pids[i%children]
				require.NoError(t, syscall.Kill(victim, syscall.SIGKILL))
				gone := []int{victim}
				if f.restarts {
					s.wait()
					s.start()
					gone = pids // the master has killed the others
				}
				pids = s.waitLive(children, gone...)
			}
			l.more(t, 50)
			l.end()
			answered, broken := int(l.answered.Load()), int(l.broken.Load())
			t.Logf("answered %d, broken %d, refused %d", answered, broken, l.refused.Load())

			text := scrape(t, "http://"+s.metricsAt)
			merged := sample(t, text, answers)
			require.LessOrEqual(t, answered, merged)
			require.LessOrEqual(t, merged, answered+broken)
			require.Equal(t, 0, sample(t, text, "http_requests_in_flight"), "of the living")

			// The directory is as large as the living, not as all who ever lived.
			require.Eventually(t, func() bool {
				return sample(t, scrape(t, "http://"+s.metricsAt), "multiprom_compacted_processes_total") >= f.kills-children
			}, patience, poll)
			require.Equal(t, merged, sample(t, scrape(t, "http://"+s.metricsAt), answers), "compacting moves")
		})
	}
}
