package exposition

import (
	"bytes"
	"io"
	"net/http"
	"sync"
	"time"

	"github.com/multiprom/multiprom/internal/limits"
)

// answer is an encoded scrape, completely in memory. All that remains is to wait for
// the client.
type answer struct {
	parts [][]byte
	page  *page // the owner of parts; nil if there is none
}

// Write adds a copy of b. Encoders write to an answer.
func (a *answer) Write(b []byte) (int, error) {
	a.parts = append(a.parts, bytes.Clone(b))
	return len(b), nil
}

// partSize is how much a client has to take at a time to count as reading.
const partSize = 32 << 10

// senders are the answers that are being sent. A client that does not read does not count as
// a running scrape, but its answer takes memory. So if there are more answers than most, the
// one that has waited longest for its client is cut off. That is never one whose client is
// reading.
type senders struct {
	most int // negative if there is no limit

	mu   sync.Mutex
	turn uint64 // of the last one that moved
	all  map[*sender]struct{}
}

// sender is an answer that is being sent.
type sender struct {
	conn *http.ResponseController
	end  time.Time // of all sending; zero if there is none
	turn uint64    // when it last moved; guarded by senders.mu
}

// send writes an answer to a client that waits for patience after begun. It calls
// release once only the answer's memory is in use and the client cannot hold that for
// long. The server's own WriteTimeout continues to apply.
//
// There is nobody to report an error to: the client went away or was cut off.
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
			// With the next request, a server with a WriteTimeout sets another
			// deadline. Until then this one applies to what the server still buffers.
			if s.finish(one) && !limited {
				_ = one.conn.SetWriteDeadline(time.Time{})
			}
		}()
		move = func() bool { return s.move(one) }
	}
	if a.write(w, move) {
		a.page.release()
	}
	// A failed HTTP/2 connection may still read what was written to it. The page is
	// then not released.
}

// write writes the answer, part by part, as long as move allows it.
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

// begin registers an answer. It reports false if no deadline can be set, for example on
// a writer that hides its connection, because then it could not be cut off.
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
		// Its handler has not returned yet, because finish takes the lock.
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

// move gives the sender time for its next part. It reports false if the sender was cut
// off.
func (s *senders) move(one *sender) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, ok := s.all[one]; !ok {
		return false // the deadline has passed and stays in effect
	}
	s.turn++
	one.turn = s.turn
	return one.conn.SetWriteDeadline(one.deadline()) == nil
}

// finish reports whether the sender was not cut off. After that nobody else sets its
// deadline.
func (s *senders) finish(one *sender) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	_, ok := s.all[one]
	delete(s.all, one)
	return ok
}

// deadline returns the time by which the client must have taken the next part.
func (one *sender) deadline() time.Time {
	deadline := time.Now().Add(limits.Stall)
	if !one.end.IsZero() && one.end.Before(deadline) {
		return one.end
	}
	return deadline
}
