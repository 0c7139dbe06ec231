package glance

import (
	"cmp"
	"slices"
	"strings"

	"github.com/multiprom/multiprom/internal/views"
	"github.com/multiprom/multiprom/metric"
)

// labelValues returns, for each label of a family, the values that most series have.
func labelValues(f *views.Family, most int) []LabelValues {
	counts := map[string]map[string]int{}
	var labels metric.Labels
	for i := range f.Len() {
		if f.Rows != nil {
			labels = f.Rows.AppendLabels(labels[:0], i)
		} else {
			labels = f.Series[i].Labels
		}
		for _, l := range labels {
			values := counts[l.Name]
			if values == nil {
				values = map[string]int{}
				counts[l.Name] = values
			}
			values[l.Value]++
		}
	}
	var out []LabelValues
	for name, values := range counts {
		lv := LabelValues{Label: name, Distinct: len(values), Top: []LabelValue{}}
		for v, n := range values {
			lv.Top = append(lv.Top, LabelValue{v, n})
		}
		slices.SortFunc(lv.Top, func(a, b LabelValue) int {
			return cmp.Or(cmp.Compare(b.Series, a.Series), strings.Compare(a.Value, b.Value))
		})
		lv.Top = lv.Top[:min(most, len(lv.Top))]
		out = append(out, lv)
	}
	slices.SortFunc(out, func(a, b LabelValues) int {
		return cmp.Or(cmp.Compare(b.Distinct, a.Distinct), strings.Compare(a.Label, b.Label))
	})
	return out
}
