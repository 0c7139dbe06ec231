package graphite

import (
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/multiprom/multiprom/exposition"
	"github.com/multiprom/multiprom/internal/form"
	"github.com/multiprom/multiprom/metric"
)

// appendLines appends the samples of families as lines with that time, or their own. It
// leaves out, and counts, what cannot arrive: a NaN, a line that does not fit in a
// packet, and a line with the same path and time as another, since Graphite would keep
// only one of the two.
func (o *Options) appendLines(dst []byte, families []*metric.Family, at time.Time) (lines []byte, omitted exposition.OmissionError) {
	type point struct {
		path string
		time int64
	}
	taken := map[point]struct{}{}
	for _, f := range families {
		for s := range f.Samples() {
			start := len(dst)
			dst = o.appendPath(dst, s)
			p := point{string(dst[start:]), at.Unix()}
			if !s.Timestamp.IsZero() {
				p.time = s.Timestamp.Unix()
			}
			dst = append(dst, ' ')
			dst = form.AppendFloat(dst, s.Value)
			dst = append(dst, ' ')
			dst = strconv.AppendInt(dst, p.time, 10)
			dst = append(dst, '\n')

			_, again := taken[p]
			switch {
			case math.IsNaN(s.Value):
				omitted.Values++
			case o.Network == "udp" && len(dst)-start > maxUDP:
				omitted.Oversize++
			case again:
				omitted.Series++
			default:
				taken[p] = struct{}{}
				continue
			}
			dst = dst[:start]
		}
	}
	return dst, omitted
}

// appendPath appends the name and labels of a sample.
func (o *Options) appendPath(dst []byte, s metric.Sample) []byte {
	if o.Prefix != "" {
		for i, part := range strings.Split(o.Prefix, ".") {
			if i > 0 {
				dst = append(dst, '.')
			}
			dst = appendClean(dst, part)
		}
		dst = append(dst, '.')
	}
	dst = appendClean(dst, s.Name)
	before, between := byte('.'), byte('.')
	if o.Tags {
		before, between = ';', '='
	}
	for _, l := range s.Labels {
		if l.Value == "" {
			continue // drop the label: Graphite has no empty parts
		}
		dst = appendClean(append(dst, before), l.Name)
		dst = appendClean(append(dst, between), l.Value)
	}
	return dst
}

// appendClean appends s as one part of a path, or one name or value of a tag.
func appendClean(dst []byte, s string) []byte {
	for _, r := range s {
		if r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '_' || r == '-' {
			dst = append(dst, byte(r))
		} else {
			dst = append(dst, '_')
		}
	}
	return dst
}
