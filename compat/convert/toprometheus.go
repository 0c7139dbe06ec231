package convert

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
	"google.golang.org/protobuf/encoding/protodelim"

	"github.com/multiprom/multiprom/exposition"
	"github.com/multiprom/multiprom/gather"
	"github.com/multiprom/multiprom/metric"
)

// ToPrometheus returns g as a prometheus.Gatherer. Families that could be had
// are returned beside an error, as client_golang does. They are the caller's
// own, and are what a scrape by protobuf would have given: names of counters
// have their _total, infos and state sets are gauges, names are not escaped.
//
// client_golang knows no contexts: what g waits for bounds g itself
// (registry.Options.CollectTimeout).
func ToPrometheus(g gather.Gatherer) prometheus.Gatherer { return toPrometheus{g} }

type toPrometheus struct{ from gather.Gatherer }

func (g toPrometheus) Gather() ([]*dto.MetricFamily, error) {
	families, err := g.from.Gather(context.Background())
	out, convertErr := MetricFamilies(families)
	return out, errors.Join(err, convertErr)
}

// MetricFamilies returns families as client_golang has them, sorted by name. An
// error that is an *exposition.OmissionError tells of what is missing, since
// its name was taken.
func MetricFamilies(families []*metric.Family) ([]*dto.MetricFamily, error) {
	// By way of the bytes of a scrape: so the rules are in one place.
	encoded, omitted := exposition.Append(nil, families, exposition.Options{
		ContentType: exposition.ContentType{Format: exposition.Protobuf, Escaping: exposition.AllowUTF8},
		Created:     true,
	})
	out := make([]*dto.MetricFamily, 0, len(families))
	r, options := bytes.NewReader(encoded), protodelim.UnmarshalOptions{MaxSize: -1}
	for {
		f := &dto.MetricFamily{}
		err := options.UnmarshalFrom(r, f)
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return out, fmt.Errorf("convert: %w", err)
		}
		out = append(out, f)
	}
	// The suffixes may have changed the order.
	slices.SortFunc(out, func(a, b *dto.MetricFamily) int { return cmp.Compare(a.GetName(), b.GetName()) })
	return out, omitted
}
