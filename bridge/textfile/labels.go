package textfile

import (
	"fmt"
	"strings"

	"github.com/multiprom/multiprom/metric"
)

// check returns an error if a label cannot be written.
func (o Options) check() error {
	for name := range o.Labels {
		if !metric.IsLegacyLabelName(name) || strings.HasPrefix(name, "__") {
			return fmt.Errorf("%q is no name of a label: letters, digits and underscores, not a digit nor two underscores first", name)
		}
	}
	return nil
}

// labelled returns families with the labels of the options. What is given is not
// changed.
func (o Options) labelled(families []*metric.Family) []*metric.Family {
	if len(o.Labels) == 0 {
		return families
	}
	out := make([]*metric.Family, len(families))
	for i, f := range families {
		f = f.Whole()
		g := &metric.Family{Name: f.Name, Help: f.Help, Unit: f.Unit, Type: f.Type, Series: append([]metric.Series(nil), f.Series...)}
		for j := range g.Series {
			g.Series[j].Labels = o.add(g.Series[j].Labels)
		}
		out[i] = g
	}
	return out
}

func (o Options) add(labels metric.Labels) metric.Labels {
	for name, value := range o.Labels {
		if own, _ := labels.Get(name); own == "" { // an empty label is none
			labels = labels.With(name, value)
		}
	}
	return labels
}
