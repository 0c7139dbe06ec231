package send

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"

	"go.etcd.io/bbolt"
	berrors "go.etcd.io/bbolt/errors"

	"github.com/multiprom/multiprom/gather"
	"github.com/multiprom/multiprom/internal/options"
)

// queue keeps rounds on disk in the order in which they were written, each under its number.
// A transaction writes or deletes one round, so a kill leaves it there or not.
type queue struct {
	db       *bbolt.DB
	state    queueState
	sizes    []stored // of the rounds, oldest first
	sending  uint64   // key of the round that is being sent, which is not dropped; 0 if none
	buf      []byte
	maxBytes int
	maxAge   time.Duration
}

// stored is a round in the queue.
type stored struct {
	key            uint64
	bytes, samples int
	at             time.Time
}

var roundsBucket = []byte("rounds")

// openQueue opens the queue of an exit in a directory.
func openQueue(dir, name string, maxBytes int, maxAge time.Duration) (*queue, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	path := filepath.Join(dir, name+".db")
	db, err := bbolt.Open(path, 0o600, &bbolt.Options{Timeout: time.Second, FreelistType: bbolt.FreelistMapType, NoFreelistSync: true})
	if errors.Is(err, berrors.ErrTimeout) {
		return nil, fmt.Errorf("QueueDir: another process uses %s", path)
	} else if err != nil {
		return nil, fmt.Errorf("QueueDir: %s: %w", path, err)
	}
	q := &queue{db: db, maxBytes: maxBytes, maxAge: maxAge}
	if err := db.Update(q.readAll); err != nil {
		return nil, errors.Join(fmt.Errorf("QueueDir: %s: %w", path, err), db.Close())
	}
	return q, nil
}

// readAll finds out what an earlier process left.
func (q *queue) readAll(tx *bbolt.Tx) error {
	b, err := tx.CreateBucketIfNotExists(roundsBucket)
	if err != nil {
		return err
	}
	var r Round
	return b.ForEach(func(k, v []byte) error {
		if len(k) != 8 {
			return fmt.Errorf("%w: its key has %d bytes", errStored, len(k))
		}
		s := stored{key: binary.BigEndian.Uint64(k), bytes: len(v)}
		if r.load(v) == nil { // a damaged one is dropped when it is its turn
			s.samples, s.at = r.Samples(0), r.Time
		}
		q.add(s)
		return nil
	})
}

func (q *queue) add(s stored) {
	q.sizes = append(q.sizes, s)
	q.state.rounds++
	q.state.bytes += s.bytes
	q.state.oldest = q.sizes[0].at
}

// newest returns the time of the newest round.
func (q *queue) newest() (t time.Time) {
	for _, s := range q.sizes {
		if s.at.After(t) {
			t = s.at
		}
	}
	return t
}

// put writes a round. drop is called for each older round that has to go for it.
func (q *queue) put(r *Round, drop func(reason string, samples int)) error {
	q.buf = r.appendStored(q.buf[:0])
	s := stored{key: 1, bytes: len(q.buf), samples: r.Samples(0), at: r.Time}
	if n := len(q.sizes); n > 0 {
		s.key = q.sizes[n-1].key + 1
	}
	for i := q.oldest(); i < len(q.sizes) && q.maxBytes != options.NoLimit && q.state.bytes+s.bytes > q.maxBytes; i = q.oldest() {
		if err := q.drop(i, "queue_bytes", drop); err != nil {
			return err
		}
	}
	err := q.db.Update(func(tx *bbolt.Tx) error {
		return tx.Bucket(roundsBucket).Put(binary.BigEndian.AppendUint64(nil, s.key), q.buf)
	})
	if err != nil {
		return err
	}
	q.add(s)
	return nil
}

// oldest returns the place of the oldest round that may be dropped.
func (q *queue) oldest() int {
	if len(q.sizes) > 0 && q.sizes[0].key == q.sending {
		return 1
	}
	return 0
}

