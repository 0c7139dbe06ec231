package mmapstore_test

import (
	"math"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/multiprom/multiprom/internal/optiontest"
	"github.com/multiprom/multiprom/metric"
	"github.com/multiprom/multiprom/mmapstore"
)

func TestOptions(t *testing.T) {
	dir := t.TempDir()
	optiontest.Check(t, mmapstore.Options{}, map[string]optiontest.Row{
		"ProcessID": {Bad: []any{strings.Repeat("x", 200), "\xff"}, Good: []any{"web-1"}},
		"MaxBytes":  {Bad: []any{1, int64(math.MaxInt64)}},
		"Mode":      {Bad: []any{0o666, 0o040}, Good: []any{0o640}},
	}, func(o mmapstore.Options) error {
		s, err := mmapstore.Create(dir, o)
		if err == nil {
			err = s.Close()
		}
		return err
	})

	s := create(t, mmapstore.Options{})
	add(t, s, &metric.Schema{Name: "c", Type: metric.Counter})
	reading := map[string]optiontest.Row{"Trusted": {}, "MaxBytes": {Special: []int64{metric.NoLimit}}}
	optiontest.Check(t, mmapstore.ReadOptions{}, reading, func(o mmapstore.ReadOptions) error {
		f, err := mmapstore.Read(s.Path(), o)
		if err == nil {
			require.Len(t, f.Families, 1)
		}
		return err
	})
	optiontest.Check(t, mmapstore.ReadOptions{}, reading, func(o mmapstore.ReadOptions) error {
		_, err := mmapstore.Verify(s.Path(), o)
		return err
	})
}
