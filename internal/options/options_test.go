package options

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestNumber(t *testing.T) {
	for _, tc := range []struct {
		value, want int
		special     []int
		says        string
	}{
		{0, 9, nil, ""},
		{5, 5, nil, ""},
		{NoLimit, NoLimit, []int{NoLimit, KeepNone}, ""},
		{KeepNone, KeepNone, []int{NoLimit, KeepNone}, ""},
		{-1, -1, nil, "Field is -1: it must be positive, or 0 for the default"},
		{-2, -2, []int{NoLimit}, "Field is -2: it must be positive, or metric.NoLimit, or 0 for the default"},
		{-7, -7, []int{NoLimit, KeepNone}, "Field is -7: it must be positive, or metric.NoLimit, or metric.KeepNone, or 0 for the default"},
	} {
		var c Checker
		Number(&c, "Field", &tc.value, 9, tc.special...)
		require.Equal(t, tc.want, tc.value)
		if tc.says == "" {
			require.NoError(t, c.Err())
			continue
		}
		require.ErrorIs(t, c.Err(), ErrInvalid)
		require.EqualError(t, c.Err(), "invalid option: "+tc.says)
	}
	var c Checker
	d, e := -time.Second, -time.Hour
	Number(&c, "Period", &d, time.Minute)
	Number(&c, "Timeout", &e, time.Minute)
	require.ErrorContains(t, c.Err(), "Period is -1s")
	require.ErrorContains(t, c.Err(), "Timeout is -1h0m0s")
}
