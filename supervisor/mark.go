package supervisor

import (
	"context"

	"github.com/multiprom/multiprom/aggregate"
)

// MarkProcessDead is [aggregate.MarkProcessDead]. It is here too because users of
// client_python look for it where workers are run.
func MarkProcessDead(ctx context.Context, dir, id string, opts aggregate.MarkOptions) ([]string, error) {
	return aggregate.MarkProcessDead(ctx, dir, id, opts)
}
