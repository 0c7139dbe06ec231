package exposition

import (
	"bytes"
	"io"
	"net/http"
	"sync"
	"time"

	"github.com/multiprom/multiprom/internal/limits"
)

// answer is an encoded scrape, all of it in memory: nothing is left to be done for a
// client but to wait for it.
type answer struct {
	parts [][]byte
	page  *page // that parts belong to; nil if they belong to nobody
}

// Write adds a copy of b: an encoder writes to it.
func (a *answer) Write(b []byte) (int, error) {
	a.parts = append(a.parts, bytes.Clone(b))
	return len(b), nil
}

// partSize is how much a client has to take at a time to be seen to move on.
const partSize = 32 << 10

// senders are the answers that are being sent. A client that takes nothing costs no
// slot of a scrape, but memory: so of more than most the one is cut off that has
// waited for its client the longest. One that moves on is never that.
type senders struct {
	most int // negative: no limit

	mu   sync.Mutex
	turn uint64 // of the last that has moved on
	all  map[*sender]struct{}
}

// sender is an answer that is being sent.
type sender struct {
	conn *http.ResponseController
	end  time.Time // of all sending; zero is none
	turn uint64    // when it moved on last; guarded by senders.mu
}

// send writes an answer to a client that waits for patience after begun. It calls
// release as soon as nothing of the answer but its memory is in use, and the client
// cannot hold that for long. The server's own WriteTimeout goes on.
//
// An error can reach nobody: the client went away, or was cut off.
func (s *senders) send(w http.ResponseWriter, r *http.Request, a *answer, begun time.Time, patience time.Duration, release func()) {
	one := &sender{conn: http.NewResponseController(w)}
	srv, ok := r.Context().Value(http.ServerContextKey).(*http.Server)
	limited := ok && srv.WriteTimeout > 0
	if limited {
		one.end = begun.Add(srv.WriteTimeout)
	}
	if end := begun.Add(patience); patience > 0 && (!limited || end.Before(one.end)) {
		one.end = end
	}
	move := func() bool { return true }
	if s.begin(one) {
		release()
		defer func() {
			// With the next request a server with a WriteTimeout sets another deadline.
			// Until then this one is for what the server still holds back.
			if s.finish(one) && !limited {
				_ = one.conn.SetWriteDeadline(time.Time{})
			}
		}()
		move = func() bool { return s.move(one) }
	}
	if a.write(w, move) {
		a.page.release()
	}
	// A connection that has failed, of HTTP/2, may go on reading what was written to
	// it: then the page stays as it is.
}

// write writes the answer, as long as move allows the next part.
func (a *answer) write(w io.Writer, move func() bool) (done bool) {
	for _, part := range a.parts {
		for len(part) > 0 {
			n := min(len(part), partSize)
			if !move() {
				return false
			}
			if _, err := w.Write(part[:n]); err != nil {
				return false
			}
			part = part[n:]
		}
	}
	return true
}

// begin takes up an answer. It reports false where no deadline can be set, as by a
// writer that hides its connection: nothing could cut that one off.
func (s *senders) begin(one *sender) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if one.conn.SetWriteDeadline(one.deadline()) != nil {
		return false
	}
	if s.most > 0 && len(s.all) >= s.most {
		var oldest *sender
		for other := range s.all {
			if oldest == nil || other.turn < oldest.turn {
				oldest = other
			}
		}
		// Its handler has not returned, since finish takes the lock.
		_ = oldest.conn.SetWriteDeadline(time.Unix(1, 0))
		delete(s.all, oldest)
	}
	if s.all == nil {
		s.all = map[*sender]struct{}{}
	}
	s.turn++
	one.turn = s.turn
	s.all[one] = struct{}{}
	return true
}

// move gives the sender time for its next part. It reports false if it was cut off.
func (s *senders) move(one *sender) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, ok := s.all[one]; !ok {
		return false // the deadline has passed, and stays so
	}
	s.turn++
	one.turn = s.turn
	return one.conn.SetWriteDeadline(one.deadline()) == nil
}

// finish reports whether the sender was not cut off. Nobody else sets its deadline
// from then on.
func (s *senders) finish(one *sender) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	_, ok := s.all[one]
	delete(s.all, one)
	return ok
}

// deadline returns until when the client has to have taken the next part.
func (one *sender) deadline() time.Time {
	deadline := time.Now().Add(limits.Stall)
	if !one.end.IsZero() && one.end.Before(deadline) {
		return one.end
	}
	return deadline
}
