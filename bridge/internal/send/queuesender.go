package send

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/multiprom/multiprom/internal/options"
)

// shared is what the two goroutines of a queue share: the one that writes rounds, and the one
// that sends them.
type shared struct {
	mu    sync.Mutex
	queue *queue
	more  chan struct{} // has a value when there may be a round
	done  chan struct{} // closed when no more rounds come
}

// wake tells the sender that there is a round.
func (s *shared) wake() {
	select {
	case s.more <- struct{}{}:
	default:
	}
}

// sendQueue sends the rounds of the queue in order until ctx ends, or until the queue is empty
// and no more come.
func (p *Pipe) sendQueue(ctx context.Context, s *shared) {
	var r Round
	for ctx.Err() == nil {
		s.mu.Lock()
		ok, err := s.queue.first(&r)
		s.mu.Unlock()
		if !ok {
			select {
			case <-s.more:
				continue
			default:
			}
			select {
			case <-s.more:
			case <-s.done:
				s.mu.Lock()
				empty := s.queue.state.rounds == 0
				s.mu.Unlock()
				if empty {
					return
				}
			case <-ctx.Done():
			}
			continue
		}
		if err == nil {
			err = p.deliver(ctx, &r, p.worth(s.queue, r.Time, s.done))
		}
		if errors.Is(err, errEnding) || ctx.Err() != nil && !errors.Is(err, errRefused) && err != nil {
			return // the next process sends it
		}
		p.say(err)
		s.mu.Lock()
		if err := s.queue.remove(0); err != nil {
			p.say(fmt.Errorf("%s: a round that was sent stays in the queue: %w", p.name, err))
			s.mu.Unlock()
			select {
			case <-time.After(p.opts.MaxBackoff):
			case <-ctx.Done():
			}
			continue
		}
		p.stats.setQueue(s.queue.state)
		s.mu.Unlock()
	}
}

// worth says how long a round of the queue is sent: until it is too old.
func (p *Pipe) worth(q *queue, at time.Time, done <-chan struct{}) patience {
	if q.maxAge == options.NoLimit {
		return patience{ending: done}
	}
	return patience{until: time.Now().Add(q.maxAge - p.opts.Now().Sub(at)), ending: done}
}
