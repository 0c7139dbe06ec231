package supervisor

import (
	"context"
	"errors"
	"time"
)

// slot holds one worker at a time. Its goroutine, run, owns all fields except replace.
// Slots never wait for each other.
type slot struct {
	s       *Supervisor
	index   int
	pace    pacer
	cur     *worker // nil while none runs
	starts  int
	forced  bool // the last worker was killed; read after run has ended
	replace chan chan<- replaced
}

// replaced answers a reload with the worker that now drains, if there was one.
type replaced struct {
	old *worker
	err error
}

func newSlot(s *Supervisor, index int) *slot {
	return &slot{
		s: s, index: index,
		pace:    pacer{Backoff: s.opt.Backoff, random: s.opt.random},
		replace: make(chan chan<- replaced),
	}
}

// run keeps a worker running until the supervisor stops.
func (sl *slot) run() {
	restart := time.After(0)
	for {
		var done <-chan struct{}
		if sl.cur != nil {
			done, restart = sl.cur.done, nil
		}
		select {
		case <-sl.s.stop:
			if sl.cur != nil {
				sl.forced = sl.s.retire(sl.cur)
			}
			return
		case <-restart:
			var err error
			if sl.cur, err = sl.start(); err != nil {
				restart = sl.restartAfter(0)
				if !errors.Is(err, errNotRunning) {
					sl.s.opt.Logger.Error("worker did not start", "slot", sl.index, "error", err)
				}
			}
		case <-done:
			restart = sl.restartAfter(sl.cur.age)
			sl.cur = nil
		case reply := <-sl.replace:
			next, err := sl.startReplacement()
			if err != nil {
				reply <- replaced{err: err}
				continue
			}
			old := sl.cur
			sl.cur = next
			if old != nil {
				sl.s.wg.Go(func() { sl.s.retire(old) })
			}
			reply <- replaced{old: old}
		}
	}
}

func (sl *slot) start() (*worker, error) {
	w, err := sl.s.startWorker(sl.index, sl.starts)
	if err == nil {
		sl.starts++
	}
	return w, err
}

func (sl *slot) restartAfter(age time.Duration) <-chan time.Time {
	delay := sl.pace.next(age)
	if delay > 0 {
		sl.s.opt.Logger.Warn("worker restarts later", "slot", sl.index, "delay", delay)
	}
	return time.After(delay)
}

// startReplacement returns a worker that is ready. It does not watch the current one:
// if that dies, its successor is already starting.
func (sl *slot) startReplacement() (*worker, error) {
	next, err := sl.start()
	if err != nil {
		return nil, err
	}
	var timeout <-chan time.Time
	if sl.s.opt.SignalsReady {
		timeout = time.After(sl.s.opt.ReadyTimeout)
	}
	select {
	case <-next.ready:
		return next, nil
	case <-next.done:
		return nil, ErrNotReady
	case <-timeout:
		err = ErrNotReady
	case <-sl.s.stop:
		err = errNotRunning
	}
	sl.s.wg.Go(func() { sl.s.retire(next) })
	return nil, err
}

// reload replaces the slot's worker and waits until the old one has drained. It runs in
// the goroutine of Reload.
func (sl *slot) reload(ctx context.Context) error {
	reply := make(chan replaced, 1)
	select {
	case sl.replace <- reply:
	case <-sl.s.stop:
		return errNotRunning
	case <-ctx.Done():
		return ctx.Err()
	}
	var r replaced
	select {
	case r = <-reply:
	case <-ctx.Done():
		return ctx.Err()
	}
	if r.err != nil || r.old == nil {
		return r.err
	}
	select {
	case <-r.old.gone:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
