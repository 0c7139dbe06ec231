package graphite

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestOptionsThatAreInvalid(t *testing.T) {
	for field, o := range map[string]Options{
		"Interval": {Interval: -1}, "Timeout": {Timeout: -7}, "MaxBuffered": {MaxBuffered: -1},
	} {
		o.Address = "localhost"
		_, err := New(o)
		require.ErrorContains(t, err, "invalid option: "+field)
	}
	_, err := New(Options{Address: "localhost", MaxBuffered: KeepNone})
	require.NoError(t, err)
}
