package remotewrite

import (
	"context"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// queued starts a writer with a queue.
func queued(t *testing.T, url, dir string, change func(*Options)) (w *Writer, g *ticking, stop func()) {
	t.Helper()
	opts := Options{}
	opts.URL, opts.Interval, opts.MaxBackoff, opts.QueueDir = url, 2*time.Millisecond, time.Millisecond, dir
	if change != nil {
		change(&opts)
	}
	w, g = writer(t, opts), &ticking{}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- w.Run(ctx, g) }()
	return w, g, func() {
		cancel()
		require.NoError(t, <-ended)
	}
}

// TestQueue: what was written while the receiver was down is sent afterwards, complete and in
// order, in the version that it turns out to take.
func TestQueue(t *testing.T) {
	for name, answer := range map[string]func(int, request, http.ResponseWriter){"2.0": takes, "1.0": takes1} {
		t.Run(name, func(t *testing.T) {
			var up atomic.Bool
			r := newReceiver(t, func(n int, q request, w http.ResponseWriter) {
				if up.Load() {
					answer(n, q, w)
				} else {
					w.WriteHeader(http.StatusServiceUnavailable)
				}
			})
			w, g, stop := queued(t, r.URL, t.TempDir(), nil)
			require.Eventually(t, func() bool { return g.n.Load() > 10 && own(t, w, "queue_rounds") > 5 }, 30*time.Second, time.Millisecond)
			require.Positive(t, own(t, w, "queue_bytes"))
			require.Positive(t, own(t, w, "queue_oldest_age_seconds"))
			down := len(r.all())
			up.Store(true)
			require.Eventually(t, func() bool { return own(t, w, "sent_samples") > 15 }, 30*time.Second, time.Millisecond)
			stop()
			var values []string
			for _, q := range r.all()[down:] {
				for _, s := range q.samples {
					if len(values) == 0 || values[len(values)-1] != s.value {
						values = append(values, s.value) // 1.0: it was sent in 2.0 first
					}
				}
			}
			require.Len(t, values, int(g.n.Load())+1)
			for i := range g.n.Load() {
				require.Equal(t, strconv.Itoa(int(i)+1), values[i])
			}
			require.Equal(t, "stale", values[g.n.Load()])
			require.Zero(t, own(t, w, "queue_rounds"))
			require.Zero(t, own(t, w, "queue_bytes"))
		})
	}
}

// TestQueueBytes: above QueueBytes the oldest rounds are dropped and counted.
func TestQueueBytes(t *testing.T) {
	const reason = "queue_bytes"
	var up atomic.Bool
	r := newReceiver(t, func(n int, q request, w http.ResponseWriter) {
		if up.Load() {
			takes(n, q, w)
		} else {
			w.WriteHeader(http.StatusServiceUnavailable)
		}
	})
	w, g, stop := queued(t, r.URL, t.TempDir(), func(o *Options) { o.QueueBytes = 700 })
	require.Eventually(t, func() bool { return own(t, w, "dropped_samples", reason) > 20 }, time.Minute, time.Millisecond)
	require.LessOrEqual(t, own(t, w, "queue_bytes"), 700.0)
	down := len(r.all())
	up.Store(true)
	stop()
	last := 0
	for _, q := range r.all()[down:] {
		if v := q.samples[0].value; v != "stale" {
			n, err := strconv.Atoi(v)
			require.NoError(t, err)
			require.Greater(t, n, last)
			last = n
		}
	}
	require.Equal(t, int(g.n.Load()), last, "the newest are there")
	require.Equal(t, float64(g.n.Load()+1), own(t, w, "sent_samples")+own(t, w, "dropped_samples", reason))
}

// TestQueueOfAnother: two processes cannot use one queue, and a file that is not a queue is an
// error.
func TestQueueOfAnother(t *testing.T) {
	r := newReceiver(t, takes)
	dir := t.TempDir()
	w, g, stop := queued(t, r.URL, dir, nil)
	require.Eventually(t, func() bool { return g.n.Load() > 0 && own(t, w, "sent_samples") > 0 }, 30*time.Second, time.Millisecond)
	opts := Options{}
	opts.URL, opts.QueueDir = r.URL, dir
	require.ErrorContains(t, writer(t, opts).Run(t.Context(), g), "another process uses")
	stop()

	opts.QueueDir = t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(opts.QueueDir, "remotewrite.db"), make([]byte, 10_000), 0o600))
	require.ErrorContains(t, writer(t, opts).Run(t.Context(), g), "QueueDir")
	opts.QueueDir = filepath.Join(opts.QueueDir, "remotewrite.db", "x")
	require.Error(t, writer(t, opts).Run(t.Context(), g))
}
