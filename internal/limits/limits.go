package limits

import (
	"net/http"
	"time"
)

// Of a scrape, where options and flags say nothing.
const (
	Concurrent = 40               // as in node_exporter
	Gathering  = 30 * time.Second // in mpctl's servers
	Stall      = 5 * time.Second  // of a client that takes nothing of its answer
)

// Server gives a server the limits that its fields leave at zero, so that a
// slow or hostile client holds neither memory nor a connection for long. A
// negative time stays and is no limit.
func Server(s *http.Server) {
	fill(&s.ReadTimeout, 10*time.Second)
	header := 5 * time.Second
	if s.ReadTimeout > 0 {
		header = min(header, s.ReadTimeout) // net/http would let the header take longer than the whole
	}
	fill(&s.ReadHeaderTimeout, header)
	fill(&s.WriteTimeout, time.Minute)
	fill(&s.IdleTimeout, 2*time.Minute)
	fill(&s.MaxHeaderBytes, 64<<10)
}

// fill sets a field that is zero.
func fill[T comparable](field *T, value T) {
	var zero T
	if *field == zero {
		*field = value
	}
}
