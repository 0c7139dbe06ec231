package graphite

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"time"
)

// send sends whole lines over a new connection. The other end may have closed a kept
// connection, and then the first bytes written to it would be lost.
func (b *Bridge) send(ctx context.Context, lines []byte) (err error) {
	ctx, cancel := context.WithTimeout(ctx, b.opts.Timeout)
	defer cancel()
	defer func() {
		if err != nil {
			err = fmt.Errorf("graphite: send to %s: %w", b.opts.Address, errors.Join(err, ctx.Err()))
		}
	}()
	var d net.Dialer
	c, err := d.DialContext(ctx, b.opts.Network, b.opts.Address)
	if err != nil {
		return err
	}
	defer c.Close()
	stop := context.AfterFunc(ctx, func() { c.SetDeadline(time.Unix(1, 0)) })
	defer stop()
	if b.opts.Network == "udp" {
		return sendDatagrams(c, lines, b.opts.Timeout)
	}
	if _, err := c.Write(lines); err != nil {
		return err
	}
	return finish(c.(*net.TCPConn))
}

// finish ends the connection and waits until the other end does, which it does once it
// has read everything. A reset means that it has not.
func finish(c *net.TCPConn) error {
	if err := c.CloseWrite(); err != nil {
		return err
	}
	_, err := io.Copy(io.Discard, c)
	return err
}
