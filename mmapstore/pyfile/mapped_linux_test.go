package pyfile

import (
	"os"
	"testing"

	"github.com/edsrzf/mmap-go"
	"github.com/stretchr/testify/require"
)

func TestMapped(t *testing.T) {
	f := newFixture(t, "counter_1 2.db", content(strideTimed))
	f.open()
	info, err := os.Stat(f.dir.Join(f.name))
	require.NoError(t, err)
	has := func(name string) bool {
		m, err := Mapped()
		require.NoError(t, err)
		return m.Has(name, info)
	}
	require.False(t, has(f.name), "a reader does not count")
	file, err := os.OpenFile(f.dir.Join(f.name), os.O_RDWR, 0)
	require.NoError(t, err)
	m, err := mmap.Map(file, mmap.RDWR, 0)
	require.NoError(t, err)
	require.NoError(t, file.Close())
	require.True(t, has(f.name), "this process maps it")
	require.False(t, has("counter_2.db"))
	require.NoError(t, m.Unmap())
	require.False(t, has(f.name))
}