// expire drops rounds that are too old.
func (q *queue) expire(now time.Time, drop func(reason string, samples int)) error {
	for i := q.oldest(); i < len(q.sizes) && q.tooOld(q.sizes[i].at, now); i = q.oldest() {
		if err := q.drop(i, "queue_age", drop); err != nil {
			return err
		}
	}
	return nil
}

func (q *queue) tooOld(at, now time.Time) bool {
	return q.maxAge != options.NoLimit && now.Sub(at) > q.maxAge
}

func (q *queue) drop(i int, reason string, drop func(reason string, samples int)) error {
	samples := q.sizes[i].samples
	if err := q.remove(i); err != nil {
		return err
	}
	drop(reason, samples)
	return nil
}

// first reads the oldest round into r, which is then being sent. ok is false if there is none.
func (q *queue) first(r *Round) (ok bool, err error) {
	if len(q.sizes) == 0 {
		return false, nil
	}
	q.sending = q.sizes[0].key
	err = q.db.View(func(tx *bbolt.Tx) error {
		return r.load(tx.Bucket(roundsBucket).Get(binary.BigEndian.AppendUint64(nil, q.sending)))
	})
	return true, err
}

// remove deletes round number i.
func (q *queue) remove(i int) error {
	s := q.sizes[i]
	err := q.db.Update(func(tx *bbolt.Tx) error {
		return tx.Bucket(roundsBucket).Delete(binary.BigEndian.AppendUint64(nil, s.key))
	})
	if err != nil {
		return err
	}
	q.sizes = slices.Delete(q.sizes, i, i+1)
	q.state.rounds--
	q.state.bytes -= s.bytes
	if len(q.sizes) > 0 {
		q.state.oldest = q.sizes[0].at
	}
	return nil
}

func (q *queue) close() error { return q.db.Close() }

// runQueue is Run with a queue: this goroutine gathers and writes, another one sends.
func (p *Pipe) runQueue(ctx context.Context, g gather.Gatherer) (err error) {
	q, err := openQueue(p.opts.QueueDir, p.name, p.opts.QueueBytes, p.opts.QueueAge)
	if err != nil {
		return fmt.Errorf("%s: %w", p.name, err)
	}
	defer func() { err = errors.Join(err, q.close()) }()
	if newest := q.newest(); newest.After(p.last) {
		p.last = newest
	}
	p.stats.setQueue(q.state)

	s := &shared{queue: q, more: make(chan struct{}, 1), done: make(chan struct{})}
	sendCtx, stop := context.WithCancel(context.WithoutCancel(ctx))
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		p.sendQueue(sendCtx, s)
	}()
	tick := time.NewTicker(p.opts.Interval)
	defer tick.Stop()
	for {
		p.enqueue(ctx, g, s)
		select {
		case <-tick.C:
			continue
		case <-ctx.Done():
		}
		break
	}
	p.enqueue(context.WithoutCancel(ctx), g, s)
	p.markAll()
	p.put(s)
	close(s.done)
	last := time.AfterFunc(shutdownTime, stop)
	<-ended
	last.Stop()
	stop()
	return nil
}

// enqueue gathers a round and writes it to the queue.
func (p *Pipe) enqueue(ctx context.Context, g gather.Gatherer, s *shared) {
	omitted, err := p.encode(ctx, g)
	if err != nil {
		p.say(err)
		return
	}
	p.note(omitted)
	p.settle(p.put(s))
}

// put writes the round to the queue.
func (p *Pipe) put(s *shared) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	err := s.queue.expire(p.round.Time, p.stats.drop)
	if err == nil {
		err = s.queue.put(&p.round, p.stats.drop)
	}
	p.stats.setQueue(s.queue.state)
	if err != nil {
		p.stats.drop("queue_error", p.round.Samples(0))
		p.say(fmt.Errorf("%s: a round could not be written to the queue: %w", p.name, err))
		return err
	}
	s.wake()
	return nil
}
