package registry

import (
	"context"
	"errors"
	"fmt"

	"github.com/multiprom/multiprom/gather"
	"github.com/multiprom/multiprom/metric"
)

// SampleValue returns the value of the sample of g that has that name and exactly those
// labels (nil for none). It is for tests of a program's metrics. The name is that of a
// sample, such as x_total, x_bucket or x_created. The labels le and quantile are written
// as in the text formats: le="1", le="+Inf".
//
// If there is no such sample, the error matches ErrNoSample, and also what g failed to
// gather, since that may be the reason.
func SampleValue(ctx context.Context, g gather.Gatherer, name string, labels map[string]string) (float64, error) {
	want := metric.LabelsFromMap(labels)
	families, err := Restrict(g, name).Gather(ctx)
	for _, f := range families {
		for s := range f.Samples() {
			if s.Name == name && s.Labels.Equal(want) {
				return s.Value, nil
			}
		}
	}
	return 0, errors.Join(fmt.Errorf("%w: %s%s", ErrNoSample, name, want), err)
}
