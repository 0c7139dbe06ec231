package collectors

import "github.com/multiprom/multiprom/metric"

// declared is a family as a collector declares it, in the order of a table.
type declared struct {
	name string // as metric.Family has it: counters without _total
	help string
	typ  metric.Type
}

func (d declared) family(prefix string, series ...metric.Series) *metric.Family {
	return &metric.Family{Name: prefix + d.name, Help: d.help, Type: d.typ, Series: series}
}
