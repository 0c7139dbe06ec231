package aggregate

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"sync/atomic"
	"time"

	"github.com/multiprom/multiprom/internal/options"
	"github.com/multiprom/multiprom/mmapstore"
)

// FolderOptions of NewFolder. The zero value is useful.
type FolderOptions struct {
	FoldOptions // Threshold is 8 by default here, and Reserve is always set

	// Period is how often the directory is looked at, up to a fifth more or
	// less at random, so that many folders do not come at once. Default 30 s.
	Period time.Duration
	// Logger gets failures and files that cannot be folded, each once; nil
	// logs nothing.
	Logger *slog.Logger
}

// Folder folds a directory in the background, so that its size follows the
// number of living processes. Any number of them may work on one directory: one
// folds at a time, the others leave it to that one.
type Folder struct {
	dir    string
	opts   FolderOptions
	deaths atomic.Int64
	wake   chan struct{} // holds a token when enough have died

	told told
}

// NewFolder returns a Folder of dir, which need not exist yet. Run starts it. The
// error says that an option is invalid.
func NewFolder(dir string, opts FolderOptions) (*Folder, error) {
	if dir == "" {
		return nil, errors.New("aggregate: folder: no directory was named")
	}
	var c options.Checker
	options.Number(&c, "Threshold", &opts.Threshold, 8)
	options.Number(&c, "Period", &opts.Period, 30*time.Second)
	_, err := opts.FoldOptions.withDefaults()
	if err := errors.Join(c.Err(), err); err != nil {
		return nil, fmt.Errorf("aggregate: folder: %w", err)
	}
	opts.Reserve = true
	opts.DropFamilies = nil
	if opts.Logger == nil {
		opts.Logger = slog.New(slog.DiscardHandler)
	}
	return &Folder{dir: dir, opts: opts, wake: make(chan struct{}, 1)}, nil
}

// Died tells the Folder that a process has died: once as many as the threshold
// have, it folds without waiting for the period. It never blocks.
func (f *Folder) Died() {
	if f.deaths.Add(1) < int64(f.opts.Threshold) {
		return
	}
	select {
	case f.wake <- struct{}{}:
	default:
	}
}

// Run folds until ctx ends, for the first time at once: room for an archive is kept
// before workers take it.
func (f *Folder) Run(ctx context.Context) {
	f.fold(ctx, f.opts.FoldOptions)
	for {
		opts := f.opts.FoldOptions
		jitter := 0.8 + 0.4*rand.Float64()
		timer := time.NewTimer(time.Duration(jitter * float64(f.opts.Period)))
		select {
		case <-ctx.Done():
			timer.Stop()
			return
		case <-f.wake:
			timer.Stop()
			opts.Threshold = 1 // enough have died, though some may be folded already
		case <-timer.C:
		}
		f.deaths.Store(0)
		f.fold(ctx, opts)
	}
}

func (f *Folder) fold(ctx context.Context, opts FoldOptions) {
	r, err := Fold(ctx, f.dir, opts)
	switch {
	case errors.Is(err, ErrBusy), ctx.Err() != nil:
		return
	case err != nil:
		f.tell("dead processes' files are not folded", err.Error(), "error", err)
		return
	}
	for _, left := range r.Left {
		msg := "a dead process's file is left alone"
		if left.Name == mmapstore.StagedName {
			msg = "no room is kept for the next archive"
		}
		f.tell(msg, left.Name+left.Reason.Error(), "file", left.Name, "reason", left.Reason)
	}
	if len(r.Folded) > 0 {
		f.opts.Logger.Debug("folded dead processes", "processes", len(r.Folded), "series", r.Series, "took", r.Took)
	}
}

// tell logs a trouble the first time that it happens.
func (f *Folder) tell(msg, key string, args ...any) {
	if f.told.first(key) {
		f.opts.Logger.Warn(msg, args...)
	}
}
