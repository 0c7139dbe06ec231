package send_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/multiprom/multiprom/aggregate"
	"github.com/multiprom/multiprom/bridge/delivery"
	"github.com/multiprom/multiprom/bridge/otlp"
	"github.com/multiprom/multiprom/bridge/remotewrite"
	"github.com/multiprom/multiprom/gather"
	"github.com/multiprom/multiprom/internal/views"
	"github.com/multiprom/multiprom/multiproc"
)

// bodies keeps what is sent. It is a receiver that takes everything.
type bodies struct{ all [][]byte }

func (x *bodies) RoundTrip(r *http.Request) (*http.Response, error) {
	b, err := io.ReadAll(r.Body)
	x.all = append(x.all, b)
	h := http.Header{"X-Prometheus-Remote-Write-Samples-Written": {"100000"}}
	return &http.Response{StatusCode: http.StatusOK, Header: h, Body: io.NopCloser(bytes.NewReader(nil))}, err
}

func (x *bodies) take() [][]byte {
	out := x.all
	x.all = nil
	return out
}

type pusher interface {
	Push(ctx context.Context, g gather.Gatherer) error
}

// without is a view without our own metrics, of which some are never twice the same.
type without struct{ gather.Gatherer }

func (w without) View(ctx context.Context, fn func([]views.Family, error)) {
	views.Show(ctx, w.Gatherer, func(families []views.Family, err error) {
		fn(slices.DeleteFunc(slices.Clone(families), func(f views.Family) bool { return strings.HasPrefix(f.Name, "multiprom_") }), err)
	})
}

// exits are all protocols.
var exits = map[string]func(delivery.Options) (pusher, error){
	"remote write 2.0": func(o delivery.Options) (pusher, error) {
		return remotewrite.New(remotewrite.Options{Options: o, Protocol: "2.0"})
	},
	"remote write 1.0": func(o delivery.Options) (pusher, error) {
		return remotewrite.New(remotewrite.Options{Options: o, Protocol: "1.0"})
	},
	"OTLP": func(o delivery.Options) (pusher, error) { return otlp.New(otlp.Options{Options: o}) },
}

// TestWarmIsCold: an exit that has sent many views, of which it remembers labels, sends the same
// bytes as one that has seen nothing.
func TestWarmIsCold(t *testing.T) {
	for name, open := range exits {
		t.Run(name, func(t *testing.T) {
			seed := rand.Uint64()
			t.Logf("seed %d", seed)
			random := rand.New(rand.NewPCG(seed, 1))
			dir := t.TempDir()
			set := multiproc.NewSet(multiproc.SetOptions{Dir: dir})
			t.Cleanup(func() { set.Close() })
			requests := multiproc.MustNew(set.NewCounterVec(multiproc.CounterOpts{Name: "requests", Help: "R."}, []string{"job", "path", "zone"}))
			latency := multiproc.MustNew(set.NewHistogramVec(multiproc.HistogramOpts{Name: "latency_seconds", Help: "L.", Buckets: []float64{1, 2}}, []string{"path"}))
			utf8 := multiproc.MustNew(set.NewGaugeVec(multiproc.GaugeOpts{Name: "température", Help: "T."}, []string{"à", "Z"}))
			state := multiproc.MustNew(set.NewEnum(multiproc.EnumOpts{Name: "state", Help: "S.", States: []string{"idle", "busy"}}))
			a, err := aggregate.Open(dir, aggregate.Options{})
			require.NoError(t, err)
			t.Cleanup(func() { a.Close() })

			now := time.UnixMilli(1_000_000)
			made := func(x *bodies) pusher {
				p, err := open(delivery.Options{URL: "http://receiver", Client: &http.Client{Transport: x}, MaxSamples: 100, Now: func() time.Time { return now }})
				require.NoError(t, err)
				return p
			}
			push := func(p pusher) {
				if err := p.Push(t.Context(), without{a}); err != nil {
					require.ErrorContains(t, err, "everything else was sent")
				}
			}
			warmSent, coldSent := &bodies{}, &bodies{}
			warm := made(warmSent)
			for range 60 {
				for range random.IntN(4) {
					path := fmt.Sprintf("/%d", random.IntN(300))
					switch random.IntN(6) {
					case 0:
						requests.DeleteLabelValues("j", path, "")
					case 1:
						latency.WithLabelValues(path).ObserveWithExemplar(random.Float64()*3, multiproc.Labels{"trace_id": path})
					case 2:
						utf8.WithLabelValues(path, "x").Set(random.Float64())
					case 3:
						state.Set([]string{"idle", "busy"}[random.IntN(2)])
					default:
						requests.WithLabelValues([]string{"j", ""}[random.IntN(2)], path, "").Inc()
					}
				}
				now = now.Add(time.Second)
				push(warm) // with markers of what left
				coldSent.take()
				for range 2 {
					now = now.Add(time.Minute) // metadata is due
					warmSent.take()
					push(warm)
					push(made(coldSent))
					require.Equal(t, coldSent.take(), warmSent.take())
				}
			}
		})
	}
}
