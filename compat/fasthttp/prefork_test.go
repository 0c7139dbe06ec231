package mpfasthttp_test

import (
	"errors"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/valyala/fasthttp"
	"github.com/valyala/fasthttp/prefork"

	mpfasthttp "github.com/multiprom/multiprom/compat/fasthttp"
	mpprefork "github.com/multiprom/multiprom/compat/prefork"
	"github.com/multiprom/multiprom/multiproc"
)

// TestPreforkKeepsHooks: what a program has set is called beside ours.
func TestPreforkKeepsHooks(t *testing.T) {
	t.Setenv(multiproc.EnvDir, "")
	p := prefork.New(&fasthttp.Server{})
	refused := errors.New("no more children")
	var spawned, replaced []int
	p.OnChildSpawn = func(pid int) error {
		spawned = append(spawned, pid)
		return refused
	}
	p.OnChildRecover = func(oldPID, newPID int) { replaced = append(replaced, oldPID, newPID) }
	master, err := mpfasthttp.Prefork(p, mpprefork.Options{Dir: t.TempDir()})
	require.NoError(t, err)
	require.ErrorIs(t, p.OnChildSpawn(7), refused)
	p.OnChildRecover(7, 8)
	require.Equal(t, []int{7}, spawned)
	require.Equal(t, []int{7, 8}, replaced)
	require.Nil(t, p.OnMasterDeath, "children watch, not the master")
	require.NoError(t, master.Close())

	p = prefork.New(&fasthttp.Server{})
	master, err = mpfasthttp.Prefork(p, mpprefork.Options{Dir: t.TempDir()})
	require.NoError(t, err)
	require.NoError(t, p.OnChildSpawn(7))
	p.OnChildRecover(7, 8)
	require.NoError(t, master.Close())
}

func TestPreforkOfChild(t *testing.T) {
	t.Setenv("FASTHTTP_PREFORK_CHILD", "1")
	t.Setenv(multiproc.EnvDir, "")
	_, err := mpfasthttp.Prefork(prefork.New(&fasthttp.Server{}), mpprefork.Options{})
	require.ErrorIs(t, err, mpprefork.ErrNoDir)
}
