package registry_test

import (
	"context"
	"errors"
	"testing"

	"github.com/multiprom/multiprom/metric"
	"github.com/multiprom/multiprom/registry"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestRegisterDuplicateNames(t *testing.T) {
	tests := []struct {
		name   string
		a, b   *metric.Family
		shared string // empty when they go together
	}{
		{"same name", family(metric.Gauge, "x"), family(metric.Gauge, "x"), "x"},
		{"same name, other type", family(metric.Gauge, "x"), family(metric.Histogram, "x"), "x"},
		{"counter and its total", family(metric.Counter, "x"), family(metric.Gauge, "x_total"), "x_total"},
		{"total and its counter", family(metric.Gauge, "x_total"), family(metric.Counter, "x"), "x_total"},
		{"counter and its created", family(metric.Counter, "x"), family(metric.Gauge, "x_created"), "x_created"},
		{"histogram and its bucket", family(metric.Histogram, "x"), family(metric.Counter, "x_bucket"), "x_bucket"},
		{"histogram and its sum", family(metric.Histogram, "x"), family(metric.Unknown, "x_sum"), "x_sum"},
		{"summary and its count", family(metric.Summary, "x"), family(metric.Gauge, "x_count"), "x_count"},
		{"gauge histogram and its gsum", family(metric.GaugeHistogram, "x"), family(metric.Gauge, "x_gsum"), "x_gsum"},
		{"info and its info", family(metric.Info, "x"), family(metric.Gauge, "x_info"), "x_info"},
		{"gauge and a total", family(metric.Gauge, "x"), family(metric.Unknown, "x_total"), ""},
		{"gauge and a sum", family(metric.Gauge, "x"), family(metric.Gauge, "x_sum"), ""},
		{"different", family(metric.Counter, "x"), family(metric.Counter, "y"), ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			a, b := described("A", tt.a), described("B", tt.b)
			err := newRegistry(t, a).Register(b)
			atOnce := newRegistry(t).Register(described("AB", tt.a, tt.b))
			if tt.shared == "" {
				assert.NoError(t, err)
				assert.NoError(t, atOnce)
				return
			}
			assert.ErrorIs(t, err, registry.ErrDuplicate)
			assert.ErrorIs(t, atOnce, registry.ErrDuplicate, "within one collector")
			var dup *registry.DuplicateError
			require.ErrorAs(t, err, &dup)
			assert.Equal(t, tt.shared, dup.SampleName)
			assert.Equal(t, registry.Claimant{Collector: a, Family: tt.a.Name, Type: tt.a.Type}, dup.Old)
			assert.Equal(t, registry.Claimant{Collector: b, Family: tt.b.Name, Type: tt.b.Type}, dup.New)
			assert.ErrorContains(t, err, dup.Old.String())
			assert.ErrorContains(t, err, dup.New.String())
		})
	}
}

func TestRefusedCollectorLeavesNothingBehind(t *testing.T) {
	reg := newRegistry(t, described("A", family(metric.Gauge, "a")))
	require.Error(t, reg.Register(described("B", family(metric.Gauge, "b"), family(metric.Gauge, "a"))))
	assert.NoError(t, reg.Register(described("C", family(metric.Gauge, "b"))))
}

func TestRegisterTwice(t *testing.T) {
	for _, c := range []*fake{described("A", family(metric.Gauge, "a")), unchecked("B")} {
		reg := newRegistry(t, c)
		assert.ErrorIs(t, reg.Register(c), registry.ErrAlreadyRegistered)
		assert.Panics(t, func() { reg.MustRegister(c) })
	}
}

