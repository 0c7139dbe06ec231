package textparse

import (
	"strings"
	"testing"

	"github.com/multiprom/multiprom/internal/options"
	"github.com/multiprom/multiprom/internal/optiontest"
)

func TestOptions(t *testing.T) {
	limit := optiontest.Row{Special: []int64{options.NoLimit}}
	optiontest.Check(t, Options{}, map[string]optiontest.Row{
		"Format": {Bad: []any{77}}, "QuotedNames": {}, "MaxLine": limit, "MaxBytes": limit, "MaxSeries": limit,
	}, func(o Options) error {
		_, err := Parse(strings.NewReader("a 1\nb 2\n"), o)
		return err
	})
}
