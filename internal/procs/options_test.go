package procs

import (
	"testing"

	"github.com/multiprom/multiprom/internal/optiontest"
)

func TestOptions(t *testing.T) {
	proc := optiontest.Row{Good: []any{"/host/proc"}} // which may be there later
	optiontest.Check(t, ProcessOptions{}, map[string]optiontest.Row{
		"Namespace": {Bad: []any{"\xff"}, Good: []any{"app"}}, "PID": {}, "ProcPath": proc,
	}, func(o ProcessOptions) error {
		NewProcess(o)
		return nil
	})
	optiontest.Check(t, WorkersOptions{List: func() []Worker { return nil }}, map[string]optiontest.Row{
		"List": {Needed: true}, "ProcPath": proc,
	}, func(o WorkersOptions) error {
		NewWorkers(o)
		return nil
	})
}
