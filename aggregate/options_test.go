package aggregate

import (
	"strconv"
	"testing"
	"time"

	"github.com/multiprom/multiprom/internal/mpm"
	"github.com/multiprom/multiprom/internal/options"
	"github.com/multiprom/multiprom/internal/optiontest"
)

// tooLargeUID is no user's number, where an int can say one.
func tooLargeUID() int {
	shift := 32
	if strconv.IntSize == 32 {
		return -1
	}
	return 1 << shift
}

func TestOptions(t *testing.T) {
	dir := t.TempDir()
	reading := map[string]optiontest.Row{
		"TrustUIDs":    {Bad: []any{[]int{-1}, []int{0, tooLargeUID()}}, Good: []any{[]int{0}}},
		"MaxFileBytes": {Special: []int64{options.NoLimit}},
		"Now":          {},
		"TTL": {Bad: []any{
			map[string]time.Duration{"": time.Minute}, map[string]time.Duration{"a b\xff": time.Minute},
			map[string]time.Duration{"c": 0}, map[string]time.Duration{"c": -time.Minute}, map[string]time.Duration{"c": time.Second},
		}, Good: []any{map[string]time.Duration{"c": time.Minute}}},
	}
	with := func(more map[string]optiontest.Row) map[string]optiontest.Row {
		for name, row := range reading {
			more[name] = row
		}
		return more
	}
	view := with(map[string]optiontest.Row{
		"ProcessLabel": {Bad: []any{"__x", "\xff"}, Good: []any{"worker"}}, "NoSelfMetrics": {}, "Workers": {}, "Logger": {},
	})
	optiontest.Check(t, Options{}, view, func(o Options) error {
		a, err := Open(dir, o)
		if err == nil {
			err = a.Close()
		}
		return err
	})
	store := mpm.NewHeap(mpm.Options{})
	optiontest.Check(t, Options{}, view, func(o Options) error { return fromStore(store, o).Close() })
	compacting := func() map[string]optiontest.Row {
		return with(map[string]optiontest.Row{
			"Threshold": {}, "KeepDead": {Special: []int64{options.NoLimit, options.KeepNone}}, "KeepDeadFor": {Special: []int64{options.NoLimit, options.KeepNone}},
			"Marked": {}, "Python": {}, "DryRun": {}, "Progress": {}, "DropFamilies": {}, "Reserve": {},
		})
	}
	optiontest.Check(t, CompactOptions{}, compacting(), func(o CompactOptions) error {
		_, err := Compact(t.Context(), dir, o)
		return err
	})
	rows := compacting()
	rows["Period"], rows["Logger"] = optiontest.Row{}, optiontest.Row{}
	optiontest.Check(t, CompactorOptions{}, rows, func(o CompactorOptions) error {
		_, err := NewCompactor(dir, o)
		return err
	})
}
