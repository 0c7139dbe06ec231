package labelkey

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/multiprom/multiprom/metric"
)

func TestLabels(t *testing.T) {
	for _, ls := range []metric.Labels{
		nil, metric.MakeLabels("a", ""), metric.MakeLabels("a", "\x00", "b", "ü"), metric.MakeLabels("", "", "l", strings.Repeat("x", 70_000)),
	} {
		key := string(Append(nil, ls))
		require.Equal(t, ls, Labels(nil, key))
		require.Equal(t, append(metric.MakeLabels("before", "1"), ls...), Labels(metric.MakeLabels("before", "1"), key))
	}
}

// TestNoKey: what is no key, or the beginning of one, gives the labels before the fault.
func TestNoKey(t *testing.T) {
	ls := metric.MakeLabels("a", "1", "b", "2")
	key := string(Append(nil, ls))
	for n := range key {
		require.Equal(t, ls[:n/(len(key)/2)], append(metric.Labels{}, Labels(nil, key[:n])...), "%d bytes", n)
	}
	for _, bad := range []string{"\xff", "\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff", "\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01a"} {
		require.Empty(t, Labels(nil, bad))
	}
}
