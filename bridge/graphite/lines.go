package graphite

import (
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/multiprom/multiprom/metric"
)

// appendLines appends the samples of families as lines of that time, or of their
// own.
func (o *Options) appendLines(dst []byte, families []*metric.Family, at time.Time) []byte {
	for _, f := range families {
		for s := range f.Samples() {
			if !math.IsNaN(s.Value) {
				dst = o.appendLine(dst, s, at)
			}
		}
	}
	return dst
}

func (o *Options) appendLine(dst []byte, s metric.Sample, at time.Time) []byte {
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
			continue // that is a label less, and Graphite has no empty parts
		}
		dst = appendClean(append(dst, before), l.Name)
		dst = appendClean(append(dst, between), l.Value)
	}
	dst = append(dst, ' ')
	dst = append(dst, metric.FormatFloat(s.Value)...)
	if !s.Timestamp.IsZero() {
		at = s.Timestamp
	}
	dst = append(dst, ' ')
	dst = strconv.AppendInt(dst, at.Unix(), 10)
	return append(dst, '\n')
}

// appendClean appends what Graphite takes for one part of a path, one name or value
// of a tag.
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
