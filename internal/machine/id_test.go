package machine

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestID(t *testing.T) {
	id := ID("host", "/run/app")
	require.Regexp(t, "^[0-9a-f]{8}-[0-9a-f]{4}-8[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$", id)
	require.Equal(t, id, ID("host", "/run/app"))
	require.NotEqual(t, id, ID("host", "/run/ap", "p"))
}
