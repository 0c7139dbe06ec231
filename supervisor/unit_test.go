//go:build unix

package supervisor

import (
	"context"
	"errors"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

// fakeProcess runs for a while, or until a signal.
type fakeProcess struct {
	pid  int
	life time.Duration
	end  chan ExitStatus
}

func (f *fakeProcess) PID() int { return f.pid }

func (f *fakeProcess) Signal(sig syscall.Signal) error {
	f.end <- ExitStatus{Code: -1, Signal: sig}
	return nil
}

func (f *fakeProcess) SignalGroup(sig syscall.Signal) error { return f.Signal(sig) }

func (f *fakeProcess) Group() ([]int, bool) { return nil, false }

func (f *fakeProcess) Wait() ExitStatus {
	select {
	case s := <-f.end:
		return s
	case <-time.After(f.life):
		return ExitStatus{Code: 1}
	}
}

// TestRestartTimes runs a slot on a fake clock. Each row is a worker's life, or a
// failed start, and the time at which the next one starts.
func TestRestartTimes(t *testing.T) {
	rows := []struct {
		life time.Duration // negative: the start fails
		next time.Duration
	}{
		{0, 0},                 // the first young death restarts at once
		{0, 100 * ms},          // then the delay grows
		{0, 300 * ms},          // by doubling
		{-1, 700 * ms},         // a failed start counts as a young death
		{0, 1300 * ms},         // up to Max
		{100 * ms, 2000 * ms},  // a young death after 100 ms
		{2000 * ms, 4000 * ms}, // an old one restarts at once
		{1999 * ms, 5999 * ms}, // and forgives what was before
		{0, 6099 * ms},
	}
	synctest.Test(t, func(t *testing.T) {
		begin := time.Now()
		var starts []time.Duration
		s, err := New(Options{
			Workers: 1, Command: "/bin/sh",
			Backoff: Backoff{Min: 100 * ms, Max: 600 * ms, Young: 2 * time.Second},
			random:  func() float64 { return 0 },
			start: func(processSpec) (process, error) {
				i := len(starts)
				starts = append(starts, time.Since(begin))
				p := &fakeProcess{pid: 1000 + i, life: time.Hour, end: make(chan ExitStatus, 1)}
				if i < len(rows) {
					p.life = rows[i].life
				}
				if p.life < 0 {
					return nil, errors.New("no start")
				}
				return p, nil
			},
		})
		require.NoError(t, err)
		ctx, cancel := context.WithCancel(context.Background())
		defer cancel()
		ended := make(chan error, 1)
		go func() { ended <- s.Run(ctx) }()
		time.Sleep(10 * time.Minute) // of the bubble's clock
		synctest.Wait()
		var want = []time.Duration{0}
		for _, r := range rows {
			want = append(want, r.next)
		}
		require.Equal(t, want, starts)
		require.Len(t, s.Workers(), 1)
		require.Equal(t, Serving, s.Workers()[0].State, "a silent command is ready after a while")
		cancel()
		require.NoError(t, <-ended)
	})
}

const ms = time.Millisecond

func TestJitter(t *testing.T) {
	p := pacer{Backoff: Backoff{Min: time.Second, Max: time.Minute, Young: time.Hour}, random: func() float64 { return 0.999 }}
	require.Zero(t, p.next(0))
	require.InDelta(t, 750*ms, p.next(0), float64(ms))
	for range 1000 {
		require.LessOrEqual(t, p.next(0), time.Minute)
	}
}

func TestOptionErrors(t *testing.T) {
	fails := func(o Options, want error) {
		t.Helper()
		s, err := New(o)
		require.ErrorIs(t, err, want)
		require.Nil(t, s)
	}
	one := func(l Listener) Options { return Options{Listeners: []Listener{l}} }
	fails(Options{Workers: -1}, errOptions)
	fails(Options{NoReap: true, Subreaper: true}, errOptions)
	fails(Options{DrainTimeout: -1}, errOptions)
	t.Setenv(envDir, "")
	fails(Options{MetricsAddress: "127.0.0.1:0"}, errOptions)
	fails(Options{MetricsAddress: "127.0.0.1:0", Metrics: http.NotFoundHandler()}, errOptions)
	fails(Options{Metrics: http.NotFoundHandler()}, errOptions)
	fails(Options{Command: "no-such-command-here"}, exec.ErrNotFound)
	fails(one(Listener{}), errOptions)
	fails(one(Listener{Address: "udp://127.0.0.1:0"}), errOptions)
	fails(one(Listener{Address: "127.0.0.1:0", Name: "a:b"}), errOptions)
	fails(one(Listener{Address: "127.0.0.1:0", Name: strings.Repeat("a", 256)}), errOptions)
	fails(one(Listener{Address: "127.0.0.1:0", File: os.Stdin}), errOptions)
	fails(one(Listener{Listener: struct{ net.Listener }{}}), errOptions)

	t.Setenv(envSlot, "two")
	fails(Options{}, errOptions)
	t.Setenv(envSlot, "2")
	fails(Options{}, errNested)

	shimReady.Store(false)
	defer shimReady.Store(true)
	fails(Options{Command: "/bin/sh", Listeners: []Listener{{Address: "127.0.0.1:0"}}}, errNoShim)
}

func TestWorkerEnv(t *testing.T) {
	base := []string{"A=0", "A=1", "MULTIPROM_SUPERVISOR=outer", "LISTEN_PID=1", "LISTEN_FDS=9", "MULTIPROM_WORKER_SLOT=7", "PROMETHEUS_MULTIPROC_DIR=/old", "LISTEN=kept"}
	require.Equal(t, []string{
		"A=1", "LISTEN=kept", "MULTIPROM_WORKER_SLOT=2", "MULTIPROM_SUPERVISOR=x", "PROMETHEUS_MULTIPROC_DIR=/new",
		"LISTEN_FDS=2", "LISTEN_FDNAMES=a:b", "MULTIPROM_LINK_FD=5", "MULTIPROM_DRAIN_TIMEOUT=1s",
	}, workerEnv(base, "x", 2, false, []string{"a", "b"}, "/new", 5, time.Second, false))
	require.Equal(t, []string{
		"A=1", "PROMETHEUS_MULTIPROC_DIR=/old", "LISTEN=kept", "MULTIPROM_WORKER_SLOT=0", "MULTIPROM_SUPERVISOR=y", "MULTIPROM_SHIM=1",
	}, workerEnv(base, "y", 0, false, nil, "", 0, time.Second, true))
	base = []string{"MULTIPROM_PROCESS_ID=mine", "prometheus_multiproc_dir=/old"}
	require.Equal(t, []string{
		"MULTIPROM_PROCESS_ID=mine", "MULTIPROM_WORKER_SLOT=3", "MULTIPROM_SUPERVISOR=z", "PROMETHEUS_MULTIPROC_DIR=/new",
	}, workerEnv(base, "z", 3, false, nil, "/new", 0, time.Second, false))
	require.Equal(t, []string{
		"MULTIPROM_WORKER_SLOT=3", "MULTIPROM_SUPERVISOR=z", "PROMETHEUS_MULTIPROC_DIR=/new", "MULTIPROM_PROCESS_ID=3",
	}, workerEnv(base, "z", 3, true, nil, "/new", 0, time.Second, false))
}

func TestUnixSocketFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s")
	stale, err := net.Listen("unix", path)
	require.NoError(t, err)
	stale.(*net.UnixListener).SetUnlinkOnClose(false)
	o := Options{Listeners: []Listener{{Address: "unix://" + path}}}

	_, err = New(o)
	require.ErrorIs(t, err, syscall.EADDRINUSE, "somebody listens")
	require.NoError(t, stale.Close())
	s, err := New(o)
	require.NoError(t, err, "nobody listens any more")
	require.Equal(t, path, s.Addrs()[0].String())
	require.NoError(t, s.Close())
	require.NoFileExists(t, path)
	require.ErrorIs(t, s.Close(), errRunTwice)
	require.ErrorIs(t, s.Reload(context.Background()), errNotRunning)
}

func TestHandedInListeners(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	f, err := l.(*net.TCPListener).File()
	require.NoError(t, err)
	s, err := New(Options{Listeners: []Listener{{Listener: l}, {File: f}}})
	require.NoError(t, err)
	require.NoError(t, l.Close())
	require.NoError(t, f.Close())
	require.Equal(t, l.Addr().String(), s.Addrs()[0].String())
	require.Equal(t, l.Addr().String(), s.Addrs()[1].String())
	conn, err := net.Dial("tcp", l.Addr().String())
	require.NoError(t, err, "the duplicates still listen")
	conn.Close()
	require.NoError(t, s.Close())
	_, err = net.Dial("tcp", l.Addr().String())
	require.ErrorIs(t, err, syscall.ECONNREFUSED)
}
