package record

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gofrs/flock"
	"github.com/klauspost/compress/zstd"

	"github.com/multiprom/multiprom/aggregate"
	"github.com/multiprom/multiprom/internal/inspect"
)

// Options of Open.
type Options struct {
	// Keep is how long a second can be read at least. Default 10 minutes.
	Keep time.Duration
	// MaxBytes is how large the files are together at most, but for a tick. If that is not
	// enough for Keep, fewer minutes are kept. Default 256 MiB.
	MaxBytes int64
	// Logger is told once if nothing can be recorded. Nil logs nothing.
	Logger *slog.Logger
	// Now is the clock. Default time.Now.
	Now func() time.Time
}

// Recorder writes a recording. Run it, or call Tick each second, in one goroutine.
type Recorder struct {
	a    *aggregate.Aggregator
	dir  string
	opts Options
	lock *flock.Flock

	file, tail *os.File
	number     uint64 // of the file
	size       int64
	begun      time.Time // of the file
	ticks      uint64    // number of the last tick
	pending    []byte    // ticks in the tail, as they will be in a block
	inTail     int
	tailSize   int64
	enc        encoder
	zstd       *zstd.Encoder

	mu    sync.Mutex // of trends, which others read
	trend trendKeeper

	written atomic.Int64
	failed  atomic.Pointer[error]
}

// perBlock is how many ticks a block has.
const perBlock = 10

// trendSteps is how many steps Recorder.Trends has at most.
const trendSteps = 30

// DirOf returns where the recording of a directory is, unless its user chooses another place:
// beside it, because what is in a directory belongs to its processes.
func DirOf(dir string) string { return filepath.Clean(dir) + ".recording" }

// Open begins to record into dir, which it makes. It goes on with a recording that is there.
// Only one process can record into a directory.
func Open(dir string, a *aggregate.Aggregator, opts Options) (_ *Recorder, err error) {
	if opts.Keep == 0 {
		opts.Keep = 10 * time.Minute
	}
	if opts.MaxBytes == 0 {
		opts.MaxBytes = 256 << 20
	}
	if opts.Now == nil {
		opts.Now = time.Now
	}
	if opts.Logger == nil {
		opts.Logger = slog.New(slog.DiscardHandler)
	}
	if err := makePlace(dir); err != nil {
		return nil, fmt.Errorf("record: %w", err)
	}
	r := &Recorder{a: a, dir: dir, opts: opts, lock: flock.New(filepath.Join(dir, "lock"), flock.SetFlag(os.O_CREATE|os.O_RDWR|noFollow))}
	r.trend = trendKeeper{step: max(time.Second, (opts.Keep / trendSteps).Truncate(time.Second)), steps: trendSteps}
	r.enc.grown = r.trend.add
	locked, err := r.lock.TryLock()
	switch {
	case err != nil:
		return nil, fmt.Errorf("record: %w", err)
	case !locked:
		return nil, fmt.Errorf("record: another process records into %s", dir)
	}
	defer func() {
		if err != nil {
			r.Close()
		}
	}()
	if r.zstd, err = zstd.NewWriter(nil, zstd.WithEncoderLevel(zstd.SpeedFastest), zstd.WithEncoderConcurrency(1)); err != nil {
		return nil, err
	}
	if r.tail, err = openFile(dir, tailName, os.O_CREATE); err != nil {
		return nil, fmt.Errorf("record: %w", err)
	}
	if err := r.resume(); err != nil {
		return nil, err
	}
	return r, nil
}

// resume goes on with the newest file, and moves what is in the tail there. A file that is no
// recording is replaced when its turn comes.
func (r *Recorder) resume() error {
	files, err := loadAll(r.dir)
	if errors.Is(err, ErrNone) {
		return r.tail.Truncate(0)
	}
	if err != nil {
		return err
	}
	current := files[len(files)-1]
	var left [][]byte
	if current.name == tailName {
		left, current = current.ticks, files[len(files)-2]
	}
	for _, f := range files {
		for _, tick := range f.ticks {
			r.ticks = max(r.ticks, (&decoder{b: tick}).uvarint())
		}
	}
	r.trend.replay(files)
	r.ticks++ // so that no tick follows the last one without a beginning
	r.number = current.number
	if r.file, err = openFile(r.dir, fileNames[r.number%2], 0); err != nil {
		return fmt.Errorf("record: %w", err)
	}
	if err := r.file.Truncate(current.good); err != nil {
		return fmt.Errorf("record: %w", err)
	}
	if _, err := r.file.Seek(current.good, io.SeekStart); err != nil {
		return fmt.Errorf("record: %w", err)
	}
	r.size, r.begun = current.good, r.opts.Now()
	if len(current.ticks) > 0 {
		r.begun = timeOf(current.ticks[0])
	}
	for _, tick := range left {
		r.keep(tick)
	}
	return r.flush()
}

// Close ends the recording. What is in the tail stays there.
func (r *Recorder) Close() error {
	var errs []error
	for _, f := range []*os.File{r.file, r.tail} {
		if f != nil {
			errs = append(errs, f.Close())
		}
	}
	return errors.Join(append(errs, r.lock.Close())...)
}

