package multiproc_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/multiprom/multiprom/internal/access"
	"github.com/multiprom/multiprom/metric"
	"github.com/multiprom/multiprom/multiproc"
)

func TestClaim(t *testing.T) {
	s := multiproc.NewSet(multiproc.SetOptions{})
	multiproc.MustNew(s.NewCounter(multiproc.CounterOpts{Name: "c", Help: "C."}))
	require.ErrorIs(t, access.Claim(s, "a", []string{"free", "c_total"}), multiproc.ErrConflict)
	require.NoError(t, access.Claim(s, "b", []string{"free", "x"}), "all of them or none")
	require.NoError(t, access.Claim(s, "b", []string{"x"}), "it is b's")
	require.ErrorContains(t, access.Claim(s, "a", []string{"x"}), "b has claimed it")
	multiproc.MustNew(s.NewGauge(multiproc.GaugeOpts{Name: "x", Help: "X."}))
	require.ErrorIs(t, access.Claim(s, "b", []string{"x"}), multiproc.ErrConflict, "the instrument takes it")
	require.False(t, s.Opened())
}

func TestDeclares(t *testing.T) {
	s := multiproc.NewSet(multiproc.SetOptions{})
	multiproc.MustNew(s.NewCounterVec(multiproc.CounterOpts{Name: "c_total", Help: "C."}, []string{"l"}))
	require.NoError(t, access.Claim(s, "a", []string{"x"}))
	require.True(t, access.Declares(s, "c", metric.Counter))
	require.False(t, access.Declares(s, "c", metric.Gauge), "of another type")
	require.False(t, access.Declares(s, "c_total", metric.Counter), "the name of a sample")
	require.False(t, access.Declares(s, "x", metric.Gauge), "no instrument's")
	require.False(t, s.Opened())
}
