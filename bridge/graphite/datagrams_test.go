package graphite

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/multiprom/multiprom/gather"
	"github.com/multiprom/multiprom/metric"
)

// gauges gathers n gauges.
func gauges(n int) gather.Gatherer {
	var out []*metric.Family
	for i := range n {
		out = append(out, &metric.Family{Name: fmt.Sprintf("g%d_%s", i, strings.Repeat("x", 50)), Type: metric.Gauge, Series: []metric.Series{{Value: 1}}})
	}
	return gather.Func(func(context.Context) ([]*metric.Family, error) { return out, nil })
}

func listenUDP(t *testing.T) *net.UDPConn {
	t.Helper()
	c, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	require.NoError(t, err)
	t.Cleanup(func() { c.Close() })
	return c
}

// TestUDP reads 10,000 series on a socket with the system's default buffer. When they
// were sent at once, most were lost.
func TestUDP(t *testing.T) {
	c := listenUDP(t)
	b := bridge(t, Options{Address: c.LocalAddr().String(), Network: "udp"})
	lines, omitted, err := b.gather(t.Context(), gauges(10000))
	require.NoError(t, errors.Join(omitted, err))
	want := string(lines)
	got := make(chan string)
	go func() {
		buf, lines := make([]byte, 65536), strings.Builder{}
		_ = c.SetReadDeadline(time.Now().Add(time.Minute))
		for lines.Len() < len(want) {
			n, err := c.Read(buf)
			if err != nil || buf[n-1] != '\n' || n > maxDatagram { // whole lines
				break
			}
			lines.Write(buf[:n])
		}
		got <- lines.String()
	}()
	require.NoError(t, b.Push(t.Context(), gauges(10000)))
	require.Equal(t, want, <-got)
}

// packets is a UDP connection that records how many packets came between two pauses.
type packets struct {
	net.Conn
	bursts  []int
	bytes   int
	refused error // what a pause says
	full    int   // packet before which the card's queue is full, once
}

func (p *packets) Write(b []byte) (int, error) {
	if p.bursts == nil {
		p.bursts = []int{0}
	}
	last := len(p.bursts) - 1
	if p.full > 0 && p.bursts[last] == p.full {
		p.full = 0
		return 0, &net.OpError{Op: "write", Err: os.NewSyscallError("write", syscall.ENOBUFS)}
	}
	p.bursts[last]++
	p.bytes += len(b)
	return len(b), nil
}

func (p *packets) Read([]byte) (int, error) {
	p.bursts = append(p.bursts, 0)
	if p.refused != nil {
		return 0, p.refused
	}
	return 0, os.ErrDeadlineExceeded
}

func (p *packets) SetReadDeadline(time.Time) error { return nil }

func TestPace(t *testing.T) {
	b := bridge(t, Options{Address: "gw", Network: "udp"})
	lines, _, err := b.gather(t.Context(), gauges(1000))
	require.NoError(t, err)
	p := &packets{}
	require.NoError(t, sendDatagrams(p, lines, time.Minute))
	require.Equal(t, len(lines), p.bytes)
	require.Greater(t, len(p.bursts), 5)
	for _, n := range p.bursts {
		require.LessOrEqual(t, n, burst)
	}

	p = &packets{full: 3}
	require.NoError(t, sendDatagrams(p, lines, time.Minute))
	require.Equal(t, len(lines), p.bytes, "what the queue did not take is sent again")

	p = &packets{}
	err = sendDatagrams(p, lines, 10*time.Millisecond)
	require.ErrorIs(t, err, errPace)
	require.ErrorContains(t, err, "use tcp")
	require.Zero(t, p.bytes, "nothing is sent of what cannot be sent whole")

	p = &packets{refused: syscall.ECONNREFUSED}
	require.ErrorIs(t, sendDatagrams(p, lines[:10], time.Minute), syscall.ECONNREFUSED, "of one packet too")
}

// TestNobodyListens: UDP reports a missing receiver after the packet was sent.
func TestNobodyListens(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("other systems do not always tell")
	}
	c := listenUDP(t)
	address := c.LocalAddr().String()
	require.NoError(t, c.Close())
	err := bridge(t, Options{Address: address, Network: "udp"}).Push(t.Context(), gauges(1))
	require.ErrorContains(t, err, "refused")
}

// TestTooMuchIsNotKept: what UDP can never take does not block later pushes.
func TestTooMuchIsNotKept(t *testing.T) {
	c := listenUDP(t)
	b := bridge(t, Options{Address: c.LocalAddr().String(), Network: "udp", Timeout: time.Second})
	lines, _, err := b.gather(t.Context(), gauges(40000))
	require.NoError(t, err)
	var late backlog
	late.add(lines, 1<<30)
	require.ErrorIs(t, b.sendAll(t.Context(), &late), errPace)
	require.Empty(t, late.pushes)
}