// Run records each second until ctx ends.
func (r *Recorder) Run(ctx context.Context) {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	said := ""
	for {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
		err := r.Tick(ctx)
		if err == nil {
			said = ""
			r.failed.Store(nil)
			continue
		}
		if r.failed.Store(&err); err.Error() != said && ctx.Err() == nil {
			said = err.Error()
			r.opts.Logger.Warn("nothing was recorded", "error", err)
		}
	}
}

// Tick records what there is now.
func (r *Recorder) Tick(ctx context.Context) (err error) {
	now := r.opts.Now()
	if r.file == nil || now.Sub(r.begun) >= r.opts.Keep || r.size+int64(len(r.pending)) >= r.opts.MaxBytes/2 {
		if err := r.flush(); err != nil {
			return err
		}
		r.enc.reset()
	}
	var payload []byte
	first := !r.enc.begun
	inspect.Look(ctx, r.a, func(s inspect.Sight, e error) {
		if err = e; err == nil {
			r.mu.Lock()
			defer r.mu.Unlock()
			r.trend.begin(now, !first)
			payload = r.enc.tick(r.ticks+1, now, &s, r.enc.appendDeaths(s.Processes, s.Values))
		}
	})
	if err != nil {
		return err
	}
	r.ticks++
	if err := r.write(payload, first, now); err != nil {
		r.enc.reset() // the next tick must need none before
		return fmt.Errorf("record: %w", err)
	}
	return nil
}

// write writes a tick.
func (r *Recorder) write(tick []byte, first bool, now time.Time) error {
	if first {
		r.keep(tick)
		if r.file == nil || now.Sub(r.begun) >= r.opts.Keep || r.size >= r.opts.MaxBytes/2 {
			return r.rotate(now)
		}
		return r.flush() // goes on in the file of a recorder before
	}
	frame := appendFrame(nil, kindTick, tick)
	if _, err := r.tail.WriteAt(frame, r.tailSize); err != nil {
		return errors.Join(err, r.tail.Truncate(r.tailSize)) // a reader stops at half a tick
	}
	r.tailSize += int64(len(frame))
	r.written.Add(int64(len(frame)))
	r.keep(tick)
	if r.inTail < perBlock {
		return nil
	}
	return r.flush()
}

// keep adds a tick to the next block.
func (r *Recorder) keep(tick []byte) {
	r.pending = append(binary.AppendUvarint(r.pending, uint64(len(tick))), tick...)
	r.inTail++
}

// block returns the pending ticks as a frame.
func (r *Recorder) block() []byte {
	return appendFrame(nil, kindBlock, r.zstd.EncodeAll(r.pending, nil))
}

// flush moves the ticks of the tail to the file.
func (r *Recorder) flush() error {
	if r.inTail > 0 && r.file != nil {
		frame := r.block()
		if n, err := r.file.Write(frame); err != nil {
			// What is half written ends the file for a reader: take it back.
			if _, seekErr := r.file.Seek(r.size, io.SeekStart); seekErr == nil && n > 0 {
				_ = r.file.Truncate(r.size)
			}
			return err
		}
		r.size += int64(len(frame))
		r.written.Add(int64(len(frame)))
	}
	r.pending, r.inTail, r.tailSize = r.pending[:0], 0, 0
	return r.tail.Truncate(0)
}

// rotate begins a new file in the place of the older one, with the pending tick, which needs
// none before it.
func (r *Recorder) rotate(now time.Time) error {
	number := r.number + 1
	if r.file == nil {
		number = 0
	}
	path := filepath.Join(r.dir, fileNames[number%2])
	f, err := createFile(r.dir, fileNames[number%2]+".new")
	if err != nil {
		return err
	}
	content := append(header(number), r.block()...)
	if most := r.opts.MaxBytes / 2; int64(len(content)) > most {
		r.pending, r.inTail = r.pending[:0], 0
		return errors.Join(fmt.Errorf("all series take %d bytes, more than half of the %d that a recording may have", len(content), r.opts.MaxBytes), f.Close(), os.Remove(path+".new"))
	}
	if _, err := f.Write(content); err != nil {
		return errors.Join(err, f.Close(), os.Remove(path+".new"))
	}
	if err := os.Rename(path+".new", path); err != nil {
		return errors.Join(err, f.Close())
	}
	if r.file != nil {
		r.file.Close()
	}
	r.file, r.number, r.size, r.begun = f, number, int64(len(content)), now
	r.written.Add(int64(len(content)))
	r.pending, r.inTail, r.tailSize = r.pending[:0], 0, 0
	return r.tail.Truncate(0)
}

// Trends returns the rates of the time that is kept. It may be called by any goroutine.
func (r *Recorder) Trends() Trends {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.trend.trends()
}

// Options returns the options, with defaults.
func (r *Recorder) Options() Options { return r.opts }

// Err says why the last second was not recorded, or nil.
func (r *Recorder) Err() error {
	if err := r.failed.Load(); err != nil {
		return *err
	}
	return nil
}
