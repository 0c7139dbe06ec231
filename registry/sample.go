package registry

import (
	"context"
	"errors"
	"fmt"

	"github.com/multiprom/multiprom/metric"
)

// SampleValue returns the value of the one sample of g with that name and
// exactly those labels (nil for none), for tests of a program's metrics. The
// name is that of a sample, such as x_total, x_bucket or x_created; the labels
// le and quantile are written as in the text formats: le="1", le="+Inf".
//
// The error is nil if and only if the sample is there. If not, it matches
// ErrNoSample, and whatever g could not gather: that may be why.
func SampleValue(ctx context.Context, g Gatherer, name string, labels map[string]string) (float64, error) {
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
