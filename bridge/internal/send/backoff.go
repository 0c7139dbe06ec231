package send

import (
	"context"
	"math/rand/v2"
	"time"
)

// backoff says when the next request may be sent. It outlives batches and rounds: only an
// answer ends it. Its times have monotonic clock readings, so a clock that is set changes
// nothing.
type backoff struct {
	longest time.Duration // MaxBackoff
	delay   time.Duration // after the last failure; 0 if there was an answer since
	until   time.Time     // no request is sent before it
	asked   bool          // the receiver has asked for until
	ended   bool          // the process ends: wait for nothing that comes after shutdownTime
}

// failed notes a failure. retryAfter is how long the receiver wants to be left alone, or 0.
func (b *backoff) failed(retryAfter time.Duration) {
	b.delay = min(max(2*b.delay, b.longest/100, 1), b.longest)
	// Between a half and the whole of the delay, so that many senders do not come at once.
	wait := b.delay/2 + rand.N(b.delay/2+1)
	b.asked = retryAfter > wait
	b.until = time.Now().Add(max(wait, retryAfter))
}

// answered notes that the receiver works.
func (b *backoff) answered() { b.delay, b.until, b.asked = 0, time.Time{}, false }

// skip allows one request at once, unless the receiver has asked for the delay.
func (b *backoff) skip() {
	if !b.asked {
		b.until = time.Time{}
	}
}

// patience says how long the samples of a round are worth sending.
type patience struct {
	until  time.Time       // then the round is superseded; the zero time is never
	ending <-chan struct{} // closed when the process ends; nil is never
}

func (p patience) over() bool { return !p.until.IsZero() && !time.Now().Before(p.until) }

// wait returns nil when a request may be sent. When the process ends, one more is sent at once.
// An error is returned as soon as it is clear that there is no time for another one.
func (b *backoff) wait(ctx context.Context, worth patience) error {
	for {
		delay := time.Until(b.until)
		end, ends := ctx.Deadline()
		switch {
		case worth.over():
			return errSuperseded
		case delay <= 0:
			return ctx.Err()
		case ends && end.Before(b.until):
			return context.DeadlineExceeded
		case b.ended && delay >= shutdownTime:
			return errEnding
		case !worth.until.IsZero():
			delay = min(delay, time.Until(worth.until))
		}
		ending := worth.ending
		if b.ended {
			ending = nil
		}
		timer := time.NewTimer(delay)
		select {
		case <-timer.C:
		case <-ctx.Done():
		case <-ending:
			b.ended = true
			b.skip()
		}
		timer.Stop()
		if err := ctx.Err(); err != nil {
			return err
		}
	}
}
