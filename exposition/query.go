package exposition

import (
	"context"
	"fmt"
	"net/http"
	"regexp"
	"slices"

	"github.com/multiprom/multiprom/gather"
	"github.com/multiprom/multiprom/internal/access"
	"github.com/multiprom/multiprom/internal/inspect"
)

// query is what the query of a request asks for.
type query struct {
	names     []string // of samples or families; with matches, none for all
	matches   []*regexp.Regexp
	byProcess bool
}

// maxPattern is how long a regular expression of a client may be. One that is short takes
// little memory, and RE2 needs linear time.
const maxPattern = 1000

// parseQuery reads the parameters name[], match and by. Others are ignored.
func parseQuery(r *http.Request) (q query, err error) {
	if r.URL.RawQuery == "" {
		return q, nil
	}
	values := r.URL.Query()
	q.names = values["name[]"]
	for _, pattern := range values["match"] {
		if len(pattern) > maxPattern {
			return q, fmt.Errorf("match: a regular expression has at most %d bytes", maxPattern)
		}
		match, err := regexp.Compile("^(?:" + pattern + ")$")
		if err != nil {
			return q, fmt.Errorf("match: %w", err)
		}
		q.matches = append(q.matches, match)
	}
	for _, by := range values["by"] {
		if by != "process" {
			return q, fmt.Errorf("by=%q: there is only by=process", by)
		}
		q.byProcess = true
	}
	return q, nil
}

// asks reports whether samples of that name are asked for.
func (q *query) asks(name string) bool {
	return slices.Contains(q.names, name) || slices.ContainsFunc(q.matches, func(m *regexp.Regexp) bool { return m.MatchString(name) })
}

// apply returns what to gather, and with which context.
func (q *query) apply(ctx context.Context, g gather.Gatherer) (context.Context, gather.Gatherer) {
	if len(q.names)+len(q.matches) > 0 {
		g = access.Restrict(g, q.asks)
	}
	if q.byProcess {
		ctx = inspect.WithByProcess(ctx)
	}
	return ctx, g
}
