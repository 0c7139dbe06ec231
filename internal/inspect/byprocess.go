package inspect

import "context"

type byProcessKey struct{}

// WithByProcess returns a context with which a merged directory gathers the series of each
// process by itself, with the process label, instead of merged ones.
func WithByProcess(ctx context.Context) context.Context {
	return context.WithValue(ctx, byProcessKey{}, true)
}

// IsByProcess reports whether the context comes from WithByProcess.
func IsByProcess(ctx context.Context) bool { return ctx.Value(byProcessKey{}) != nil }
