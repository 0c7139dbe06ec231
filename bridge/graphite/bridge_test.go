package graphite

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"net"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/multiprom/multiprom/exposition"
	"github.com/multiprom/multiprom/gather"
	"github.com/multiprom/multiprom/metric"
)

var families = []*metric.Family{
	{Name: "http.requests", Type: metric.Counter, Series: []metric.Series{
		{Labels: metric.MakeLabels("path", "/a b", "code", "200", "empty", ""), Value: 7},
		{Labels: metric.MakeLabels("path", "é;=~", "code", "200"), Value: 1.5, Timestamp: time.Unix(5, 999_000_000)},
	}},
	{Name: "seconds", Type: metric.Histogram, Series: []metric.Series{{
		Buckets: []metric.Bucket{{UpperBound: 0.5, Count: 1}, {UpperBound: math.Inf(1), Count: 2}}, Count: 2, Sum: 3,
	}}},
	{Name: "nan", Type: metric.Gauge, Series: []metric.Series{{Value: math.NaN()}}},
}

var all = gather.Func(func(context.Context) ([]*metric.Family, error) { return families, nil })

func now() time.Time { return time.Unix(1_700_000_000, 999_999_999) }

func TestLines(t *testing.T) {
	for _, c := range []struct {
		opts Options
		want string
	}{
		{Options{}, `
http_requests_total.code.200.path._a_b 7 1700000000
http_requests_total.code.200.path.____ 1.5 5
seconds_bucket.le.0_5 1 1700000000
seconds_bucket.le._Inf 2 1700000000
seconds_sum 3 1700000000
seconds_count 2 1700000000
`},
		{Options{Prefix: "my app.web-1", Tags: true}, `
my_app.web-1.http_requests_total;code=200;path=_a_b 7 1700000000
my_app.web-1.http_requests_total;code=200;path=____ 1.5 5
my_app.web-1.seconds_bucket;le=0_5 1 1700000000
my_app.web-1.seconds_bucket;le=_Inf 2 1700000000
my_app.web-1.seconds_sum 3 1700000000
my_app.web-1.seconds_count 2 1700000000
`},
	} {
		lines, omitted := c.opts.appendLines(nil, families, now())
		require.Equal(t, c.want[1:], string(lines))
		require.Equal(t, exposition.OmissionError{Values: 1}, omitted, "the NaN")
	}
}

// TestLinesThatCannotArrive: they are counted, and the other lines are sent.
func TestLinesThatCannotArrive(t *testing.T) {
	one := func(path string) *metric.Family {
		return &metric.Family{Name: "n", Type: metric.Gauge, Series: []metric.Series{{Labels: metric.MakeLabels("path", path), Value: 1}}}
	}
	later := one("/a")
	later.Series[0].Timestamp = time.Unix(5, 0)
	long := one(strings.Repeat("x", maxUDP))
	families := []*metric.Family{one("/a"), one("=a"), one("/b"), later, long}
	for _, c := range []struct {
		network string
		want    exposition.OmissionError
	}{
		{"tcp", exposition.OmissionError{Series: 1}},
		{"udp", exposition.OmissionError{Series: 1, Oversize: 1}},
	} {
		lines, omitted := (&Options{Network: c.network}).appendLines(nil, families, now())
		require.Contains(t, string(lines), "n.path._a 1 1700000000\nn.path._b 1 1700000000\nn.path._a 1 5\n")
		require.Equal(t, c.want, omitted)
		require.Equal(t, c.network == "tcp", strings.Contains(string(lines), "xxx"))
	}
}

// receiver accepts connections and returns what each one sent.
func receiver(t *testing.T, l net.Listener) <-chan string {
	t.Helper()
	t.Cleanup(func() { l.Close() })
	got := make(chan string, 100)
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			b, _ := io.ReadAll(c)
			c.Close()
			got <- string(b)
		}
	}()
	return got
}

func listen(t *testing.T, address string) net.Listener {
	t.Helper()
	l, err := net.Listen("tcp", address)
	require.NoError(t, err)
	return l
}

func bridge(t *testing.T, opts Options) *Bridge {
	t.Helper()
	if opts.Now == nil {
		opts.Now = now
	}
	b, err := New(opts)
	require.NoError(t, err)
	return b
}

