package exposition

import (
	"strings"

	"github.com/multiprom/multiprom/internal/form"
	"github.com/multiprom/multiprom/metric"
)

// names knows which names are taken, and what was left out because of that.
type names struct {
	escaping Escaping
	claims   map[claim]struct{}
	wanted   []claim // of the current family
	omitted  OmissionError
}

// claim is a sample name, cut before its last underscore. So x_sum can be looked up
// without joining x and _sum for each histogram of each scrape.
type claim struct{ base, suffix string }

// cut returns the claim for base+suffix. suffix is empty or starts with its only
// underscore.
func cut(base, suffix string) claim {
	if suffix != "" {
		return claim{base, suffix}
	}
	i := max(0, strings.LastIndexByte(base, '_'))
	return claim{base[:i], base[i:]}
}

// ownSuffix returns the suffix that a type adds to a family's name in every format.
func ownSuffix(t metric.Type) string {
	switch t {
	case metric.Counter:
		return "_total"
	case metric.Info:
		return "_info"
	}
	return ""
}

// base returns the escaped family name to which suffix is then added. As in Prometheus'
// expfmt, the whole name is escaped: that of "a.b", a counter, is "U__a_2e_b_" in the
// scheme values, because its sample is U__a_2e_b__total.
func (n *names) base(name, suffix string) string {
	if name == "" || suffix == "" || form.IsLegacyName(name) && n.escaping != Dots {
		return escapeName(name, n.escaping)
	}
	return strings.TrimSuffix(escapeName(name+suffix, n.escaping), suffix)
}

// claimFamily takes all names that f needs, or none if one of them is taken.
func (n *names) claimFamily(f *metric.Family, l *layout) bool {
	base := n.base(f.Name, ownSuffix(f.Type))
	n.wanted = n.wanted[:0]
	total := strings.HasSuffix(base, "_total")
	if total {
		n.wanted = append(n.wanted, claim{base, "#"}) // the family's own name
	}
	for _, suffix := range l.emitted[f.Type] {
		if suffix == "" && total && f.Type == metric.Counter {
			continue // no sample has this name, see openmetrics.SampleNames
		}
		n.wanted = append(n.wanted, cut(base, suffix))
	}
	for _, suffix := range l.apart[f.Type] {
		n.wanted = append(n.wanted, cut(n.base(f.Name, suffix), suffix))
	}
	return n.claimWanted()
}

// claimApart takes the name of a gauge that was not claimed with its family.
func (n *names) claimApart(base, suffix string) bool {
	n.wanted = append(n.wanted[:0], cut(base, suffix))
	return n.claimWanted()
}

func (n *names) claimWanted() bool {
	for _, c := range n.wanted {
		if _, taken := n.claims[c]; taken {
			return false
		}
	}
	for _, c := range n.wanted {
		n.claims[c] = struct{}{}
	}
	return true
}

// reservedLabel returns the label that the type of f writes itself, as it is written, or "".
func (n *names) reservedLabel(f *metric.Family) string {
	name := f.Name
	if f.Type == metric.StateSet {
		name = escapeLabelName(name, n.escaping)
	}
	return f.Type.ReservedLabel(name)
}
