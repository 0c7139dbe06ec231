package registry_test

import (
	"context"
	"errors"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/multiprom/multiprom/gather"
	"github.com/multiprom/multiprom/internal/views"
	"github.com/multiprom/multiprom/metric"
	"github.com/multiprom/multiprom/registry"
)

// viewer shows the same families each time, until fn returns.
type viewer struct {
	families []*metric.Family
	err      error
	busy     bool // fn is running
	panics   bool
}

func (v *viewer) Gather(context.Context) ([]*metric.Family, error) {
	if v.busy {
		panic("asked while its families are looked at")
	}
	return v.families, v.err
}

func (v *viewer) View(_ context.Context, fn func([]views.Family, error)) {
	if v.panics {
		panic("view")
	}
	v.busy = true
	defer func() { v.busy = false }()
	fn(views.Plain(v.families), v.err)
}

// viewed returns what View shows, once.
func viewed(t *testing.T, g gather.Gatherer) (out []string, err error) {
	t.Helper()
	calls := 0
	views.Show(t.Context(), g, func(families []views.Family, e error) {
		calls++
		out, err = lines(views.Whole(families)), e
	})
	require.Equal(t, 1, calls)
	return out, err
}

func TestView(t *testing.T) {
	v := &viewer{families: []*metric.Family{family(metric.Counter, "v")}}
	asks := gather.Func(func(ctx context.Context) ([]*metric.Family, error) {
		if _, err := v.Gather(ctx); err != nil { // as the list of a directory's workers does
			return nil, err
		}
		return []*metric.Family{family(metric.Gauge, "a")}, nil
	})
	for _, g := range []gather.Gatherer{v, asks, registry.Merge(v, asks), registry.Merge(asks, v), registry.Merge(asks), registry.Merge(v, &viewer{families: v.families})} {
		want, wantErr := g.Gather(t.Context())
		got, err := viewed(t, g)
		require.Equal(t, lines(want), got)
		require.Equal(t, wantErr == nil, err == nil)
	}

	broken := errors.New("broken")
	failing := registry.Merge(&viewer{err: broken}, asks)
	got, err := viewed(t, failing)
	require.ErrorIs(t, err, broken)
	require.Equal(t, []string{"gauge a 1"}, got)

	got, err = viewed(t, registry.Merge(&viewer{panics: true}, asks))
	var panicked *registry.PanicError
	require.ErrorAs(t, err, &panicked)
	require.Equal(t, []string{"gauge a 1"}, got)

	require.PanicsWithValue(t, "of the caller", func() {
		views.Show(t.Context(), registry.Merge(v, asks), func([]views.Family, error) { panic("of the caller") })
	})
	require.False(t, v.busy)
}
