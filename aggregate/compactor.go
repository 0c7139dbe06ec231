package aggregate

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"sync/atomic"
	"time"

	"github.com/multiprom/multiprom/aggregate/internal/compact"
	"github.com/multiprom/multiprom/internal/mpm"
	"github.com/multiprom/multiprom/internal/options"
)

// CompactorOptions of NewCompactor. The zero value is useful.
type CompactorOptions struct {
	CompactOptions // Threshold is 8 by default here, and Reserve is always set

	// Period is how often the directory is looked at, up to a fifth more or less at random,
	// so that many compactors do not start at the same moment. Default 30 s.
	Period time.Duration
	// Logger gets failures and files that cannot be compacted, each once; nil
	// logs nothing.
	Logger *slog.Logger
}

// Compactor compacts a directory in the background, so that its size follows the number of
// living processes. Any number of Compactors may share a directory: one compacts at a time,
// and the others leave it to that one.
type Compactor struct {
	dir    string
	opts   CompactorOptions
	deaths atomic.Int64
	wake   chan struct{} // holds a token when enough have died

	told told
}

// NewCompactor returns a Compactor of dir, which need not exist yet. Run starts it. The
// error says that an option is invalid.
func NewCompactor(dir string, opts CompactorOptions) (*Compactor, error) {
	if dir == "" {
		return nil, errors.New("aggregate: compactor: no directory was named")
	}
	var c options.Checker
	options.Number(&c, "Threshold", &opts.Threshold, 8)
	options.Number(&c, "Period", &opts.Period, 30*time.Second)
	_, err := compact.Options(opts.CompactOptions).WithDefaults()
	if err := errors.Join(c.Err(), err); err != nil {
		return nil, fmt.Errorf("aggregate: compactor: %w", err)
	}
	opts.Reserve = true
	opts.DropFamilies = nil
	if opts.Logger == nil {
		opts.Logger = slog.New(slog.DiscardHandler)
	}
	return &Compactor{dir: dir, opts: opts, wake: make(chan struct{}, 1)}, nil
}

// Died tells the Compactor that a process has died. Once as many as Threshold have died, it
// compacts without waiting for the period. Died never blocks.
func (c *Compactor) Died() {
	if c.deaths.Add(1) < int64(c.opts.Threshold) {
		return
	}
	select {
	case c.wake <- struct{}{}:
	default:
	}
}

// Run compacts until ctx ends. The first compaction is at once, to reserve space for an
// archive before workers take it.
func (c *Compactor) Run(ctx context.Context) {
	c.compact(ctx, c.opts.CompactOptions)
	for {
		opts := c.opts.CompactOptions
		jitter := 0.8 + 0.4*rand.Float64()
		timer := time.NewTimer(time.Duration(jitter * float64(c.opts.Period)))
		select {
		case <-ctx.Done():
			timer.Stop()
			return
		case <-c.wake:
			timer.Stop()
			opts.Threshold = 1 // enough have died, though some may be compacted already
		case <-timer.C:
		}
		c.deaths.Store(0)
		c.compact(ctx, opts)
	}
}

func (c *Compactor) compact(ctx context.Context, opts CompactOptions) {
	r, err := Compact(ctx, c.dir, opts)
	switch {
	case errors.Is(err, ErrBusy), ctx.Err() != nil:
		return
	case err != nil:
		c.tell("dead processes' files are not compacted", err.Error(), "error", err)
		return
	}
	for _, left := range r.Left {
		msg := "a dead process's file is left alone"
		if left.Name == mpm.StagedName {
			msg = "no room is kept for the next archive"
		}
		c.tell(msg, left.Name+left.Reason.Error(), "file", left.Name, "reason", left.Reason)
	}
	if len(r.Compacted) > 0 {
		c.opts.Logger.Debug("compacted dead processes", "processes", len(r.Compacted), "series", r.Series, "took", r.Took)
	}
}

// tell logs a problem the first time that it happens.
func (c *Compactor) tell(msg, key string, args ...any) {
	if c.told.first(key) {
		c.opts.Logger.Warn(msg, args...)
	}
}
