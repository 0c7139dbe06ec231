package graphite

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"time"

	"github.com/multiprom/multiprom/gather"
	"github.com/multiprom/multiprom/internal/options"
)

// Options of New. Address is required.
type Options struct {
	// Address of Graphite, required. The default port is 2003.
	Address string
	// Network is tcp or udp. Default tcp. Over UDP nobody reports losses, so packets
	// are sent at a pace that a receiver can follow: about 300 kB a second, or 100,000
	// lines in the default Timeout. A push that takes longer is an error, and nothing
	// is sent.
	Network string
	// Prefix comes before every name, separated by a dot. Default: none.
	Prefix string
	// Tags sends labels as tags, which Graphite has since 1.1. By default they are parts
	// of the path.
	Tags bool

	// Interval is how often Run sends. Default 60 s.
	Interval time.Duration
	// Timeout is the time for connecting and sending. Default 30 s.
	Timeout time.Duration
	// MaxBuffered is how many bytes that could not be sent Run keeps for later, the
	// newest. Default 4 MiB; metric.KeepNone.
	MaxBuffered int
	// Logger gets the errors of Run; nil logs nothing.
	Logger *slog.Logger
	// Now is the clock. Default time.Now.
	Now func() time.Time
}

// Bridge sends to one Graphite. It is safe for concurrent use.
type Bridge struct {
	opts Options
}

// New returns a Bridge. It sends nothing yet.
func New(opts Options) (*Bridge, error) {
	var c options.Checker
	if opts.Address == "" {
		return nil, errors.New("graphite: Address is empty")
	}
	if _, _, err := net.SplitHostPort(opts.Address); err != nil {
		opts.Address = net.JoinHostPort(opts.Address, "2003")
		if _, _, err := net.SplitHostPort(opts.Address); err != nil {
			return nil, fmt.Errorf("graphite: Address: %w", err)
		}
	}
	switch opts.Network {
	case "":
		opts.Network = "tcp"
	case "tcp", "udp":
	default:
		c.Failf("Network", "is %q: use tcp or udp", opts.Network)
	}
	options.Number(&c, "Interval", &opts.Interval, time.Minute)
	options.Number(&c, "Timeout", &opts.Timeout, 30*time.Second)
	options.Number(&c, "MaxBuffered", &opts.MaxBuffered, 4<<20, options.KeepNone)
	if err := c.Err(); err != nil {
		return nil, fmt.Errorf("graphite: %w", err)
	}
	if opts.Logger == nil {
		opts.Logger = slog.New(slog.DiscardHandler)
	}
	if opts.Now == nil {
		opts.Now = time.Now
	}
	return &Bridge{opts: opts}, nil
}

// Push sends what g yields, once. If g fails, nothing is sent. After any other error a
// part may have arrived. Sending it again does no harm, since Graphite keeps one value
// per time. An *exposition.OmissionError says that some samples were left out;
// everything else was sent.
func (b *Bridge) Push(ctx context.Context, g gather.Gatherer) error {
	lines, omitted, err := b.gather(ctx, g)
	if err != nil {
		return err
	}
	if err := b.send(ctx, lines); err != nil {
		return err
	}
	return omitted
}

// Run sends at once and then at every interval until ctx ends, and returns nil. If
// sending takes longer than the interval, it skips ticks. What could not be sent is
// sent with the next push.
func (b *Bridge) Run(ctx context.Context, g gather.Gatherer) error {
	tick := time.NewTicker(b.opts.Interval)
	defer tick.Stop()
	var late backlog
	said := ""
	for {
		lines, omitted, err := b.gather(ctx, g)
		if err == nil {
			if omitted != nil && omitted.Error() != said {
				said = omitted.Error() // once, not at every interval
				b.opts.Logger.Warn(said)
			}
			late.add(lines, b.opts.MaxBuffered)
			err = b.sendAll(ctx, &late)
		}
		if ctx.Err() != nil {
			return nil
		}
		if err != nil {
			b.opts.Logger.Warn(err.Error(), "kept", late.bytes)
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return nil
		}
	}
}

// gather returns the lines to send, and an error that says what was left out.
func (b *Bridge) gather(ctx context.Context, g gather.Gatherer) (lines []byte, omitted, err error) {
	families, err := g.Gather(ctx)
	if err != nil {
		return nil, nil, fmt.Errorf("graphite: nothing was sent: %w", err)
	}
	lines, left := b.opts.appendLines(nil, families, b.opts.Now())
	if err := left.OrNil(); err != nil {
		omitted = fmt.Errorf("graphite: everything else was sent: %w", err)
	}
	return lines, omitted, nil
}

// sendAll sends what is late, oldest first, as far as it gets.
func (b *Bridge) sendAll(ctx context.Context, late *backlog) error {
	for len(late.pushes) > 0 {
		if err := b.send(ctx, late.pushes[0]); err != nil {
			switch {
			case b.opts.MaxBuffered < 0:
				*late = backlog{}
			case errors.Is(err, errPace):
				late.drop() // it will never fit
			}
			return err
		}
		late.drop()
	}
	return nil
}

// backlog holds pushes that were not sent yet.
type backlog struct {
	pushes [][]byte
	bytes  int
}

// add adds a push. Above limit the oldest pushes are dropped; the newest stays.
func (l *backlog) add(lines []byte, limit int) {
	l.pushes = append(l.pushes, lines)
	l.bytes += len(lines)
	for len(l.pushes) > 1 && l.bytes > limit {
		l.drop()
	}
}

func (l *backlog) drop() {
	l.bytes -= len(l.pushes[0])
	l.pushes[0] = nil
	l.pushes = l.pushes[1:]
}
