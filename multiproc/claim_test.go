package multiproc_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/multiprom/multiprom/metric"
	"github.com/multiprom/multiprom/multiproc"
)

func TestClaim(t *testing.T) {
	s := multiproc.NewSet(multiproc.SetOptions{})
	multiproc.Must(s.NewCounter(multiproc.CounterOpts{Name: "c", Help: "C."}))
	require.ErrorIs(t, s.Claim("a", []string{"free", "c_total"}), multiproc.ErrConflict)
	require.NoError(t, s.Claim("b", []string{"free", "x"}), "all of them or none")
	require.NoError(t, s.Claim("b", []string{"x"}), "it is b's")
	require.ErrorContains(t, s.Claim("a", []string{"x"}), "b has claimed it")
	multiproc.Must(s.NewGauge(multiproc.GaugeOpts{Name: "x", Help: "X."}))
	require.ErrorIs(t, s.Claim("b", []string{"x"}), multiproc.ErrConflict, "the instrument takes it")
	require.False(t, s.Opened())
}

func TestDeclares(t *testing.T) {
	s := multiproc.NewSet(multiproc.SetOptions{})
	multiproc.Must(s.NewCounterVec(multiproc.CounterOpts{Name: "c_total", Help: "C."}, []string{"l"}))
	require.NoError(t, s.Claim("a", []string{"x"}))
	require.True(t, s.Declares("c", metric.Counter))
	require.False(t, s.Declares("c", metric.Gauge), "of another type")
	require.False(t, s.Declares("c_total", metric.Counter), "the name of a sample")
	require.False(t, s.Declares("x", metric.Gauge), "no instrument's")
	require.False(t, s.Opened())
}
