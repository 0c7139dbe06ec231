package untimed

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/multiprom/multiprom/exposition"
	"github.com/multiprom/multiprom/metric"
)

func TestAppend(t *testing.T) {
	one, other := metric.MakeLabels("a", "1"), metric.MakeLabels("a", "2")
	family := func(name string, times ...time.Time) *metric.Family {
		f := &metric.Family{Name: name, Type: metric.Gauge}
		for i, at := range times {
			f.Series = append(f.Series, metric.Series{Labels: []metric.Labels{one, other}[i], Value: 1, Timestamp: at})
		}
		return f
	}
	at, mixed := time.Unix(5, 0), family("mixed", time.Time{}, time.Unix(5, 0))
	families := []*metric.Family{family("late", at, at), mixed, family("p.lain", time.Time{}), family("p_lain", time.Time{})}
	text, err := Append(families, exposition.Options{})
	require.Equal(t, "# TYPE mixed gauge\nmixed{a=\"1\"} 1\n# TYPE p_lain gauge\np_lain{a=\"1\"} 1\n", string(text))
	require.Equal(t, &exposition.OmissionError{Names: []string{"p_lain"}, Timestamps: 3}, err)
	require.Len(t, mixed.Series, 2, "what was given is not changed")

	_, err = Append(families[2:3], exposition.Options{})
	require.NoError(t, err)
}
