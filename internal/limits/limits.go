package limits

import (
	"net/http"
	"time"
)

// Defaults for a scrape.
const (
	Concurrent = 40               // as in node_exporter
	Gathering  = 30 * time.Second // in mpctl's servers
	Stall      = 5 * time.Second  // of a client that does not read its answer
)

// Server sets the limits of a server that are zero, so that a slow or hostile client
// cannot hold memory or a connection for long. A negative time means no limit and stays.
func Server(s *http.Server) {
	fill(&s.ReadTimeout, 10*time.Second)
	header := 5 * time.Second
	if s.ReadTimeout > 0 {
		header = min(header, s.ReadTimeout) // net/http would let the header take longer than the whole request
	}
	fill(&s.ReadHeaderTimeout, header)
	fill(&s.WriteTimeout, time.Minute)
	fill(&s.IdleTimeout, 2*time.Minute)
	fill(&s.MaxHeaderBytes, 64<<10)
}

// fill sets the field if it is zero.
func fill[T comparable](field *T, value T) {
	var zero T
	if *field == zero {
		*field = value
	}
}
