package textfile

import (
	"io/fs"
	"strings"

	"github.com/multiprom/multiprom/exposition"
	"github.com/multiprom/multiprom/internal/form"
	"github.com/multiprom/multiprom/internal/options"
	"github.com/multiprom/multiprom/metric"
)

// check returns what is wrong with the options.
func (o Options) check() error {
	var c options.Checker
	for name := range o.Labels {
		if !form.IsLegacyLabelName(name) || strings.HasPrefix(name, "__") {
			c.Failf("Labels", "has %q, which is not a valid label name: use letters, digits and underscores, and start with neither a digit nor two underscores", name)
		}
	}
	if o.Escaping > exposition.Values {
		c.Failf("Escaping", "is %d: it must be one of its constants", o.Escaping)
	}
	if o.Mode&^fs.ModePerm != 0 || o.Mode != 0 && o.Mode&0o400 == 0 {
		c.Failf("Mode", "is %v: it must be permissions with which its owner can read the file, or 0 for the default", o.Mode)
	}
	return c.Err()
}

// labelled returns families with the labels of the options. It does not change its
// argument.
func (o Options) labelled(families []*metric.Family) []*metric.Family {
	if len(o.Labels) == 0 {
		return families
	}
	out := make([]*metric.Family, len(families))
	for i, f := range families {
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
		if own, _ := labels.Get(name); own == "" { // an empty label counts as missing
			labels = labels.With(name, value)
		}
	}
	return labels
}
