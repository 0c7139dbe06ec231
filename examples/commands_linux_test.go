package examples

import (
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/multiprom/multiprom/internal/doctest"
)

// TestCommands: the commands that each program's comment has serve metrics, or send them to
// their receiver. Two programs have tests of their own: prefork has its ports in its source,
// and activation is started by systemd.
func TestCommands(t *testing.T) {
	programs, err := filepath.Glob("*/main.go")
	require.NoError(t, err)
	tested := 0
	for _, program := range programs {
		name := filepath.Dir(program)
		if name == "prefork" || name == "activation" {
			continue
		}
		tested++
		t.Run(name, func(t *testing.T) { doctest.RunCommands(t, "..", program) })
	}
	require.Equal(t, len(programs), tested+2)
}
