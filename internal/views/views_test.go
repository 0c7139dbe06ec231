package views_test

import (
	"context"
	"errors"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/multiprom/multiprom/gather"
	"github.com/multiprom/multiprom/internal/views"
	"github.com/multiprom/multiprom/metric"
)

// series are rows that come from series.
type series []metric.Series

func (s series) Len() int { return len(s) }
func (s series) AppendLabels(dst metric.Labels, i int) metric.Labels {
	return append(dst, s[i].Labels...)
}
func (s series) Read(i int, out *metric.Series) { *out = metric.Series{Value: s[i].Value} }

func TestWhole(t *testing.T) {
	want := []metric.Series{
		{Labels: metric.MakeLabels("a", "1"), Value: 1},
		{Labels: metric.MakeLabels("a", "2"), Value: 2},
	}
	plain := &metric.Family{Name: "plain", Series: want}
	head := &metric.Family{Name: "shown", Help: "H.", Unit: "shown", Type: metric.Gauge}
	families := append(views.Plain([]*metric.Family{plain}), views.Family{Family: head, Rows: series(want)})
	require.Equal(t, 2, families[0].Len())
	require.Equal(t, 2, families[1].Len())
	whole := views.Whole(families)
	require.Same(t, plain, whole[0])
	require.Equal(t, &metric.Family{Name: "shown", Help: "H.", Unit: "shown", Type: metric.Gauge, Series: want}, whole[1])
	require.Empty(t, head.Series, "the shown family is not changed")
	require.Nil(t, views.Whole(nil))
	require.Nil(t, views.Plain(nil))
	require.NotEqual(t, views.NewLayout(), views.NewLayout())
}

// public is a type of which users see no View.
type public struct{ gathered int }

func (p *public) Gather(context.Context) ([]*metric.Family, error) {
	p.gathered++
	return []*metric.Family{{Name: "gathered"}}, nil
}

type shows struct{ err error }

func (s shows) View(_ context.Context, fn func([]views.Family, error)) {
	fn([]views.Family{{Family: &metric.Family{Name: "shown"}}}, s.err)
}

// embeds is a user's type with a Gather of its own.
type embeds struct{ *public }

func (embeds) Gather(context.Context) ([]*metric.Family, error) {
	return []*metric.Family{{Name: "own"}}, nil
}

func TestShow(t *testing.T) {
	broken := errors.New("broken")
	views.Provide(func(*public) views.Viewer { return shows{broken} })
	p := &public{}
	for _, tt := range []struct {
		g    gather.Gatherer
		want string
		err  error
	}{
		{p, "shown", broken},
		{embeds{p}, "own", nil},
		{gather.Func(p.Gather), "gathered", nil},
		{struct {
			gather.Gatherer
			views.Viewer
		}{p, shows{}}, "shown", nil},
	} {
		calls := 0
		views.Show(t.Context(), tt.g, func(families []views.Family, err error) {
			calls++
			require.Len(t, families, 1)
			require.Equal(t, tt.want, families[0].Name)
			require.Equal(t, tt.err, err)
		})
		require.Equal(t, 1, calls)
	}
	require.Equal(t, 1, p.gathered)
	require.Nil(t, views.Of(embeds{p}))
}