func TestPush(t *testing.T) {
	l := listen(t, "127.0.0.1:0")
	got := receiver(t, l)
	b := bridge(t, Options{Address: l.Addr().String()})
	omitted := (*exposition.OmissionError)(nil)
	require.ErrorAs(t, b.Push(t.Context(), all), &omitted)
	require.Equal(t, 1, omitted.Values)
	lines, _ := b.opts.appendLines(nil, families, now())
	require.Equal(t, string(lines), <-got)
}

func TestOptions(t *testing.T) {
	for _, c := range []struct{ address, want string }{{"gw", "gw:2003"}, {"gw:1", "gw:1"}, {"::1", "[::1]:2003"}, {"[::1]:5", "[::1]:5"}} {
		require.Equal(t, c.want, bridge(t, Options{Address: c.address}).opts.Address)
	}
	for _, o := range []Options{{}, {Address: "gw", Network: "tcp7"}} {
		_, err := New(o)
		require.ErrorContains(t, err, "graphite: ")
	}
}

// TestUnwell: a receiver that is missing, hangs or goes away is an error within the
// deadline. So is a failing gatherer.
func TestUnwell(t *testing.T) {
	l := listen(t, "127.0.0.1:0")
	address := l.Addr().String()
	require.NoError(t, l.Close())
	err := bridge(t, Options{Address: address}).Push(t.Context(), all)
	require.ErrorContains(t, err, "graphite: send to "+address)
	require.ErrorContains(t, err, "refused")

	hangs := listen(t, "127.0.0.1:0") // the kernel accepts connections for it
	defer hangs.Close()
	err = bridge(t, Options{Address: hangs.Addr().String(), Timeout: 20 * time.Millisecond}).Push(t.Context(), all)
	require.ErrorIs(t, err, context.DeadlineExceeded)

	resets := listen(t, "127.0.0.1:0")
	defer resets.Close()
	go func() {
		if c, err := resets.Accept(); err == nil {
			c.(*net.TCPConn).SetLinger(0)
			c.Close()
		}
	}()
	require.Error(t, bridge(t, Options{Address: resets.Addr().String()}).Push(t.Context(), all))

	broken := errors.New("the database is down")
	failing := gather.Func(func(context.Context) ([]*metric.Family, error) { return families, broken })
	require.ErrorIs(t, bridge(t, Options{Address: address}).Push(t.Context(), failing), broken)
}

// TestRun: what could not be sent is sent, in order, when the receiver is back. Run
// ends with its context.
func TestRun(t *testing.T) {
	l := listen(t, "127.0.0.1:0")
	address := l.Addr().String()
	require.NoError(t, l.Close())
	var pushes atomic.Int64
	counting := gather.Func(func(context.Context) ([]*metric.Family, error) {
		return []*metric.Family{{Name: "n", Type: metric.Gauge, Series: []metric.Series{{Value: float64(pushes.Add(1))}}}}, nil
	})
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	b := bridge(t, Options{Address: address, Interval: 2 * time.Millisecond, MaxBuffered: 1000})
	go func() { ended <- b.Run(ctx, counting) }()
	require.Eventually(t, func() bool { return pushes.Load() > 200 }, 30*time.Second, time.Millisecond)
	got := receiver(t, listen(t, address))
	last := 0
	for i := range 60 {
		var n int
		_, err := fmt.Sscanf(<-got, "n %d 1700000000\n", &n)
		require.NoError(t, err)
		if i == 0 {
			require.Greater(t, n, 100, "the eldest were dropped")
		} else {
			require.Equal(t, last+1, n)
		}
		last = n
	}
	cancel()
	require.NoError(t, <-ended)
}

func TestBacklog(t *testing.T) {
	var l backlog
	for i := range 5 {
		l.add([]byte(fmt.Sprint(i, "0123456789")), 30)
	}
	require.Len(t, l.pushes, 2)
	require.Equal(t, "30123456789", string(l.pushes[0]))
	l.add(make([]byte, 100), 30)
	require.Len(t, l.pushes, 1, "the newest stays, however large")
	require.Equal(t, 100, l.bytes)
}
