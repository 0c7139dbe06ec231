package collectors

import (
	"testing"

	"github.com/multiprom/multiprom/internal/optiontest"
)

func TestOptions(t *testing.T) {
	optiontest.Check(t, ProcessOptions{}, map[string]optiontest.Row{
		"Namespace": {Bad: []any{"\xff"}, Good: []any{"app"}}, "PID": {}, "ProcPath": {Good: []any{"/host/proc"}}, // which may be there later
	}, func(o ProcessOptions) error {
		NewProcess(o)
		return nil
	})
}