func TestUnregister(t *testing.T) {
	a, b := described("A", family(metric.Counter, "x")), described("B", family(metric.Gauge, "x_total"))
	reg := newRegistry(t, a)
	assert.False(t, reg.Unregister(b))
	assert.False(t, reg.Unregister(nil))
	assert.True(t, reg.Unregister(a))
	assert.False(t, reg.Unregister(a))
	require.NoError(t, reg.Register(b), "the names are free again")
	assert.ErrorIs(t, reg.Register(a), registry.ErrDuplicate)
	assert.True(t, reg.Unregister(b))
	require.NoError(t, reg.Register(a))
	families, err := reg.Gather(t.Context())
	require.NoError(t, err)
	assert.Equal(t, []string{"counter x_total 1"}, lines(families))
}

// funcs is a collector whose values == would panic on.
type funcs struct{ _ func() }

func (funcs) Collect(context.Context) ([]*metric.Family, error) { return nil, nil }

func TestInvalidCollector(t *testing.T) {
	reg := newRegistry(t)
	assert.ErrorIs(t, reg.Register(nil), registry.ErrInvalidCollector)
	assert.ErrorIs(t, reg.Register(funcs{}), registry.ErrInvalidCollector)
	assert.False(t, reg.Unregister(funcs{}))
	assert.ErrorIs(t, reg.Register(described("A", family(metric.Counter, "x_total"))), registry.ErrInvalidFamily)
	assert.ErrorIs(t, reg.Register(described("A", nil)), registry.ErrInvalidFamily)
}

func TestAutoDescribe(t *testing.T) {
	collect := func(fs ...*metric.Family) registry.Collector {
		return registry.CollectorFunc(func(context.Context) ([]*metric.Family, error) { return fs, nil })
	}
	off := newRegistry(t, collect(family(metric.Counter, "x")))
	assert.NoError(t, off.Register(collect(family(metric.Gauge, "x_total"))))

	on := registry.New(registry.Options{AutoDescribe: true})
	require.NoError(t, on.Register(collect(family(metric.Counter, "x"))))
	assert.ErrorIs(t, on.Register(collect(family(metric.Gauge, "x_total"))), registry.ErrDuplicate)

	// A Describer that describes nothing stays unchecked and is not run.
	c := unchecked("B", family(metric.Counter, "x"))
	assert.NoError(t, on.Register(c))
	assert.Zero(t, c.runs)

	boom := errors.New("boom")
	failing := registry.CollectorFunc(func(context.Context) ([]*metric.Family, error) { return nil, boom })
	err := on.Register(failing)
	assert.ErrorIs(t, err, boom)
	var failed *registry.CollectError
	require.ErrorAs(t, err, &failed)
	assert.Equal(t, failing, failed.Collector)
	assert.False(t, on.Unregister(failing))
}

func TestTargetInfo(t *testing.T) {
	labels := metric.MakeLabels("env", "prod")
	reg := registry.New(registry.Options{TargetInfo: labels})
	value := func() (float64, error) {
		return registry.SampleValue(t.Context(), reg, "target_info", labels.Map())
	}
	v, err := value()
	require.NoError(t, err)
	assert.Equal(t, 1.0, v)

	clashing := described("A", family(metric.Gauge, "target_info"))
	err = reg.Register(clashing)
	assert.ErrorIs(t, err, registry.ErrDuplicate)
	assert.ErrorContains(t, err, "the registry")

	labels = metric.MakeLabels("env", "test")
	require.NoError(t, reg.SetTargetInfo(labels), "replacing it is no clash")
	_, err = value()
	require.NoError(t, err)

	require.NoError(t, reg.SetTargetInfo(nil))
	_, err = value()
	assert.ErrorIs(t, err, registry.ErrNoSample)
	require.NoError(t, reg.Register(clashing), "the name is free again")
	assert.ErrorIs(t, reg.SetTargetInfo(labels), registry.ErrDuplicate)
	require.True(t, reg.Unregister(clashing))
	assert.NoError(t, reg.SetTargetInfo(labels))

	assert.ErrorIs(t, reg.SetTargetInfo(metric.MakeLabels("__x", "")), registry.ErrInvalidFamily)
	assert.Panics(t, func() { registry.New(registry.Options{TargetInfo: metric.MakeLabels("", "")}) })
}
