package mpm

import (
	"math"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/multiprom/multiprom/internal/optiontest"
)

func TestOptions(t *testing.T) {
	dir := t.TempDir()
	rows := map[string]optiontest.Row{
		"Label":    {Good: []any{strings.Repeat("x", 1000), "\xff"}}, // it is cut off
		"MaxBytes": {Bad: []any{1, BlockSize - 1, int64(math.MaxInt64)}, Good: []any{BlockSize, int64(32 << 30)}},
		"Mode":     {Bad: []any{0o666, 0o200, 0o040, 0o700, 0o4600, uint32(1 << 31)}, Good: []any{0o640}},
		// Keeping them forever is not possible: the space would be lost.
		"KeepRemoved": {Special: []int64{KeepNone}}, "Now": {}, "Elapsed": {}, "Identity": {},
	}
	optiontest.Check(t, Options{}, rows, func(o Options) error {
		s, err := Create(dir, o)
		if err == nil {
			err = s.Close()
		}
		return err
	})
	optiontest.Check(t, Options{}, rows, func(o Options) error { return NewHeap(o).Close() })

	s, err := Create(dir, Options{})
	require.NoError(t, err)
	defer s.Close()
	d, err := OpenDir(dir)
	require.NoError(t, err)
	defer d.Close()
	reading := map[string]optiontest.Row{"Trusted": {}, "MaxBytes": {Special: []int64{NoLimit}}, "Symbols": {}}
	optiontest.Check(t, ReadOptions{}, reading, func(o ReadOptions) error {
		r, err := Open(s.Path(), o)
		if err == nil {
			err = r.Close()
		}
		return err
	})
	optiontest.Check(t, ReadOptions{}, reading, func(o ReadOptions) error { return d.StageArchive(&Archive{}, o) })
	optiontest.Check(t, ReadOptions{}, reading, func(o ReadOptions) error {
		_, err := Verify(s.Path(), o)
		return err
	})
}
